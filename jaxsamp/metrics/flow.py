"""Total variation and KL divergence of a deterministic sampler from a known law, from its own density."""

from typing import Any

import numpy as np
from scipy import stats

from jaxsamp.core.checks import finite
from jaxsamp.core.types import Level
from jaxsamp.metrics.null import TAIL, Metric
from jaxsamp.metrics.truth import Truth, array_of, at_level

ROUNDING = 1e-4  # error of both divergences; in float32 log densities have errors of about 1e-5


def flow_tv(flow: Any, law: Any, level: Level | None = None, null: Any = None) -> Metric:
    """Total variation between the law q of a deterministic sampler's outputs and a known law p, E_q (1 - p / q)_+.

    It is the distance itself, in [0, 1], not a test that can miss a difference. It is a mean of numbers in [0, 1], so
    its standard error is known and at most 1 / (2 sqrt(n)). It does not see regions that none of the n samples
    reached, but it does see that their mass is missing elsewhere.

    Args:
        flow: the result of `jaxsamp.sample_and_log_prob`.
        law: p, with `log_prob(x, level)`.
        level: the level at which the flow ended, with its alpha under the denoiser's schedule.
        null: the flow of the exact denoiser of `law` under the same sampler and grid. It has the errors of the
            sampler; further errors of `flow` are those of its denoiser. None: the exact flow, whose distance is 0.

    Returns:
        The distance, its standard error, the band of flows like `null`, and a one-sided p-value.

    Raises:
        TypeError, ValueError: an argument is not as above, or not finite.
    """
    own, base = _log_ratios(flow, law, level, null)
    return _judged(_shortfall(own), None if base is None else _shortfall(base))


def flow_kl(flow: Any, law: Any, level: Level | None = None, null: Any = None) -> Metric:
    """Kullback-Leibler divergence of a deterministic sampler's outputs from a known law, E_q [log q - log p], in nats.

    Its estimate may be negative. Outputs where p is small have large terms, up to infinity, while in `flow_tv` a
    term is at most 1; for the same n its relative error is larger. Arguments and results are those of `flow_tv`.
    """
    own, base = _log_ratios(flow, law, level, null)
    return _judged(-own, None if base is None else -base)


def _shortfall(log_ratio: np.ndarray) -> np.ndarray:
    """(1 - p / q)_+."""
    return -np.expm1(np.minimum(log_ratio, 0))


def _log_ratios(flow: Any, law: Any, level: Level | None, null: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """log p / q of each sample of both flows."""
    truth = at_level(law, level)
    if not truth.has_density:
        raise ValueError("law must have `log_prob` at this level.")
    return _log_ratio(flow, truth), None if null is None else _log_ratio(null, truth)


def _log_ratio(flow: Any, truth: Truth) -> np.ndarray:
    x, log_prob = array_of("flow.x", flow.x), finite("flow.log_prob", flow.log_prob).astype(float)
    if x.shape[1:] != truth.event or log_prob.shape != x.shape[:1]:
        raise ValueError(
            f"flow must hold x of shape (n, {', '.join(map(str, truth.event))}) and log_prob of shape (n,); got "
            f"{x.shape} and {log_prob.shape}."
        )
    return truth.log_prob(x) - log_prob


def _judged(terms: np.ndarray, null: np.ndarray | None) -> Metric:
    """The mean of the terms, judged by a normal law around the mean of the null's terms."""
    n, value = len(terms), terms.mean()
    stderr = terms.std(ddof=1) / np.sqrt(n) if np.isfinite(value) else None
    if null is None:
        expected, scatter = 0.0, stderr or 0.0
    else:
        expected, scatter = null.mean(), null.std(ddof=1) * np.sqrt(1 / n + 1 / len(null))
    scatter = np.hypot(scatter, ROUNDING)
    half = stats.norm.isf(TAIL) * scatter
    z = float((value - expected) / scatter)
    return Metric(
        value=float(value),
        stderr=None if stderr is None else float(stderr),
        null_low=float(expected - half),
        null_high=float(expected + half),
        p_value=float(stats.norm.sf(z)),
        z=z,
    )
