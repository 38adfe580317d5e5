"""Mean log density of the samples under a known law."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.moments import ROUNDING, moments
from jaxsamp.metrics.null import TAIL, Metric
from jaxsamp.metrics.spec import Comparison, MetricSpec
from jaxsamp.metrics.truth import prepared


def log_density(
    x: Float[Array | np.ndarray, "n *event"], law: Any, key: Array | None = None, level: Level | None = None
) -> Metric:
    """Mean log density of the samples minus its known value, mean_i log p(x_i) - E_p log p(X), in nats.

    If it is negative, the samples are spread too widely (noise is left over); if positive, too narrowly. It sees errors
    of scale that distances between samples do not see. The known value is the mean over true samples, enough of them
    to add only 1.6 % to the standard error. The test is the z-test.

    Args:
        x: samples, (n, *event).
        law: any law with `log_prob(x, level) -> (n,)`.
        key: draws the true samples; None with a `NullBank` in place of the law.
        level: the noise level of x; None for clean samples.

    Returns:
        The difference, with its standard error and the band of true samples. If the density is zero at a
        sample, the difference is -inf and has no standard error.

    Raises:
        TypeError, ValueError: an argument is not as above, or x is not finite.
    """
    x, truth, key = prepared(x, law, key, level)
    if not truth.has_density:
        raise ValueError("law must have `sample` and, at this level, `log_prob`.")
    n = len(x)
    mean, cov, drawn = truth.recall(("log_density", n), lambda: moments(truth.log_prob, n, truth, key))
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


def _needs(comparison: Comparison) -> str | None:
    return None if comparison.truth.has_density else "a law with `log_prob` at this level"


SPEC = MetricSpec(
    name="log_density",
    label="log density",
    run=lambda c: log_density(c.x, c.truth, c.key),
    needs=_needs,
    applies_to="a law with `log_prob`",
    sees="noise left over, wrong scale",
)
