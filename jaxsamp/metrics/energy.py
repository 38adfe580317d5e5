"""Energy distance: the generic two-sample metric."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.checks import at_least
from jaxsamp.metrics.null import NULL_SETS, Metric, compare, judged
from jaxsamp.metrics.truth import SUBSETS, Truth, checked
from jaxsamp.types import Array, Level


def energy(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array,
    level: Level | None = None,
    max_points: int = 2048,
    null_sets: int = NULL_SETS,
) -> Metric:
    """Energy distance between samples and truth, 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased.

    It is zero exactly when the laws agree, and its estimate may be negative.

    Args:
        x: samples, (n, *event).
        reference: a law, or an array of true clean samples, (m, *event).
        key: draws the true samples, the null sets and the subsets.
        level: the noise level of x; None for clean samples.
        max_points: at most so many samples, chosen at random, are compared with as many true ones; every null set
            costs two or three passes of 2 max_points^2 d operations.
        null_sets: how many null values, at least 20.

    Returns:
        The distance in the unit of x, with its null band.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.

    Szekely and Rizzo, Energy Statistics: A Class of Statistics Based on Distances, 2013; as a kernel test
    Sejdinovic et al., Equivalence of Distance-based and RKHS-based Statistics in Hypothesis Testing,
    arXiv:1207.6076.
    """
    x, truth = checked(x, reference, key, level)
    at_least("max_points", max_points, 2)
    key_x, key_reference = jax.random.split(jax.random.fold_in(key, SUBSETS))
    x = _subset(key_x, x, max_points)
    if truth.samples is not None and len(truth.samples) > max_points:
        truth = Truth(_subset(key_reference, truth.samples, max_points), truth.level)
    return judged(*compare(_distance_to, x, truth, key, null_sets))


def energy_distance(
    x: Float[Array | np.ndarray, "n d"], y: Float[Array | np.ndarray, "m d"], chunk: int = 512
) -> float:
    """Unbiased (U-statistic) energy distance of two samples, in the unit of x.

    2 mean_ij |x_i - y_j| - mean_{i != i'} |x_i - x_i'| - mean_{j != j'} |y_j - y_j'|, in O(chunk max(n, m)) memory.
    """
    return _distance_to(jnp.asarray(y), chunk)(jnp.asarray(x))


def _distance_to(y: Array, chunk: int = 512) -> Callable[[Array], float]:
    centre = jnp.mean(y, axis=0)  # rounding of distances grows with the distance from the origin
    y = y - centre
    return partial(_distance, centre, y, _mean_distance(y, y, chunk), chunk)


def _distance(centre: Array, y: Array, within_y: float, chunk: int, x: Array) -> float:
    x = x - centre
    return 2 * _mean_distance(x, y, chunk) - _mean_distance(x, x, chunk) - within_y


def _mean_distance(x: Array, y: Array, chunk: int) -> float:
    """Mean of |x_i - y_j| over pairs of different points; in float64, as the three means agree to five digits."""
    same = x is y
    return float(np.asarray(_row_sums(x, y, chunk, same), float).sum() / len(x) / (len(y) - same))


@partial(jax.jit, static_argnums=(2, 3))
def _row_sums(x: Array, y: Array, chunk: int, same: bool) -> Array:
    """Sum over j of |x_i - y_j|, (n,); `same`: y is x, and the rounding on the diagonal is left out."""
    n, d = x.shape
    blocks = -(-n // chunk)
    rows = -(-n // blocks)  # blocks of one size waste the least padding
    square = jnp.sum(y**2, axis=1)

    def block(part: tuple[Array, Array]) -> Array:
        i, x_i = part
        squared = jnp.sum(x_i**2, axis=1)[:, None] + square - 2 * jnp.matmul(x_i, y.T, precision="highest")
        distance = jnp.sqrt(jnp.maximum(squared, 0))
        return jnp.sum(jnp.where(i[:, None] == jnp.arange(len(y)), 0, distance) if same else distance, axis=1)

    padded = jnp.zeros((blocks * rows, d), x.dtype).at[:n].set(x).reshape(blocks, rows, d)
    return jax.lax.map(block, (jnp.arange(blocks * rows).reshape(blocks, rows), padded)).reshape(-1)[:n]


def _subset(key: Array, x: Array, size: int) -> Array:
    return x if len(x) <= size else jax.random.permutation(key, x)[:size]
