"""How good samples are, as plain values for JSON: against a law, held-out data, or a reference of one's own."""

import math
import platform
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxsamp import __version__, metrics
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import NULL_SETS
from jaxsamp.recipes.data import LearningData
from jaxsamp.recipes.tasks import SamplingTask

try:
    import resource
except ImportError:  # Windows has none
    resource = None

COPIES = "memorization"


def against_law(
    x: np.ndarray, law: Any, key: Array, level: Level | None = None, null_sets: int | None = None
) -> dict[str, Any]:
    """Every metric that applies to samples of `law` at `level`: these test the sampler.

    Args:
        x: samples, (n, *event), or in any other shape of as many numbers.
        law: the law that they must have.
        key: a typed key.
        level: their noise level; None for clean ones.
        null_sets: as for `jaxsamp.evaluate`.

    Returns:
        By name of the metric: value, null_low, null_high, inside and what else it has.
    """
    found = metrics.evaluate(
        x.reshape(len(x), *law.event_shape), law, key, level=level, null_sets=null_sets or NULL_SETS
    )
    return {name: _plain(metric) for name, metric in found.items()}


def against_data(x: np.ndarray, data: LearningData, key: Array, null_sets: int | None = None) -> dict[str, Any]:
    """Likeness to held-out data, and copying of training data: these test the law that the data became."""
    if data.fit_features is None:
        found = {"energy": _plain(metrics.energy(x, data.held_out, key, null_sets=null_sets or NULL_SETS))}
    else:
        features = data.fit_features()
        frechet = metrics.frechet(x, data.held_out, key, features, null_sets=null_sets or NULL_SETS)
        found = {"frechet": _plain(frechet) | _floor(features, data)}
    return found | {COPIES: _plain(metrics.memorization(x, data.train, data.held_out))}


def against_reference(
    x: np.ndarray,
    data: LearningData,
    key: Array,
    level: Level | None = None,
    names: Sequence[str] | None = None,
    null_sets: int | None = None,
) -> dict[str, Any]:
    """Metrics of that name, or all that apply, against a law or data; copies are looked for whatever the level.

    Args:
        x: samples, (n, *event).
        data: see `load_reference` or `load`.
        key: a typed key.
        level: the noise level of the samples, at which the truth is taken.
        names: of metrics; None for all that apply.
        null_sets: as for `jaxsamp.evaluate`.

    Raises:
        ValueError: samples of another shape than the reference; or as `jaxsamp.evaluate`.
    """
    if x.shape[1:] != data.event:
        raise ValueError(
            f"reference must have samples of shape {x.shape[1:]}, as those to compare have; got {data.event}."
        )
    if data.law is not None:
        found = metrics.evaluate(x, data.law, key, None, names, level, null_sets or NULL_SETS)
        return {name: _plain(metric) for name, metric in found.items()}
    features = None if data.fit_features is None else data.fit_features()
    asked = None if names is None else [name for name in names if name != COPIES]
    found = (
        {} if asked == [] else metrics.evaluate(x, data.held_out, key, features, asked, level, null_sets or NULL_SETS)
    )
    found.pop(COPIES, None)
    plain = {name: _plain(metric) for name, metric in found.items()}
    if "frechet" in plain:
        plain["frechet"] |= _floor(features, data)
    if names is None or COPIES in names:
        held_out = None if data.held_out is data.train else data.held_out
        plain[COPIES] = _plain(metrics.memorization(x, data.train, held_out))
    return plain


def report(key: Array, task: SamplingTask, x: np.ndarray, level: Level) -> dict[str, dict[str, Any]]:
    """What `jaxsamp sample` prints: samples of a task against its law, as "law", and against the data, as "data"."""
    for_law, for_data = jax.random.split(key)
    found = {}
    if task.law is not None:
        found["law"] = against_law(x, task.law, for_law, level)
    if task.data.train is not None:
        found["data"] = against_data(x, task.data, for_data)
    return found


def score_errors(
    key: Array,
    denoiser: Any,
    law: Any,
    levels: Sequence[float] = (),
    samples: int = 4096,
    microbatch: int | None = None,
) -> list[dict[str, float]]:
    """One row for each noise level: how far a denoiser is from the exact one of a law; see `jaxsamp.score_error`.

    Args:
        key: a typed key.
        denoiser: a learned one.
        law: the law whose denoiser is exact.
        levels: noise levels sigma / alpha; by default eight from 80 to 0.02.
        samples: number of samples at each level.
        microbatch: at most so many at a time.

    Returns:
        Rows with level, lambda, relative, stderr, score, mse and bayes, from noisy to clean.

    Raises:
        ValueError: a level that is not finite and above 0; or as `jaxsamp.score_error`.
    """
    for level in levels:
        if not (level > 0 and math.isfinite(level)):
            raise ValueError(f"levels must be finite and above 0; got {level}.")
    given = np.array(sorted(levels, reverse=True)) if levels else None
    found = metrics.score_error(key, denoiser, law, given, samples=samples, microbatch=microbatch)
    columns = {"level": np.exp(-found.lam), "lambda": found.lam, "relative": found.relative}
    columns |= {"stderr": found.stderr, "score": found.score, "mse": found.mse, "bayes": found.bayes}
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def about(law: Any, data: LearningData) -> dict[str, Any]:
    """What was sampled, with which software and on what."""
    device, weights = jax.local_devices()[0], getattr(law, "weights", None)
    return {
        "law": None if law is None else type(law).__name__,
        "components": None if weights is None else np.size(weights),
        "train": None if data.train is None else len(data.train),
        "held_out": None if data.held_out is None else len(data.held_out),
        "versions": {"jaxsamp": __version__, "jax": jax.__version__, "python": platform.python_version()},
        "device": f"{device.device_kind} ({device.platform})",
    }


def peak_memory() -> dict[str, Any]:
    """The most memory held so far, in bytes: that of the accelerator, or of this process; None if unknown."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return {"of": "device", "bytes": stats["peak_bytes_in_use"]}
    if resource is None:
        return {"of": "process", "bytes": None}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"of": "process", "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def _floor(features: Any, data: LearningData) -> dict[str, float]:
    """The Frechet distance of the training data, which no law learned from them can be expected to fall below."""
    return {"floor": metrics.frechet_distance(features(data.train), features(data.held_out))}


def _plain(metric: metrics.Metric) -> dict[str, Any]:
    """A metric for JSON, which knows no infinity."""
    values = metric._asdict() | {"inside": bool(metric.inside)}
    return {name: value if value is None or math.isfinite(value) else None for name, value in values.items()}
