"""Shared by all benchmarks: interleaved timing, one table, one JSON file per script."""

import argparse
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import jaxsamp
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import State
from jaxsamp.samplers import (
    DDIM,
    DDPM,
    DPMSolverPP,
    Heun,
    Midpoint,
    ParallelMidpoint,
    RandomizedMidpoint,
    Sampler,
    UniPC,
)
from jaxsamp.samplers.base import Cost

SAMPLERS = {
    "DDIM": DDIM(),
    "DDPM": DDPM(),
    "Heun": Heun(),
    "Midpoint": Midpoint(),
    "DPMSolverPP2": DPMSolverPP(),
    "DPMSolverPP3": DPMSolverPP(order=3),
    "UniPC2": UniPC(),
    "UniPC3": UniPC(order=3),
    "RandomizedMidpoint": RandomizedMidpoint(),
}


@pytree
@dataclass(frozen=True)
class Counted(ParallelMidpoint):
    """The same, with its iterations as a leaf: one compiled program serves all counts."""

    iterations: Any = 4

    def check(self) -> None:
        """The count may be a tracer, which no check can read."""


@pytree
@dataclass(frozen=True)
class EveryRound(ParallelMidpoint):
    """One window whose step i is its sweep i, so that `save_every=1` keeps where each round would end.

    Its cost is that of the last step; `stats["residual"]` has the change of the path in every sweep, (n, steps), or
    whatever else is `kept`.
    """

    iterations: int | None = field(default=1, metadata={"static": True})  # no sample stops by itself

    def prepare(self, lam: Any, calibration: Any) -> Any:
        """The tables of the window."""
        return super().prepare(lam[jnp.array([0, -1])], calibration)

    def init(self, problem: Any, x: Any) -> Any:
        """What is known before the first sweep."""
        begun = super().init(problem, x)
        known = self._window_sweeps(problem, begun)[1]
        return State(x, (begun, known, jnp.zeros((len(problem.lam) - 1, *self.kept(known).shape), x.dtype)))

    def kept(self, known: Any) -> Any:
        """What is kept of a sweep."""
        return known.change

    def step(self, problem: Any, state: Any, i: Any, rng: Any) -> Any:
        """One sweep."""
        begun, known, all_kept = state.memory
        known = self._window_sweeps(problem, begun)[2](i, known)
        return State(known.path.end, (begun, known, all_kept.at[i].set(self.kept(known))))

    def _window_sweeps(self, problem: Any, begun: Any) -> Any:
        ends = problem._replace(lam=problem.lam[jnp.array([0, -1])])
        return self.sweeps(ends, begun, jnp.zeros((), int), None)  # Gauss nodes need no draws

    def cost(self, state: Any, steps: int) -> Cost:
        """That of `steps` rounds."""
        calls = 0 if self.surrogate is None else 1 + (steps + 1) * self.midpoints
        return Cost(steps, steps * self.midpoints, steps * self.midpoints, state.memory[-1], True, calls)


def g64() -> jaxsamp.targets.GaussianMixture:
    """Five modes of standard deviation 0.3 in 64 dimensions, with weights 0.1 to 0.3."""
    means = np.random.default_rng(12345).standard_normal((5, 64))
    return jaxsamp.targets.GaussianMixture.spherical([0.1, 0.15, 0.2, 0.25, 0.3], means, 0.09)


def g1024() -> jaxsamp.targets.GaussianMixture:
    """Ten equal modes in 1,024 dimensions, whose standard deviations go from 0.05 to 0.6 along the coordinates."""
    means = 0.8 * np.random.default_rng(12345).standard_normal((10, 1024))
    variances = np.exp(2 * np.linspace(np.log(0.05), np.log(0.6), 1024))
    return jaxsamp.targets.GaussianMixture.diagonal([0.1] * 10, means, np.tile(variances, (10, 1)))


def instance(d: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances of a random mixture whose means lie 4 apart in root mean square."""
    rng = np.random.default_rng(100 * d + 10 * k)
    means = rng.normal(size=(k, d)) * 2 * np.sqrt(2 / d)
    covariances = np.empty((k, d, d))
    for i in range(k):
        q, _ = np.linalg.qr(rng.normal(size=(d, d)))
        covariances[i] = (q * np.exp(rng.uniform(np.log(0.25), np.log(2), d))) @ q.T
    return rng.dirichlet(5 * np.ones(k)), means, covariances


def steps_within(sampler: Sampler, evaluations: int) -> int:
    """The largest number of steps that costs at most the given number of evaluations."""
    return max(n for n in range(1, evaluations + 1) if sampler.evaluations(n) <= evaluations)


def interleaved(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, in turn A B C A B C ... after one warm-up, so that a drifting machine is fair to all."""
    for call in calls.values():
        jax.block_until_ready(call())
    seconds = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Median of the paired ratios a / b."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def medians(each: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The median of every column, and as "seeds" all of its values."""
    values = {column: [one[column] for one in each] for column in each[0]}
    return {column: statistics.median(of) for column, of in values.items()} | {"seeds": values}


def over_seeds(
    name: str, title: str, options: argparse.Namespace, of_seed: Callable[..., Iterable[tuple[str, dict[str, float]]]]
) -> None:
    """Medians of what `of_seed(seed, options)` yields, (arm, row), printed as a table; NAME.json has what is done."""
    found: dict[str, list[dict[str, float]]] = {}
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        for arm, row in of_seed(seed, options):
            found.setdefault(arm, []).append(row)
            print(seed, arm, {column: round(value, 3) for column, value in row.items()}, flush=True)
            rows = [{"arm": arm} | medians(each) for arm, each in found.items()]
            write(options.results / f"{name}.json", about(title, options) | {"rows": rows})
    show(title, rows)


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results", help="folder of the JSON")
    return parser


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows as a table, with the columns of the first that are no dicts."""
    table = Table(title=title)
    columns = [column for column, value in rows[0].items() if not isinstance(value, dict)]
    for column in columns:
        table.add_column(column, justify="right" if isinstance(rows[0][column], int | float) else "left")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    Console(width=170).print(table)


def about(title: str, options: argparse.Namespace, packages: Sequence[str] = ()) -> dict[str, Any]:
    """Device, versions (of `packages` too, where they are installed) and settings of a run."""
    device = jax.devices()[0]
    return {
        "title": title,
        "device": device.device_kind if device.platform != "cpu" else f"CPU {platform.machine()}",
        "versions": {"jaxsamp": jaxsamp.__version__, "jax": jax.__version__, "python": platform.python_version()}
        | {package: _version(package) for package in packages},
        "x64": bool(jax.config.read("jax_enable_x64")),
        "settings": {name: value for name, value in vars(options).items() if not isinstance(value, Path)},
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """As JSON; a run that is killed meanwhile leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_text(json.dumps(content, indent=1) + "\n")
    path.with_suffix(".part").replace(path)


def report(
    name: str,
    title: str,
    rows: list[dict[str, Any]],
    options: argparse.Namespace,
    packages: Sequence[str] = (),
    **more: Any,
) -> None:
    """Print the rows as a table and write them to NAME.json, with what `about` says and, unprinted, `more`."""
    show(title, rows)
    write(options.results / f"{name}.json", about(title, options, packages) | {"rows": rows, **more})


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
