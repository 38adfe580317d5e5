"""Simulation-based calibration: do true parameters rank among draws from their posteriors as draws do?"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.checks import at_least, finite
from jaxsamp.core.types import Array
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.ranks import randoms, ranks_of, simulations

BINS, PER_BIN = 20, 5  # the most bins by default, and the least expected number of ranks in each


class SBC(NamedTuple):
    """The result of `sbc_ranks`, of Q quantities.

    Attributes:
        ranks: number of draws below the truth, (n, Q), from 0 to m.
        draws: m.
        counts: ranks in each bin, (Q, B).
        expected: their mean if the posteriors are exact, (B,).
        band: (2, B), the range of each count such that all B of one quantity are inside for 99 % of exact posteriors or
            more, binomial with Bonferroni's correction.
        metrics: of each quantity the chi-square statistic of its counts, with its null band and one-sided p-value.
    """

    ranks: np.ndarray
    draws: int
    counts: np.ndarray
    expected: np.ndarray
    band: np.ndarray
    metrics: tuple[Metric, ...]

    @property
    def p_value(self) -> float:
        """That of all quantities together: Q times the least p-value, at most 1 (Bonferroni)."""
        return float(min(1.0, len(self.metrics) * min(metric.p_value for metric in self.metrics)))


def sbc_ranks(
    parameters: Float[Array | np.ndarray, "n *event"],
    draws: Float[Array | np.ndarray, "n m *event"],
    key: Array,
    quantities: Callable[[Array], Any] | None = None,
    bins: int | None = None,
) -> SBC:
    """Ranks of true parameters among draws from their posteriors (simulation-based calibration).

    Draw parameters from the prior, an observation of each, and m draws from the posterior given each observation. If
    the posteriors are exact, a parameter and its draws are exchangeable, so the rank of any quantity f,

        r_i = #{j : f(draw_ij) < f(parameter_i)},

    is uniform on 0 ... m, and those of different i are independent. Posteriors that are too narrow give too many ranks
    at both ends, those too wide too many in the middle, and a bias gives a slope. The null law of ranks is exact for
    any n and m; that of the p-value is chi-square with B - 1 degrees of freedom, for n ranks in B bins of m + 1 ranks
    as equally as they can be divided. Draws of one posterior must be independent: thin those of a chain.

    A posterior that ignores its observation, such as the prior, passes for every function of the parameter alone. To
    see it, test a quantity of the observation too, such as its likelihood, given as the parameters: `parameters` =
    log p(y_i | parameter_i), (n,), and `draws` = log p(y_i | draw_ij), (n, m).

    Args:
        parameters: the true ones, from the prior, (n, *event).
        draws: from the posterior of each, (n, m, *event).
        key: a typed key; places parameters among draws that are equal to them.
        quantities: (k, *event) -> (k, Q). None: each number of an event.
        bins: B, from 2 to m + 1. None: at most 20, with 5 or more expected ranks in each.

    Returns:
        Ranks, their histogram with its band, and the test of each quantity.

    Raises:
        TypeError, ValueError: an argument is not as above or not finite; or n is less than 10 and bins is None.

    Source: Talts et al., "Validating Bayesian Inference Algorithms with Simulation-Based Calibration", arXiv
    1804.06788; on quantities of the observation, Modrak et al., "Simulation-Based Calibration Checking for Bayesian
    Computation: The Choice of Test Quantities Shapes Sensitivity", arXiv 2211.02383.
    """
    values, others = simulations(parameters, draws)
    if quantities is not None:
        event = np.shape(parameters)[1:]
        values, others = (_applied(quantities, np.asarray(a), event) for a in (parameters, draws))
    n, m, count = others.shape
    if bins is None:
        bins = min(BINS, m + 1, n // PER_BIN)
        if bins < 2:
            raise ValueError(f"parameters must hold at least {2 * PER_BIN} of them, or bins be given; got {n}.")
    if at_least("bins", bins, 2) > m + 1:
        raise ValueError(f"bins must be at most m + 1 = {m + 1}, the number of ranks; got {bins}.")
    ranks = ranks_of(values, others, randoms(key))
    places = np.arange(m + 1) * bins // (m + 1)
    shares = np.bincount(places) / (m + 1)
    counts = np.stack([np.bincount(places[ranks[:, q]], minlength=bins) for q in range(count)])
    band = stats.binom(n, shares).ppf(np.array([[TAIL / bins], [1 - TAIL / bins]]))
    return SBC(ranks, m, counts, n * shares, band, tuple(_chi_square(c, n * shares) for c in counts))


def _chi_square(counts: np.ndarray, expected: np.ndarray) -> Metric:
    value, null = float(np.sum((counts - expected) ** 2 / expected)), stats.chi2(len(counts) - 1)
    low, high = null.ppf([TAIL, 1 - TAIL])
    z = standardized(value, null.mean(), null.std())
    return Metric(value, None, float(low), float(high), float(null.sf(value)), z)


def _applied(quantities: Callable[[Any], Any], a: np.ndarray, event: tuple[int, ...]) -> np.ndarray:
    """The quantities of an array of events, (..., Q), in float64."""
    shape = a.shape[: a.ndim - len(event)]
    found = finite("quantities", quantities(a.reshape(-1, *event))).astype(float)
    if found.ndim != 2 or len(found) != np.prod(shape) or not found.shape[1]:
        raise ValueError(f"quantities must return (k, Q) for k = {np.prod(shape)} events; got {found.shape}.")
    return found.reshape(*shape, -1)
