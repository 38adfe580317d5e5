"""Tests against a law whose density is known: more sensitive than any distance between samples."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.truth import NULL, Truth, checked

SETS, LEAST = 32, 1024  # moments of the truth, from 32 max(n, 1024) draws: 1.6 % of the standard error
ROUNDING = 1e-6  # of responsibilities and mean log densities, in float32


def occupancy(
    x: Float[Array | np.ndarray, "n *event"], law: Any, key: Array | None = None, level: Level | None = None
) -> Metric:
    """Total variation between the weights of a mixture and the mean responsibilities of the samples.

    TV = 1/2 sum_k |mean_i r_k(x_i) - w_k|, r_k(x) = P(component k | x), in [0, 1]. It sees lost and overweighted
    modes. For true samples mean_i r(x_i) - w has covariance C / n, C = Cov r(X): the null band of TV is that of a
    normal vector with this covariance. The p-value is that of n (r - w)^T C^-1 (r - w), chi-square with K - 1
    degrees of freedom (fewer where components cannot be told apart); it also sees losses of rare modes that leave
    TV inside its band, so the two may disagree. Both need about n w_k >= 5 in every mode.

    Args:
        x: samples, (n, *event).
        law: a mixture, with `weights` (K,), K >= 2, and `responsibilities(x, level) -> (n, K)`.
        key: draws the true samples; None with a `NullBank` for the law.
        level: the noise level of x; None for clean samples.

    Returns:
        TV with its null band and the chi-square p-value.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.
    """
    x, truth, key = checked(x, law, key, level)
    if not truth.has_components:
        raise ValueError("law must be a mixture with `responsibilities` and two or more `weights`.")
    n = len(x)
    _, cov, drawn = truth.recall(("occupancy", n), lambda: _moments(truth.responsibilities, n, truth, key))
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


def log_density(
    x: Float[Array | np.ndarray, "n *event"], law: Any, key: Array | None = None, level: Level | None = None
) -> Metric:
    """Mean log density of the samples less its known value, mean_i log p(x_i) - E_p log p(X), in nats.

    Negative: the samples are spread too widely (noise left over); positive: too narrowly. It sees errors of scale
    that distances between samples do not. The known value is the mean over true samples, many enough to add 1.6 %
    to the standard error. The test is the z-test.

    Args:
        x: samples, (n, *event).
        law: any law with `log_prob(x, level) -> (n,)`.
        key: draws the true samples; None with a `NullBank` for the law.
        level: the noise level of x; None for clean samples.

    Returns:
        The difference, with its standard error and the band for true samples. If a sample is where the density is
        zero, the difference is -inf and has no standard error.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.
    """
    x, truth, key = checked(x, law, key, level)
    if not truth.has_density:
        raise ValueError("law must have `sample` and, at this level, `log_prob`.")
    n = len(x)
    mean, cov, drawn = truth.recall(("log_density", n), lambda: _moments(truth.log_prob, n, truth, key))
    logp, variance = truth.log_prob(x), cov.item()
    value = logp.mean() - mean.item()
    scatter = max(np.sqrt(variance * (1 / n + 1 / drawn)), ROUNDING)  # a uniform law has no variance
    half = float(stats.norm.isf(TAIL) * scatter)
    return Metric(
        value=float(value),
        stderr=float(np.sqrt(logp.var(ddof=1) / n + variance / drawn)) if np.isfinite(value) else None,
        null_low=-half,
        null_high=half,
        p_value=float(2 * stats.norm.sf(abs(value) / scatter)),
        z=float(value / scatter),
    )


def _moments(
    function: Callable[[Array], np.ndarray], n: int, truth: Truth, key: Array
) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean, covariance and number of draws of function(X) for true X, set by set to bound the memory."""
    size, key_null = max(n, LEAST), jax.random.fold_in(key, NULL)
    means, covs = [], []
    for i in range(SETS):
        values = function(truth.draw(key_null, i, size)).reshape(size, -1)
        means.append(values.mean(0))
        covs.append(np.atleast_2d(np.cov(values, rowvar=False)))
    return np.mean(means, axis=0), np.mean(covs, axis=0), SETS * size
