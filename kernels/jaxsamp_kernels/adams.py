"""Multistep methods in any frame: the polynomial in lambda through the latest f, integrated against the clock.

    x_{i+1} = scale_{i+1} / scale_i x_i + scale_{i+1} sum_k f_{i-k} int l_k(lambda) dkappa,

where l_k is the Lagrange polynomial of the k-th latest level. These are exponential Adams methods. In the data frame,
orders 1 to 3 are DPM-Solver++; with the arriving level among the nodes they are the corrector of UniPC, up to its
choice of B.
"""

import jax
import jax.numpy as jnp
from numpy.polynomial.legendre import leggauss

from jaxsamp_kernels.frame import Frame
from jaxsamp_kernels.multistep import merged, orders_used

_NODES, _WEIGHTS = leggauss(16)


def adams_table(frame: Frame, lam, order, lower_order_final, corrected):
    """Weights of every step of the increasing grid `lam` of half-log-SNRs, (steps + 1,).

    Args:
        frame: the frame of f.
        lam: the grid.
        order: number of latest f that a prediction uses.
        lower_order_final: lower the order toward the end.
        corrected: whether each step is corrected with the f at the state it arrives at, as in `multistep.unipc_table`.

    Returns:
        weights: of f_i, f_{i-1}, ...: (steps, order + corrected), or (steps, order + corrected, d) in a frame per
            coordinate.
        decay: (steps,) or (steps, d), scale_{i+1} / scale_i.
    """
    i = jnp.arange(lam.shape[0] - 1)
    used = orders_used(i, order, lower_order_final)
    scale = frame.scale(lam)
    decay = scale[1:] / scale[:-1]

    def row(i, used, arriving):
        """Weights of f_i, ..., f_{i-order+1} and of the arriving f, for one step."""
        lam0, lam1 = lam[i], lam[i + 1]
        places = jnp.append(lam[jnp.maximum(i - jnp.arange(order), 0)], lam1)
        active = jnp.append(jnp.arange(order) < used, arriving)
        half = 0.5 * (lam1 - lam0)
        at = lam0 + half * (1 + jnp.asarray(_NODES, lam.dtype))
        gap = places[:, None] - places
        # One factor (lambda - lambda_m) / (lambda_k - lambda_m) for each other active node; 1 for inactive nodes.
        counts = (active & ~jnp.eye(order + 1, dtype=bool))[..., None]
        factors = (at - places[:, None]) / jnp.where(gap == 0, 1.0, gap)[..., None]
        basis = jnp.where(active[:, None], jnp.prod(jnp.where(counts, factors, 1.0), 1), 0.0)
        rate = half * frame.scale(lam1) * frame.clock_rate(at)
        return jnp.tensordot(basis * jnp.asarray(_WEIGHTS, lam.dtype), rate, 1, precision="highest")

    predictor = jax.vmap(row, (0, 0, None))(i, used, False)
    if not corrected:
        return predictor[:, :order], decay
    return merged(predictor, jax.vmap(row, (0, 0, None))(i, used, True), decay), decay
