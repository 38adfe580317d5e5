"""Energy distance: the generic two-sample metric."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import NULL_SETS, Metric, compare, judged
from jaxsamp.metrics.pairs import mean_over_pairs, subsets
from jaxsamp.metrics.spec import MetricSpec
from jaxsamp.metrics.truth import prepared


def energy(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array | None = None,
    level: Level | None = None,
    max_points: int = 2048,
    null_sets: int = NULL_SETS,
) -> Metric:
    """Energy distance between samples and truth, 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased.

    It is zero exactly when the laws agree, and its estimate may be negative.

    Args:
        x: samples, (n, *event).
        reference: a law, a `NullBank` of one, or an array of true clean samples, (m, *event).
        key: draws the true samples, the null sets and the subsets; None with a bank.
        level: the noise level of x; None for clean samples.
        max_points: largest number of samples, chosen at random, that are compared with as many true samples; every
            null set costs two or three passes of 2 max_points^2 d operations.
        null_sets: number of null values, at least 20.

    Returns:
        The distance in the unit of x, with its null band.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.

    Szekely and Rizzo, Energy Statistics: A Class of Statistics Based on Distances, 2013; as a kernel test
    Sejdinovic et al., Equivalence of Distance-based and RKHS-based Statistics in Hypothesis Testing,
    arXiv:1207.6076.
    """
    x, truth, key = prepared(x, reference, key, level)
    x, truth = subsets(key, x, truth, max_points)
    return judged(*compare(_distance_to, x, truth, key, null_sets, name="energy"))


def energy_distance(
    x: Float[Array | np.ndarray, "n d"], y: Float[Array | np.ndarray, "m d"], chunk: int = 512
) -> float:
    """Unbiased (U-statistic) energy distance of two sets of samples, in the unit of x.

    It is 2 mean_ij |x_i - y_j| - mean_{i != i'} |x_i - x_i'| - mean_{j != j'} |y_j - y_j'|, computed in
    O(chunk max(n, m)) memory: by matrix products, and by differences of points where the products would cancel.
    """
    return _distance_to(jnp.asarray(y), chunk)(jnp.asarray(x))


def _distance_to(y: Array, chunk: int = 512) -> Callable[[Array], float]:
    return partial(_distance, y, mean_over_pairs(jnp.sqrt, y, None, chunk), chunk)


def _distance(y: Array, within_y: float, chunk: int, x: Array) -> float:
    return 2 * mean_over_pairs(jnp.sqrt, x, y, chunk) - mean_over_pairs(jnp.sqrt, x, None, chunk) - within_y


SPEC = MetricSpec(
    name="energy",
    label="energy distance",
    run=lambda c: energy(c.x, c.truth, c.key, null_sets=c.null_sets),
    sees="the same; more sensitive to the weights of modes",
)
