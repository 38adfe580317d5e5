"""The quality of samples as plain values for JSON: against a law, held-out data, or a reference of your own."""

import math
import platform
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxsamp import __version__, metrics
from jaxsamp.core import checks
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import NULL_SETS
from jaxsamp.recipes.measured import against_measurements
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.tasks import SamplingTask

try:
    import resource
except ImportError:  # on Windows
    resource = None

COPIES = "memorization"
MEASURED = ("energy", "sliced_w2")  # metrics of samples that are measured again


def against_law(
    x: np.ndarray, law: Any, key: Array, level: Level | None = None, null_sets: int | None = None
) -> dict[str, Any]:
    """All metrics that apply to samples of `law` at `level`; they test the sampler.

    Args:
        x: samples, (n, *event), or of any other shape with as many numbers.
        law: the law that they should have.
        key: a typed key.
        level: their noise level; None for clean ones.
        null_sets: as for `jaxsamp.evaluate`.

    Returns:
        Per name of a metric: value, null_low, null_high, inside and its other fields.
    """
    results = metrics.evaluate(
        x.reshape(len(x), *law.event_shape), law, key, level=level, null_sets=null_sets or NULL_SETS
    )
    return {name: _plain(metric) for name, metric in results.items()}


def against_data(
    x: np.ndarray, data: LearningData, key: Array, level: Level | None = None, null_sets: int | None = None
) -> dict[str, Any]:
    """Distance to held-out data at the level of the samples, and copies of training data; they test the law that was
    made from the data.
    """
    if data.fit_features is None:
        results = {"energy": _plain(metrics.energy(x, data.held_out, key, level, null_sets=null_sets or NULL_SETS))}
    else:
        features = data.fit_features()
        frechet = metrics.frechet(x, data.held_out, key, features, level, null_sets=null_sets or NULL_SETS)
        results = {"frechet": _plain(frechet) | _floor(features, data)}
    return results | {COPIES: _plain(metrics.memorization(x, data.train, data.held_out))}


def against_reference(
    x: np.ndarray,
    data: LearningData,
    key: Array,
    level: Level | None = None,
    names: Sequence[str] | None = None,
    null_sets: int | None = None,
) -> dict[str, Any]:
    """The metrics called `names`, or all that apply, against a law or data; copies are counted at any level.

    Where the data are measurements, the samples are measured again; see `against_measurements`.

    Args:
        x: samples, (n, *event).
        data: see `load_reference` or `load`.
        key: a typed key.
        level: the noise level of the samples, which the truth gets too.
        names: names of metrics; None for all that apply.
        null_sets: as for `jaxsamp.evaluate`.

    Raises:
        ValueError: samples and reference differ in shape; or as `jaxsamp.evaluate`.
    """
    if x.shape[1:] != data.event:
        raise ValueError(f"reference must have samples of shape {x.shape[1:]}, like x; got {data.event}.")
    if data.measured is not None:
        for name in names or ():
            checks.one_of("metrics, for measurements,", name, MEASURED)
        found = against_measurements(x, data.held_out_measured, key, null_sets or NULL_SETS)
        return {name: _plain(metric) for name, metric in found.items() if names is None or name in names}
    if data.law is not None:
        results = metrics.evaluate(x, data.law, key, None, names, level, null_sets or NULL_SETS)
        return {name: _plain(metric) for name, metric in results.items()}
    features = None if data.fit_features is None else data.fit_features()
    chosen = None if names is None else [name for name in names if name != COPIES]
    results = (
        {} if chosen == [] else metrics.evaluate(x, data.held_out, key, features, chosen, level, null_sets or NULL_SETS)
    )
    results.pop(COPIES, None)
    plain = {name: _plain(metric) for name, metric in results.items()}
    if "frechet" in plain:
        plain["frechet"] |= _floor(features, data)
    if names is None or COPIES in names:
        held_out = None if data.held_out is data.train else data.held_out
        plain[COPIES] = _plain(metrics.memorization(x, data.train, held_out))
    return plain


def report(key: Array, task: SamplingTask, x: np.ndarray, level: Level) -> dict[str, dict[str, Any]]:
    """The metrics of `jaxsamp sample`: samples of a task against its law, as "law", and its data, as "data".

    Of a network that has learned from measurements, also of samples that are measured again, as "measurements".
    """
    for_law, for_data, for_measurements = jax.random.split(key, 3)
    results = {}
    if task.law is not None:
        results["law"] = against_law(x, task.law, for_law, level)
    if task.data.train is not None:
        results["data"] = against_data(x, task.data, for_data, level)
    if task.data.measured is not None:
        found = against_measurements(x, task.data.held_out_measured, for_measurements, NULL_SETS)
        results["measurements"] = {name: _plain(metric) for name, metric in found.items()}
    return results


def score_errors(
    key: Array,
    denoiser: Any,
    law: Any,
    levels: Sequence[float] = (),
    samples: int = 4096,
    microbatch: int | None = None,
) -> list[dict[str, float]]:
    """The error of a denoiser against the exact one of a law, one row per noise level; see `jaxsamp.score_error`.

    Args:
        key: a typed key.
        denoiser: a learned denoiser.
        law: the law of the exact denoiser.
        levels: noise levels sigma / alpha; by default eight from 80 to 0.02.
        samples: number of samples at each level.
        microbatch: largest number of samples at a time.

    Returns:
        Rows with level, lambda, relative, stderr, score, mse and bayes, from noisy to clean.

    Raises:
        ValueError: a level is not finite and above 0; or as `jaxsamp.score_error`.
    """
    for level in levels:
        if not (level > 0 and math.isfinite(level)):
            raise ValueError(f"levels must be finite and above 0; got {level}.")
    given = np.array(sorted(levels, reverse=True)) if levels else None
    error = metrics.score_error(key, denoiser, law, given, samples=samples, microbatch=microbatch)
    columns = {"level": np.exp(-error.lam), "lambda": error.lam, "relative": error.relative}
    columns |= {"stderr": error.stderr, "score": error.score, "mse": error.mse, "bayes": error.bayes}
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def about(law: Any, data: LearningData) -> dict[str, Any]:
    """What was sampled, with which software and on which device."""
    device, weights = jax.local_devices()[0], getattr(law, "weights", None)
    learned, held_out = data.train, data.held_out
    if data.measured is not None:
        learned, held_out = data.measured, data.held_out_measured
    return {
        "law": None if law is None else type(law).__name__,
        "components": None if weights is None else np.size(weights),
        "train": None if learned is None else len(learned),
        "held_out": None if held_out is None else len(held_out),
        "versions": {"jaxsamp": __version__, "jax": jax.__version__, "python": platform.python_version()},
        "device": f"{device.device_kind} ({device.platform})",
    }


def peak_memory() -> dict[str, Any]:
    """The peak of memory so far, in bytes, of the accelerator or of this process; None if unknown."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return {"of": "device", "bytes": stats["peak_bytes_in_use"]}
    if resource is None:
        return {"of": "process", "bytes": None}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"of": "process", "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def _floor(features: Any, data: LearningData) -> dict[str, float]:
    """The Frechet distance of the training data, the smallest that a law learned from them can be expected to reach."""
    clean = data.train if data.kinds is None else data.train[data.kinds == 0]
    return {"floor": metrics.frechet_distance(features(clean), features(data.held_out))}


def _plain(metric: metrics.Metric) -> dict[str, Any]:
    """A metric as values for JSON, which has no infinity."""
    values = metric._asdict() | {"inside": bool(metric.inside)}
    return {name: value if value is None or math.isfinite(value) else None for name, value in values.items()}
