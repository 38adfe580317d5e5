"""Multistep methods: each step as one row of weights on the latest posterior means.

UniPC. With h = lam_{i+1} - lam_i, z = -h and r_k = (lam_{i-k} - lam_i) / h,

    x_{i+1} = e^-h x_i - expm1(z) D_i - B(z) sum_k rho_k (D_{i-k} - D_i) / r_k,

where rho solves sum_k r_k^(j-1) rho_k = b_j, b_j = j! z phi_{j+1}(z) / B(z), and B is expm1(z) ("bh2") or z ("bh1").
The corrector adds the node r = 1 at the predicted state and takes the same step again. States are divided by alpha.
Source: Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models",
arXiv 2302.04867.

DPM-Solver++. Let c_0 + c_1 u + c_2 u^2 be the polynomial through the latest posterior means at u = 0, -r_1, -r_1 - r_2,
where r_k are the ratios of earlier steps to h, from the divided differences D[0], D[0, 1], D[0, 1, 2]. By order:

    1  x_{i+1} = e^-h x_i + h phi_1(-h) c_0,
    2  x_{i+1} = e^-h x_i + h phi_1(-h) (c_0 + c_1 / 2),
    3  x_{i+1} = e^-h x_i + h (phi_1(-h) c_0 + phi_2(-h) c_1 + 2 phi_3(-h) c_2),

The last integrates the polynomial exactly. (Published code has phi_3 instead of 2 phi_3, so that it does not reach
order 3.) For the reverse SDE, e^-2h replaces e^-h, 1 - e^-2h replaces h phi_1, and noise is added.
Source: Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", arXiv 2211.01095.
"""

import math

import jax.numpy as jnp

VARIANTS = ("bh1", "bh2")
LOWERED = (True, False, "denoise")


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
    """rho such that sum_k nodes_k^(j-1) rho_k = b_j: b applied to the coefficients of each Lagrange polynomial."""
    rho = []
    for k, own in enumerate(nodes):
        coefficients = [jnp.ones_like(own)]
        for other in nodes[:k] + nodes[k + 1 :]:
            shifted, scaled = [0.0, *coefficients], [-other * c for c in coefficients] + [0.0]
            coefficients = [(s + t) / (own - other) for s, t in zip(shifted, scaled, strict=True)]
        rho.append(sum(c * value for c, value in zip(coefficients, b, strict=True)))
    return rho


def _weights(order, variant, h, ratios, corrector):
    """Weights of the known posterior means, newest first, and of the arriving one, for steps of a single order."""
    z = -h
    scale = jnp.expm1(z) if variant == "bh2" else z
    nodes = ratios[: order - 1] + ([jnp.ones_like(h)] if corrector else [])
    # With one node the published method sets rho = 1/2 directly.
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
    i, h = jnp.arange(lam.shape[0] - 1), jnp.diff(lam)
    used = orders_used(i, order, lower_order_final)
    # Where there is no history yet, the ratio is an arbitrary number that keeps the unused orders finite.
    ratios = [jnp.where(i >= k, (lam[jnp.maximum(i - k, 0)] - lam[:-1]) / h, -float(k)) for k in range(1, order)]

    def rows(corrector):
        each = jnp.stack([_weights(p, variant, h, ratios, corrector) for p in range(1, order + 1)])
        return each[used - 1, i]

    decay = jnp.exp(-h)
    return merged(rows(False), rows(True), decay), decay


def merged(predictor, corrector, decay):
    """Correcting a step and predicting the next as one linear step: weights (steps, order + 1, ...).

    Both arguments have rows of weights of (D_i, D_{i-1}, ..., D_{i+1}). Rolled by one, the correction of step i is in
    terms of D_{i+1}, D_i, ...
    """
    correction = jnp.roll(corrector - predictor, 1, axis=1)
    correction = jnp.concatenate([jnp.zeros_like(correction[:1]), correction[:-1]])
    return predictor + decay[:, None] * correction


def dpm_solver_table(lam, order, stochastic, lower_order_final):
    """Weights of every step of the increasing grid `lam` of half-log-SNRs, (steps + 1,).

    Returns:
        weights: (steps, order), of the posterior means, newest first.
        decay: (steps,), e^-h, or e^-2h of the SDE.
        noise: (steps,), standard deviation of the fresh noise in units of the state divided by alpha.
    """
    i, h = jnp.arange(lam.shape[0] - 1), jnp.diff(lam)
    used = orders_used(i, order, lower_order_final)
    # Earlier steps in units of this one; without history, an arbitrary number that keeps the unused orders finite.
    r1, r2 = (jnp.where(i >= k, jnp.roll(h, k) / h, 1.0) for k in (1, 2))
    zero, one = jnp.zeros_like(h), jnp.ones_like(h)
    first = jnp.stack([one, -one, zero], 1) / r1[:, None]
    older = jnp.stack([zero, one, -one], 1) / r2[:, None]
    c0, c2 = jnp.stack([one, zero, zero], 1), (first - older) / (r1 + r2)[:, None]
    c1 = first + r1[:, None] * c2
    rate = 2.0 if stochastic else 1.0
    gain = -jnp.expm1(-rate * h)
    p2, p3 = h * phi(2, -h), 2 * h * phi(3, -h)
    each = jnp.stack(
        [
            gain[:, None] * c0,
            gain[:, None] * (c0 + first / 2),
            gain[:, None] * c0 + p2[:, None] * c1 + p3[:, None] * c2,
        ]
    )
    noise = jnp.exp(-lam[1:]) * jnp.sqrt(-jnp.expm1(-2 * h))
    return each[used - 1, i, :order], jnp.exp(-rate * h), noise


def orders_used(i, order, lower_order_final):
    """The order of each step, at most the length of the history and, if lowered, the number of remaining steps.

    With "denoise" the evaluation after the last level counts as one of them: it is the step to sigma = 0, of order 1.
    """
    used = jnp.minimum(order, i + 1)
    return jnp.minimum(used, i.shape[0] + (lower_order_final == "denoise") - i) if lower_order_final else used


def by_slot(weights):
    """The same rows for a ring of posterior means in which D_j lies in slot j mod (number of columns).

    A ring is written in place, one slot per step; shifting the history instead would copy all of it.
    """
    steps, slots = weights.shape[:2]
    age = (jnp.arange(steps)[:, None] - jnp.arange(slots)) % slots
    return jnp.take_along_axis(weights, age.reshape(age.shape + (1,) * (weights.ndim - 2)), 1)
