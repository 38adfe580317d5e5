"""The weights of the components of a mixture, estimated from samples."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.moments import ROUNDING, moments
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.spec import Comparison, MetricSpec
from jaxsamp.metrics.truth import prepared


def occupancy(
    x: Float[Array | np.ndarray, "n *event"], law: Any, key: Array | None = None, level: Level | None = None
) -> Metric:
    """Total variation between the weights of a mixture and the mean responsibilities of the samples.

    TV = 1/2 sum_k |mean_i r_k(x_i) - w_k|, r_k(x) = P(component k | x), in [0, 1]. It sees lost and overweighted
    modes. For true samples mean_i r(x_i) - w has covariance C / n, C = Cov r(X), and the null band of TV is that of a
    normal vector with this covariance. The p-value is that of n (r - w)^T C^-1 (r - w), which is chi-square with K - 1
    degrees of freedom (fewer if components coincide). It also sees losses of rare modes for which TV stays inside its
    band, so the two may disagree. Both need about n w_k >= 5 in every mode.

    Args:
        x: samples, (n, *event).
        law: a mixture, with `weights`, (K,), K >= 2, and `responsibilities(x, level) -> (n, K)`.
        key: draws the true samples; None with a `NullBank` in place of the law.
        level: the noise level of x; None for clean samples.

    Returns:
        TV with its null band and the chi-square p-value.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.
    """
    x, truth, key = prepared(x, law, key, level)
    if not truth.has_components:
        raise ValueError("law must be a mixture with `responsibilities` and two or more `weights`.")
    n = len(x)
    _, cov, drawn = truth.recall(("occupancy", n), lambda: moments(truth.responsibilities, n, truth, key))
    excess = truth.responsibilities(x).mean(0) - np.asarray(truth.law.weights, float)

    values, vectors = np.linalg.eigh(cov)
    kept = values > max(ROUNDING * values[-1], ROUNDING**2)  # responsibilities sum to one: at least one is zero
    values, vectors, rank = values[kept], vectors[:, kept], int(kept.sum())
    shrink = (drawn - rank - 2) / (drawn - 1)  # the inverse of an estimated covariance is too large on average
    chi2 = n * shrink * np.sum((excess @ vectors) ** 2 / values)

    normal = np.random.default_rng(0).standard_normal((20_000, rank)) * np.sqrt(values / n)
    low, high = np.quantile(np.abs(normal @ vectors.T).sum(1) / 2, [TAIL, 1 - TAIL])
    return Metric(
        value=float(np.abs(excess).sum() / 2),
        stderr=None,
        null_low=float(low),
        null_high=float(max(high, ROUNDING)),
        p_value=float(stats.chi2.sf(chi2, max(rank, 1))),
        z=standardized(chi2, rank, np.sqrt(2 * rank)),
    )


def _needs(comparison: Comparison) -> str | None:
    return None if comparison.truth.has_components else "a law with `responsibilities` and two or more `weights`"


SPEC = MetricSpec(
    name="occupancy",
    label="occupancy",
    run=lambda c: occupancy(c.x, c.truth, c.key),
    needs=_needs,
    applies_to="a law with `weights` and `responsibilities`",
    sees="lost or overweighted modes",
)
