"""UniPC coefficients: each step as one row of weights on the latest posterior means.

With h = lam_{i+1} - lam_i, z = -h, r_k = (lam_{i-k} - lam_i) / h and the differences (D_{i-k} - D_i) / r_k,

    x_{i+1} = e^-h x_i - expm1(z) D_i - B(z) sum_k rho_k (D_{i-k} - D_i) / r_k,

where rho solves sum_k r_k^(j-1) rho_k = b_j, b_j = j! z phi_{j+1}(z) / B(z), and B is expm1(z) ("bh2") or z ("bh1").
The corrector adds the node r = 1 at the predicted state and carries the same step again. States are divided by alpha.
Source: Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models",
arXiv 2302.04867.
"""

import math

import jax
import jax.numpy as jnp

VARIANTS = ("bh1", "bh2")


def phi(k, z):
    """phi_k(z) = sum_j z^j / (j + k)!, the functions of exponential integrators, accurate for every z."""
    series = jnp.ones_like(z)
    for j in range(18, 0, -1):
        series = 1 + z / (j + k) * series
    series = series / math.factorial(k)
    small = jnp.abs(z) < 1
    far = jnp.where(small, 1.0, z)
    recursive = jnp.exp(far)
    for j in range(k):
        recursive = (recursive - 1 / math.factorial(j)) / far
    return jnp.where(small, series, recursive)


def _weights(order, variant, h, ratios, corrector):
    """Weights (history..., arriving) of one step of one order; `ratios` are r_1, r_2 of the history."""
    z = -h
    b_scale = jnp.expm1(z) if variant == "bh2" else z
    nodes = [ratios[k] for k in range(order - 1)] + ([jnp.ones_like(h)] if corrector else [])
    known = -jnp.expm1(z)
    history = [jnp.zeros_like(h) for _ in range(len(ratios) + 1)]
    arriving = jnp.zeros_like(h)
    if nodes:
        r = jnp.stack(nodes)
        powers = jnp.stack([r**j for j in range(len(nodes))])
        b = jnp.stack([math.factorial(j) * z * phi(j + 1, z) / b_scale for j in range(1, len(nodes) + 1)])
        # The published method sets rho = 1/2 outright in the one-node case.
        rho = jnp.full((1,), 0.5, h.dtype) if len(nodes) == 1 else jnp.linalg.solve(powers, b)
        terms = -b_scale * rho / r
        for k in range(order - 1):
            history[k + 1] = terms[k]
        known = known - terms.sum()
        arriving = terms[-1] if corrector else arriving
    history[0] = known
    return jnp.stack([*history, arriving])


def unipc_table(lam, order, variant, lower_order_final):
    """Rows of weights for every step of the decreasing-noise grid `lam`, (steps + 1,).

    Returns:
        predictor: (steps, order): weights of D_i, D_{i-1}, ... in the step that leaves lam_i.
        corrector: (steps, order + 1): weights of D_i, D_{i-1}, ... in the step that arrives at lam_i, shifted so
            that column 0 belongs to the newly evaluated D_i and column k to D_{i-k}; row 0 is zero.
        decay: (steps + 1,): e^-h of the step that arrives at lam_i; entry 0 is one.
    """
    steps = lam.shape[0] - 1
    i = jnp.arange(steps)
    used = jnp.minimum(order, i + 1)
    if lower_order_final:
        used = jnp.minimum(used, steps - i)
    h = jnp.diff(lam)

    def row(i, h):
        past = [jnp.where(i >= k, (lam[jnp.maximum(i - k, 0)] - lam[i]) / h, -float(k)) for k in range(1, order)]
        make = lambda corrector: jnp.stack(  # noqa: E731
            [_weights(p, variant, h, past, corrector) for p in range(1, order + 1)]
        )
        return make(False), make(True)

    predictors, correctors = jax.vmap(row)(i, h)
    predictor = jnp.take_along_axis(predictors, used[:, None, None] - 1, 1)[:, 0, :order]
    corrector = jnp.take_along_axis(correctors, used[:, None, None] - 1, 1)[:, 0]
    corrector = jnp.roll(corrector, 1, axis=1)  # the arriving weight first
    corrector = jnp.concatenate([jnp.zeros_like(corrector[:1]), corrector[:-1]])
    return predictor, corrector, jnp.concatenate([jnp.ones_like(h[:1]), jnp.exp(-h)])
