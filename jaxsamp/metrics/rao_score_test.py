"""Rao's score test of a Gaussian mixture, one kind of parameter at a time."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.checks import at_least, one_of
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import TAIL, Metric, standardized
from jaxsamp.metrics.rao_scores import BLOCKS, Components, components_of, parameters, scores
from jaxsamp.metrics.spec import Comparison, MetricSpec
from jaxsamp.metrics.truth import NULL, Truth, prepared
from jaxsamp.targets.gaussian_mixture import GaussianMixture

TRUE_SAMPLES, MAX_FOR_VARIANCE = 100_000, 10_000  # number of true samples for F, and for Var |h|^2
SINGULAR = 1e-6  # eigenvalues of the correlations of scores, known to float32 accuracy, that count as zero
LEAST = 1e-5  # root mean square of a score, all of them pure numbers, below which it may be all rounding
MAX_PARAMETERS = 1000  # largest number for a block to be tested by default; takes some seconds
MIN_WEIGHT = 0.01  # smallest for a test by default: TRUE_SAMPLES hold too few of rarer components to estimate F


def rao_score_test(
    x: Float[Array | np.ndarray, "n d"],
    law: Any,
    key: Array | None = None,
    level: Level | None = None,
    blocks: Sequence[str] | None = None,
    true_samples: int = TRUE_SAMPLES,
) -> dict[str, Metric]:
    """Test whether the samples fit the mixture's weights, means and covariances, one test for each kind of parameter.

    With u = C_k^(-1/2) (x - alpha mu_k) in the eigenbasis of C_k = alpha^2 S_k + sigma^2 I and responsibilities r_k,
    the scores g = grad_theta log p(x) are, up to linear maps, which do not change the test,

        weights   r_k - w_k          K - 1          cov_diag  r_k (u_i^2 - 1)   K d
        means     r_k u_i            K d            cov_off   r_k u_i u_j       K d (d - 1) / 2

    with mean zero and covariance F under the law. For each block of q scores the statistic is

        T = n gbar^T F^-1 gbar (N - q - 1) / N,

    where F is estimated by the mean of g g^T over N true samples. Under the law T has mean q and variance 2 q +
    (Var |h|^2 - 2 q) / n, h = F^(-1/2) g, and is approximated by a gamma law with these moments, which is
    chi-square with q degrees of freedom if n is much larger than q. It is the most sensitive test of samples of a
    mixture: it sees errors that distances between samples do not see. The law is that of alpha x_0 + sigma z;
    covariances may have any form.

    Args:
        x: samples, (n, d).
        law: a `GaussianMixture` or a `NullBank` of one.
        key: draws the true samples; None with a bank.
        level: the noise level of x; None for clean samples.
        blocks: some of "weights", "means", "cov_diag" and "cov_off"; None for all that have parameters.
        true_samples: N, more than q + 1, preferably 1,000 or more in every component: with 30 in one component, true
            samples are rejected three times too often. F costs 2 N q^2 operations in float64.

    Returns:
        For each block T, its band and one-sided p-value, and z = (T - q) / sd(T). Scores that are linear
        functions of others (to a part in a million), or nearly zero, do not count in q; if none does, T is 0.

    Raises:
        TypeError, ValueError: an argument is not as above, x is not finite, or a covariance is singular.

    Rao, Large Sample Tests of Statistical Hypotheses Concerning Several Parameters, 1948.
    """
    x, truth, key = prepared(x, law, key, level)
    if not isinstance(truth.law, GaussianMixture):
        raise TypeError(f"law must be a GaussianMixture for rao_score_test; got a {type(truth.law).__name__}.")
    sizes = parameters(truth)
    if not sizes["means"]:
        raise ValueError("law must have covariances that are not singular at this level for rao_score_test.")
    if blocks is None:
        blocks = [block for block in BLOCKS if sizes[block] > 0]
    for block in blocks:
        if sizes[one_of("blocks", block, BLOCKS)] < 1:
            raise ValueError(f"blocks must be some in which this law has parameters; got {block!r}, where it has none.")
        if at_least("true_samples", true_samples, 3) < sizes[block] + 2:
            raise ValueError(f"true_samples must be at least {sizes[block] + 2} for {block!r}; got {true_samples}.")
    components = components_of(truth)
    return {block: _test(block, x, truth, components, key, true_samples) for block in blocks}


class _Information(NamedTuple):
    """The whitening of the scores of a block: h = whiten^T g has mean zero and covariance one."""

    whiten: np.ndarray  # (q, rank)
    variance: float  # of |h|^2


def _test(block: str, x: Array, truth: Truth, components: Components, key: Array, true_samples: int) -> Metric:
    information = truth.recall(
        ("rao_score_test", block, true_samples), lambda: _information(block, truth, components, key, true_samples)
    )
    n, rank = len(x), information.whiten.shape[1]
    if not rank:
        return Metric(0.0, None, 0.0, 0.0, 1.0, 0.0)
    mean = sum(g.sum(0) for g in scores(block, components, x)) / n @ information.whiten
    shrink = (true_samples - rank - 1) / true_samples  # the inverse of an estimated F is too large on average
    statistic = n * shrink * float(mean @ mean)
    sd = np.sqrt(2 * rank + (information.variance - 2 * rank) / n)
    shape, scale = rank**2 / sd**2, sd**2 / rank
    low, high = stats.gamma.ppf([TAIL, 1 - TAIL], shape, scale=scale)
    p_value = float(stats.gamma.sf(statistic, shape, scale=scale))
    return Metric(statistic, None, float(low), float(high), p_value, standardized(statistic, rank, sd))


def _information(block: str, truth: Truth, components: Components, key: Array, true_samples: int) -> _Information:
    true = truth.draw(jax.random.fold_in(key, NULL), 0, true_samples)
    fisher = sum(g.T @ g for g in scores(block, components, true)) / true_samples
    size = np.sqrt(np.diag(fisher))
    scale = np.where(size > LEAST, 1 / np.maximum(size, LEAST), 0)  # of components in one place weights have no score
    values, vectors = np.linalg.eigh(fisher * scale * scale[:, None])
    kept = values > SINGULAR
    whiten = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    squares = np.concatenate([np.square(g @ whiten).sum(1) for g in scores(block, components, true[:MAX_FOR_VARIANCE])])
    return _Information(whiten, float(squares.var()))


def _needs(comparison: Comparison, block: str) -> str | None:
    has_some = parameters(comparison.truth)[block] > 0
    return None if has_some else "a GaussianMixture with such parameters and no singular covariance"


def _by_default(comparison: Comparison, block: str) -> bool:
    few = parameters(comparison.truth)[block] <= min(len(comparison.x), MAX_PARAMETERS)
    return few and bool(np.min(comparison.truth.law.weights) >= MIN_WEIGHT)


def _run(comparison: Comparison, block: str) -> Metric:
    return rao_score_test(comparison.x, comparison.truth, comparison.key, blocks=(block,))[block]


SPECS = tuple(
    MetricSpec(
        name=f"rao_{block}",
        label=f"Rao's test of {of}",
        run=partial(_run, block=block),
        needs=partial(_needs, block=block),
        by_default=partial(_by_default, block=block),
        group="rao_score_test",
        applies_to="a `GaussianMixture`",
        sees=sees,
    )
    for block, of, sees in (
        ("weights", "weights", "wrong weights"),
        ("means", "means", "shifted components"),
        ("cov_diag", "variances", "components too wide or too narrow along their own axes"),
        ("cov_off", "correlations", "turned or wrongly correlated components"),
    )
)
