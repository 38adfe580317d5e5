"""The front door of the metrics."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxsamp.core.protocols import Sampled
from jaxsamp.core.types import Array, ArrayLike, Level
from jaxsamp.metrics.null import NULL_SETS, Metric
from jaxsamp.metrics.registry import METRICS, named, table
from jaxsamp.metrics.spec import Comparison, MetricLike
from jaxsamp.metrics.truth import Truth, prepared


def evaluate(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Sampled | Truth | ArrayLike,
    key: Array | None = None,
    features: Callable[[Array], Any] | None = None,
    metrics: str | MetricLike | Sequence[str | MetricLike] | None = None,
    level: Level | None = None,
    null_sets: int = NULL_SETS,
) -> dict[str, Metric]:
    """Compare samples with the truth: every number comes with the band where true samples fall.

    [table]

    True samples are inside each band 99 times in 100, so with many metrics one may be outside by chance. The density
    of a deterministic sampler says more than samples can: see `flow_tv`.

    Args:
        x: samples, (n, *event), n >= 2; NumPy or JAX. Those in uint8 are pixels, here and in the reference, which count
            as floats from -1 to 1, as in `jaxsamp.fit`.
        reference: an array of true clean samples, (m, *event), or a law: `sample(key, n)`,
            `log_prob(x, level=None)` and, for mixtures, `weights` and `responsibilities(x, level=None)`. To compare
            many sample sets with one law, give a `NullBank` of it, which draws and scores the null sets once.
        key: a typed key. The key that drew the samples may be used again, because all random numbers here are
            independent of theirs. With a bank only `c2st` uses it, and it may be None; see there.
        features: (n, *event) -> (n, F) for "frechet".
        metrics: one or more names in the table, "rao_score_test" for all of its four blocks that have parameters,
            or your own metrics, such as a `jaxsamp.metrics.MetricSpec`. None: all that apply, except "mmd"; Rao's
            test only of blocks with at most n and at most 1,000 parameters, if every weight is 0.01 or more.
        level: the noise level of x, with scalar alpha and sigma: the truth is then the law of alpha x_0 + sigma z.
            None for clean samples.
        null_sets: number of null values of each distance, at least 20; the band is the central 99 % of them, or all
            of them if there are fewer than 199.

    Returns:
        `Metric`s by name, in the order of `metrics`; `metric._asdict()` is ready for JSON.

    Raises:
        TypeError: `key` is not a typed key, `reference` is neither an array nor a law, or an element of
            `metrics` is not a metric.
        ValueError: x or the reference is not finite, has fewer than 2 samples or the wrong event shape; a name is
            unknown, or its metric does not apply.
    """
    given_key = key
    x, truth, key = prepared(x, reference, key, level)
    comparison = Comparison(x, truth, key, given_key, features, null_sets)
    return {metric.name: _run(metric, comparison) for metric in _chosen(metrics, comparison)}


# Without indentation, as Python 3.13 keeps docstrings and 3.11 does not; `python -OO` removes them.
evaluate.__doc__ = (inspect.getdoc(evaluate) or "").replace("[table]", table())


def _chosen(metrics: Any, comparison: Comparison) -> list[MetricLike]:
    """The metrics to run; ValueError if one of them does not apply, or two have the same name."""
    if metrics is None:
        return [metric for metric in METRICS if metric.needs(comparison) is None and metric.by_default(comparison)]
    chosen: dict[str, MetricLike] = {}
    for given in metrics if isinstance(metrics, Sequence) and not isinstance(metrics, str) else [metrics]:
        for metric in _resolved(given, comparison):
            lacks = metric.needs(comparison)
            if lacks is not None:
                raise ValueError(f"metrics: {metric.name!r} does not apply here, because it needs {lacks}.")
            if chosen.setdefault(metric.name, metric) is not metric:
                raise ValueError(f"metrics must have different names; got two different ones named {metric.name!r}.")
    return list(chosen.values())


def _resolved(given: Any, comparison: Comparison) -> Sequence[MetricLike]:
    """The given metric, the metric of that name, or those of a group that apply (all of them if none does)."""
    if isinstance(given, str):
        metrics = named(given)
        return [metric for metric in metrics if metric.needs(comparison) is None] or metrics
    if isinstance(given, MetricLike) and not isinstance(given, type):
        return [given]
    raise TypeError(
        "metrics must be names, or objects with `name`, `label`, `needs` and `run`, such as a "
        f"jaxsamp.metrics.MetricSpec; got a {type(given).__name__}."
    )


def _run(metric: MetricLike, comparison: Comparison) -> Metric:
    result = metric.run(comparison)
    if not isinstance(result, Metric):
        raise TypeError(
            f"metrics: the `run` of {metric.name!r} must return a jaxsamp.metrics.Metric; got a "
            f"{type(result).__name__}."
        )
    return result
