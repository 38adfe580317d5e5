"""Tests of accuracy with random points: the expected coverage of posteriors in balls about random references."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.checks import finite
from jaxsamp.core.types import Array
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.ranks import randoms, ranks_of, simulations

LEVELS = 101  # of the curve that is returned
# Mean and standard deviation of sqrt(n) times the statistic for many n, as Kolmogorov's law has them; SciPy integrates
# those of finite n for seconds.
MEAN = np.sqrt(np.pi / 2) * np.log(2)
SD = np.sqrt(np.pi**2 / 12 - MEAN**2)


class TARP(NamedTuple):
    """The result of `tarp`.

    Attributes:
        ranks: number of draws nearer to the reference than the truth is, (n,), from 0 to m.
        draws: m.
        level: credibility levels from 0 to 1, (L,).
        coverage: the expected coverage at these, (L,), equal to `level` if the posteriors are exact.
        metric: the largest difference of coverage and level, with its null band and one-sided p-value. For exact
            posteriors the whole curve stays within `metric.null_high` of the diagonal 995 times in 1000.
    """

    ranks: np.ndarray
    draws: int
    level: np.ndarray
    coverage: np.ndarray
    metric: Metric


def tarp(
    parameters: Float[Array | np.ndarray, "n *event"],
    draws: Float[Array | np.ndarray, "n m *event"],
    key: Array,
    references: Any = None,
) -> TARP:
    """Expected coverage of posteriors, tested with random points (TARP).

    Draw parameters from the prior, an observation of each, and m draws from the posterior given each observation. For a
    reference point, the ball about it through the parameter contains a fraction of the draws,

        f_i = #{j : |draw_ij - reference_i| < |parameter_i - reference_i|} / m,

    which for exact posteriors is uniform, whatever the references. The coverage at level c is the fraction of i with
    f_i < c. Posteriors that are too narrow have too many f_i at both ends, those too wide too few.

    The distance is Euclidean, with each number of an event divided by its standard deviation over parameters and draws.
    The test is Kolmogorov and Smirnov's of (r_i + U_i) / (m + 1), r_i = m f_i, with U_i uniform on [0, 1): that is
    uniform itself if the posteriors are exact, so the null law is exact for any n and m. Draws of one posterior must be
    independent: thin those of a chain.

    Args:
        parameters: the true ones, from the prior, (n, *event).
        draws: from the posterior of each, (n, m, *event).
        key: a typed key; draws the references and the U_i.
        references: (n, *event), which may depend on the observation i but not on parameter i nor its draws. None:
            uniform over the range of parameters and draws. A posterior that ignores its observation, such as the prior,
            passes unless the references depend on the observations.

    Returns:
        The curve of coverage and its test.

    Raises:
        TypeError, ValueError: an argument is not as above or not finite.

    Source: Lemos, Coogan, Hezaveh and Perreault-Levasseur, "Sampling-Based Accuracy Testing of Posterior Estimators for
    General Inference", arXiv 2302.03026, which does not test the curve.
    """
    values, others = simulations(parameters, draws)
    random, n, m = randoms(key), len(values), others.shape[1]
    # Of each parameter and its draws together: what treats them alike keeps them exchangeable.
    pool = np.concatenate([values[:, None], others], 1).reshape(n * (m + 1), -1)
    spread, low, high = pool.std(0), pool.min(0), pool.max(0)
    if references is None:
        points = random.uniform(low, high, values.shape)
    else:
        points = finite("references", references).astype(float)
        if points.shape != np.shape(parameters):
            raise ValueError(
                f"references must have the shape of parameters, {np.shape(parameters)}; got {points.shape}."
            )
        points = points.reshape(n, -1)
    scale = np.where(spread > 0, spread, 1)
    near, all_near = _squares((values - points) / scale), _squares((others - points[:, None]) / scale)
    ranks = ranks_of(near[:, None], all_near[..., None], random)[:, 0]
    level = np.linspace(0, 1, LEVELS)
    places = np.sort((ranks + random.uniform(size=n)) / (m + 1))
    return TARP(ranks, m, level, np.searchsorted(places, level) / n, _kolmogorov(places))


def _squares(differences: np.ndarray) -> np.ndarray:
    return np.einsum("...d,...d->...", differences, differences)


def _kolmogorov(places: np.ndarray) -> Metric:
    tested = stats.kstest(places, "uniform")
    value, p_value = float(tested.statistic), float(tested.pvalue)
    low, high = _band(len(places))
    z = standardized(np.sqrt(len(places)) * value, MEAN, SD)
    return Metric(value, None, float(low), float(high), p_value, z)


@lru_cache(64)
def _band(n: int) -> np.ndarray:
    """The central 99 % of the statistic."""
    return stats.kstwo(n).ppf([TAIL, 1 - TAIL])
