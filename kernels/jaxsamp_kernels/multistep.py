"""UniPC: each step as one row of weights on the latest posterior means.

With h = lam_{i+1} - lam_i, z = -h, r_k = (lam_{i-k} - lam_i) / h and the differences (D_{i-k} - D_i) / r_k,

    x_{i+1} = e^-h x_i - expm1(z) D_i - B(z) sum_k rho_k (D_{i-k} - D_i) / r_k,

where rho solves sum_k r_k^(j-1) rho_k = b_j, b_j = j! z phi_{j+1}(z) / B(z), and B is expm1(z) ("bh2") or z ("bh1").
The corrector adds the node r = 1 at the predicted state and carries the same step again. States are divided by alpha.
Source: Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models",
arXiv 2302.04867.
"""

import math

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


def _vandermonde(nodes, b):
    """rho with sum_k nodes_k^(j-1) rho_k = b_j: b applied to the coefficients of each Lagrange polynomial."""
    rho = []
    for k, own in enumerate(nodes):
        coefficients = [jnp.ones_like(own)]
        for other in nodes[:k] + nodes[k + 1 :]:
            shifted, scaled = [0.0, *coefficients], [-other * c for c in coefficients] + [0.0]
            coefficients = [(s + t) / (own - other) for s, t in zip(shifted, scaled, strict=True)]
        rho.append(sum(c * value for c, value in zip(coefficients, b, strict=True)))
    return rho


def _weights(order, variant, h, ratios, corrector):
    """Weights of the known posterior means, newest first, and of the arriving one, for steps of one order."""
    z = -h
    scale = jnp.expm1(z) if variant == "bh2" else z
    nodes = ratios[: order - 1] + ([jnp.ones_like(h)] if corrector else [])
    # With one node the published method sets rho = 1/2 outright.
    rho = (
        [0.5]
        if len(nodes) == 1
        else _vandermonde(nodes, [math.factorial(j) * z * phi(j + 1, z) / scale for j in range(1, len(nodes) + 1)])
    )
    terms = [-scale * weight / r for weight, r in zip(rho, nodes, strict=True)]
    newest = -jnp.expm1(z) - sum(terms)
    older = terms[: order - 1] + [jnp.zeros_like(h)] * (len(ratios) + 1 - order)
    return jnp.stack([newest, *older, terms[-1] if corrector else jnp.zeros_like(h)], 1)


def unipc_table(lam, order, variant, lower_order_final):
    """Weights of every step of the increasing grid `lam` of half-log-SNRs, (steps + 1,).

    The corrected state enters the next prediction only, so correcting and predicting are one linear step,

        x_{i+1} = decay_i x_i + sum_k weights_{i,k} D_{i-k},    x_i the predicted states.

    Returns:
        weights: (steps, order + 1).
        decay: (steps,), e^-h.
    """
    steps = lam.shape[0] - 1
    i, h = jnp.arange(steps), jnp.diff(lam)
    used = jnp.minimum(order, i + 1)
    if lower_order_final:
        used = jnp.minimum(used, steps - i)
    # Where there is no history yet the ratio is any number that keeps the unused orders finite.
    ratios = [jnp.where(i >= k, (lam[jnp.maximum(i - k, 0)] - lam[:-1]) / h, -float(k)) for k in range(1, order)]

    def rows(corrector):
        each = jnp.stack([_weights(p, variant, h, ratios, corrector) for p in range(1, order + 1)])
        return each[used - 1, i]

    # Rows (D_i, D_{i-1}, ..., D_{i+1}): rolled, the correction of step i is in terms of D_{i+1}, D_i, ...
    predictor = rows(False)
    correction = jnp.roll(rows(True) - predictor, 1, axis=1)
    correction = jnp.concatenate([jnp.zeros_like(correction[:1]), correction[:-1]])
    decay = jnp.exp(-h)
    return predictor + decay[:, None] * correction, decay
