"""What a run cost and how good its samples are: as JSON for programs, as a short table for people."""

import json
import math
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import jaxsamp as js
from jaxsamp import metrics
from jaxsamp.cli.data import Source
from jaxsamp.core.types import Level

try:
    import resource
except ImportError:  # Windows has none
    resource = None

REFERENCES = {"law": "against the law", "data": "against held-out data", "samples": "against true samples"}


class Stages:
    """Seconds by stage, with a line on the terminal while one runs."""

    def __init__(self, shown: bool):
        self.seconds: dict[str, float] = {}
        self._shown = shown

    @contextmanager
    def __call__(self, name: str, doing: str = "") -> Iterator[None]:
        """Time what is inside as `name`, showing `doing` if there is something to show."""
        start = time.perf_counter()
        with Console(stderr=True).status(doing) if self._shown and doing else nullcontext():
            yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def against_law(x: np.ndarray, law: Any, key: jax.Array, level: Level) -> dict[str, Any]:
    """Every metric that applies to samples of `law` at `level`: these test the sampler."""
    found = js.evaluate(x.reshape(len(x), *law.event_shape), law, key, level=level)
    return {name: _plain(metric) for name, metric in found.items()}


def against_data(x: np.ndarray, source: Source, key: jax.Array) -> dict[str, Any]:
    """Likeness to held-out data, and copying of training data: these test the law that the data became."""
    if source.fit_features is None:
        found = {"energy": _plain(metrics.energy(x, source.held_out, key))}
    else:
        features = source.fit_features()
        found = {"frechet": _plain(metrics.frechet(x, source.held_out, key, features)) | _floor(features, source)}
    return found | {"memorization": _plain(metrics.memorization(x, source.train, source.held_out))}


def against_reference(
    x: np.ndarray, source: Source, key: jax.Array, level: Level | None, names: Sequence[str] | None
) -> dict[str, Any]:
    """Metrics of that name, or all that apply, against a law or data; copies are looked for whatever the level."""
    if source.law is not None:
        return {name: _plain(metric) for name, metric in js.evaluate(x, source.law, key, None, names, level).items()}
    features = None if source.fit_features is None else source.fit_features()
    asked = None if names is None else [name for name in names if name != "memorization"]
    found = {} if asked == [] else js.evaluate(x, source.held_out, key, features, asked, level)
    found.pop("memorization", None)
    plain = {name: _plain(metric) for name, metric in found.items()}
    if "frechet" in plain:
        plain["frechet"] |= _floor(features, source)
    if names is None or "memorization" in names:
        held_out = None if source.held_out is source.train else source.held_out
        plain["memorization"] = _plain(metrics.memorization(x, source.train, held_out))
    return plain


def costs(stats: dict[str, Any]) -> dict[str, Any]:
    """Network calls for one sample, on average, and the most that any took where they differ."""
    found = {}
    for cost in ("evaluations", "rounds"):
        values = np.asarray(stats[cost])
        found[cost] = int(values[0]) if (values == values[0]).all() else float(values.mean())
        found[f"{cost}_most"] = int(values.max())
    return found


def peak_memory() -> dict[str, Any]:
    """The most memory held so far, in bytes: that of the accelerator, or of this process; None if unknown."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return {"of": "device", "bytes": stats["peak_bytes_in_use"]}
    if resource is None:
        return {"of": "process", "bytes": None}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"of": "process", "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def about(law: Any, source: Source) -> dict[str, Any]:
    """What was sampled, with which software and on what."""
    device, weights = jax.local_devices()[0], getattr(law, "weights", None)
    return {
        "law": None if law is None else type(law).__name__,
        "components": None if weights is None else np.size(weights),
        "train": None if source.train is None else len(source.train),
        "held_out": None if source.held_out is None else len(source.held_out),
        "versions": {"jaxsamp": js.__version__, "jax": jax.__version__, "python": platform.python_version()},
        "device": f"{device.device_kind} ({device.platform})",
    }


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON."""
    path.write_text(json.dumps(report, indent=2, allow_nan=False, default=str) + "\n")


def show(name: str, headline: str, report: dict[str, Any], out: Path) -> None:
    """Print a report as a line and a short table."""
    console = Console(highlight=False)
    console.print(f"[bold]{escape(name)}[/]: {escape(headline)}", soft_wrap=True)
    if report["metrics"]:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("metric")
        table.add_column("value", justify="right")
        table.add_column("true samples give", justify="right")
        table.add_column("")
        for reference, found in report["metrics"].items():
            table.add_section()
            table.add_row(f"[dim]{REFERENCES[reference]}[/]")
            for row in (row for name, metric in found.items() for row in _rows(name, metric)):
                table.add_row(*row)
        console.print(table)
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in report["seconds"].items())
    console.print(f"seconds: {seconds}", soft_wrap=True)
    console.print(f"written: {', '.join(report['files'])} in {out}", soft_wrap=True, markup=False)


def _floor(features: Any, source: Source) -> dict[str, float]:
    """The Frechet distance of the training data, which no law learned from them can be expected to fall below."""
    return {"floor": metrics.frechet_distance(features(source.train), features(source.held_out))}


def _rows(name: str, metric: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    value, low, high = (_shown(metric[entry]) for entry in ("value", "null_low", "null_high"))
    verdict = "[green]inside[/]" if metric["inside"] else "[yellow]outside[/]"
    yield f"  {metrics.label(name)}", value, f"{low} to {high}", verdict
    if "floor" in metric:
        yield "    of training data", _shown(metric["floor"])


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _plain(metric: metrics.Metric) -> dict[str, Any]:
    """A metric for JSON, which knows no infinity."""
    values = metric._asdict() | {"inside": bool(metric.inside)}
    return {name: value if value is None or math.isfinite(value) else None for name, value in values.items()}
