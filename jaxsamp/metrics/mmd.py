"""Maximum mean discrepancy: a two-sample metric from a kernel."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import pdist

from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import NULL_SETS, Metric, compare, judged
from jaxsamp.metrics.pairs import mean_over_pairs, subsets
from jaxsamp.metrics.spec import MetricSpec
from jaxsamp.metrics.truth import prepared

FOR_BANDWIDTH = 1024  # number of points whose distances give the median


def mmd(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array | None = None,
    level: Level | None = None,
    max_points: int = 2048,
    null_sets: int = NULL_SETS,
) -> Metric:
    """Squared maximum mean discrepancy between samples and truth, E k(X, X') + E k(Y, Y') - 2 E k(X, Y), unbiased.

    The kernel is k(x, y) = exp(-|x - y|^2 / (2 h^2)), where h is the median distance between true samples,
    whatever the samples. It is zero exactly when the laws agree, and its estimate may be negative. Its power and its
    cost are those of `energy`.

    Args:
        x: samples, (n, *event).
        reference: a law, a `NullBank` of one, or an array of true clean samples, (m, *event).
        key: draws the true samples, the null sets and the subsets; None with a bank.
        level: the noise level of x; None for clean samples.
        max_points: largest number of samples, chosen at random, that are compared with as many true samples; every
            null set costs two or three passes of 2 max_points^2 d operations.
        null_sets: number of null values, at least 20.

    Returns:
        The squared discrepancy, a pure number between -1 and 2, with its null band.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.

    Gretton et al., A Kernel Two-Sample Test, JMLR 2012, its unbiased estimator.
    """
    x, truth, key = prepared(x, reference, key, level)
    x, truth = subsets(key, x, truth, max_points)
    return judged(*compare(_distance_to, x, truth, key, null_sets, name="mmd"))


def mmd_distance(
    x: Float[Array | np.ndarray, "n d"],
    y: Float[Array | np.ndarray, "m d"],
    bandwidth: float | None = None,
    chunk: int = 512,
) -> float:
    """Unbiased (U-statistic) squared MMD of two sets of samples, for the Gaussian kernel of width `bandwidth`.

    It is mean_{i != i'} k(x_i, x_i') + mean_{j != j'} k(y_j, y_j') - 2 mean_ij k(x_i, y_j), computed in
    O(chunk max(n, m)) memory. By default the width is the median distance within y.
    """
    return _distance_to(jnp.asarray(y), bandwidth, chunk)(jnp.asarray(x))


def _distance_to(y: Array, bandwidth: float | None = None, chunk: int = 512) -> Callable[[Array], float]:
    scale = 1 / (np.sqrt(2) * (_median_distance(y) if bandwidth is None else bandwidth))
    return partial(_distance, scale, y, mean_over_pairs(_kernel, y, None, chunk, scale), chunk)


def _distance(scale: float, y: Array, within_y: float, chunk: int, x: Array) -> float:
    within_x = mean_over_pairs(_kernel, x, None, chunk, scale)
    return within_x + within_y - 2 * mean_over_pairs(_kernel, x, y, chunk, scale)


def _kernel(squared: Array) -> Array:
    return jnp.exp(-squared)


def _median_distance(y: Array) -> float:
    """Median distance over pairs of evenly spaced points; if most are equal, tiny beside the largest, not zero."""
    distances = pdist(np.asarray(y, float)[:: -(-len(y) // FOR_BANDWIDTH)])
    return float(np.median(distances)) or 1e-12 * float(distances.max()) or 1e-12


SPEC = MetricSpec(
    name="mmd",
    label="MMD, squared",
    run=lambda c: mmd(c.x, c.truth, c.key, null_sets=c.null_sets),
    by_default=lambda c: False,  # it costs as much as `energy` and sees no more
    applies_to="any reference; only if named",
    sees="what `energy` sees, at the same cost",
)
