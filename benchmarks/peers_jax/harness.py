"""One library's samplers under the same tests, in that library's own environment.

A file of_NAME.py lists `Entry`s and calls `main`. Everyone gets exact denoisers of the same two mixtures and the same
starts. Each entry steps through the library's own public loop, as its documentation has it. The two laws lie inside
[-1, 1], because three of the libraries clip there. jaxsamp is imported for the denoisers, for what samples are compared
with, and to be timed in turn with the entry.
"""

import argparse
import functools
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js

MIXTURES = {  # weights, means, variance; the second is g64, scaled by 0.2
    "plane": ([0.3, 0.45, 0.25], np.array([[-0.5, 0.2], [0.4, 0.5], [0.2, -0.5]]), 0.01),
    "g64": ([0.1, 0.15, 0.2, 0.25, 0.3], 0.2 * np.random.default_rng(12345).standard_normal((5, 64)), 0.0036),
}
LAWS = {name: js.targets.GaussianMixture.spherical(*mixture) for name, mixture in MIXTURES.items()}
FAR = 1e3  # where the flow is begun in place of an infinite sigma / alpha
KEY = 7


class Run(NamedTuple):
    """`call(key, z, first)` -> samples (n, d) over the last alpha; z standard normal (n, d), rows first, first + 1, ...

    `high` and `low` are sigma / alpha at the start, which may be infinite, and of what is returned. Where the library
    draws the starts itself, `drawn(key, n)` says which z they are, and the call uses only the length of its own z.
    """

    call: Callable[[Any, Any, int], Any]
    high: float
    low: float
    drawn: Callable[[Any, int], Any] | None = None


@dataclass(frozen=True)
class Entry:
    """A sampler of the library; `make(law, steps)` gives a `Run`, `setting` says what was set."""

    sampler: str
    setting: str
    make: Callable[[Any, int], Run]
    calls: int = 1  # of the denoiser in a step
    fewer: int = 0  # of them in a run than steps * calls
    stochastic: bool = False
    jit: bool = True  # whether the whole run is compiled as one; otherwise it is called as the library leaves it
    steps: tuple[int, ...] | None = None  # the only numbers of steps it can take

    def run(self, law: str, steps: int) -> Run:
        made = self.make(LAWS[law], steps)
        return made._replace(call=jax.jit(made.call, static_argnums=2)) if self.jit else made


def denoise(law: Any, x: Any, alpha: Any, sigma: Any) -> Any:
    """E[x_0 | x = alpha x_0 + sigma z] for x (n, d) and numbers, or arrays of n of them."""
    level = js.Level(*(jnp.broadcast_to(jnp.ravel(jnp.asarray(v, x.dtype)), len(x)) for v in (alpha, sigma)))
    return law.posterior_mean(x, level)


def moments(law: str) -> tuple[np.ndarray, float]:
    """The mean of a law and the trace of its covariance."""
    weights, means, variance = MIXTURES[law]
    mean = np.asarray(weights) @ means
    return mean, float(np.asarray(weights) @ ((means - mean) ** 2).sum(1)) + variance * len(mean)


def starts(law: str, n: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, *LAWS[law].event_shape)).astype(np.float32)


@functools.cache
def converged(law: str, n: int, high: float, low: float, drawn: Any = None) -> np.ndarray:
    """The ends of the flow from the starts, in float64."""
    z = starts(law, n) if drawn is None else np.asarray(drawn(jax.random.key(KEY), n), np.float32)
    top, bottom = min(high, FAR), max(low, 1e-3)
    with jax.enable_x64(True):
        init = top * jnp.asarray(z, jnp.float64)
        if high > FAR:  # the flow from infinity has come to the mean of the law by then
            init = init + moments(law)[0]
        sampler = js.samplers.UniPC(order=3, lower_order_final=False)
        schedule = js.schedules.VarianceExploding()
        return np.asarray(
            js.sample(
                jax.random.key(0), LAWS[law].denoiser(schedule), init.shape, sampler,
                grid=jnp.geomspace(top, bottom, 1501), init=init, final_denoise=low < bottom,
            ).x
        )  # fmt: skip


@functools.cache
def truth(law: str, n: int, low: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(1000 + seed)
    x = np.asarray(LAWS[law].sample(jax.random.key(1000 + seed), n))
    return x + low * rng.standard_normal(x.shape)


def law_error(law: str, x: np.ndarray, low: float) -> dict[str, float]:
    """Error of the total variance in percent, and the energy distance of 4,000 samples in standard deviations."""
    true = truth(law, 20000, low, 0)
    exact = moments(law)[1] + low**2 * x.shape[1]
    if not np.all(np.isfinite(x)):
        return {"finite": float(np.isfinite(x).all(1).mean())}
    some = min(4000, len(x))
    distance = js.metrics.energy_distance(jnp.asarray(x[:some], jnp.float32), jnp.asarray(true[:some], jnp.float32))
    return {
        "variance_percent": 100 * (float(np.trace(np.cov(x.T))) / exact - 1),
        "energy": float(distance) / exact**0.5,
    }


def null(law: str, n: int, sets: int = 40) -> dict[str, float]:
    """The largest of as many sets of true samples: exceeded by one in `sets` + 1 sets of the right law."""
    each = [law_error(law, truth(law, n, 0.0, 1 + i), 0.0) for i in range(sets)]
    return {column: max(abs(one[column]) for one in each) for column in each[0]}


class Compilations:
    """Counts the programs that XLA compiles."""

    def __init__(self) -> None:
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, *_: Any, **__: Any) -> None:
        self.count += event == "/jax/core/compile/backend_compile_duration"


COMPILATIONS = Compilations()


def ours(law: str, steps: int) -> Callable[[Any, Any], Any]:
    """UniPC of order 2, one compiled run: what others are timed against."""

    @jax.jit
    def call(key: Any, z: Any) -> Any:
        d = LAWS[law].denoiser(js.schedules.VarianceExploding())
        return js.sample(key, d, z.shape, js.samplers.UniPC(), steps, init=80 * z, final_denoise=False).x

    return call


def timed(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begun


def times(entry: Entry, law: str, n: int, steps: int, repeats: int) -> dict[str, Any]:
    """First call, later ones in turn with ours, and what a second call compiles."""
    key, z = jax.random.key(KEY), jnp.asarray(starts(law, n))
    jax.clear_caches()
    run, other = entry.run(law, steps), ours(law, steps)
    call, our = (lambda: run.call(key, z, 0)), (lambda: other(key, z))
    first, our_first = timed(call), timed(our)
    before = COMPILATIONS.count
    again = [timed(call)]
    compiled = COMPILATIONS.count - before
    our_again = [timed(our)]
    for _ in range(repeats - 1):
        again.append(timed(call))
        our_again.append(timed(our))
    return {
        "ms": 1e3 * statistics.median(again),
        "over_ours": statistics.median(a / b for a, b in zip(again, our_again, strict=True)),
        "compile_s": first - statistics.median(again),
        "our_compile_s": our_first - statistics.median(our_again),
        "compiled_by_second_call": compiled,
    }


def finite(number: Any) -> float | None:
    """As JSON can hold it."""
    return float(number) if np.isfinite(number) else None


def alone(entry: Entry, law: str, n: int, steps: int) -> float | None:
    """The largest difference of rows 500 to 504 of a batch of n from the same rows by themselves.

    Rows 0 to 4 where the library draws the starts, because no others can be asked for.
    """
    key, z, run = jax.random.key(KEY), jnp.asarray(starts(law, n)), entry.run(law, steps)
    first = min(500, n - 5) if run.drawn is None else 0
    whole = np.asarray(run.call(key, z, 0))[first : first + 5]
    return finite(np.abs(whole - np.asarray(run.call(key, z[first : first + 5], first))).max())


def measure(entry: Entry, options: argparse.Namespace) -> dict[str, Any]:
    """All tests of one entry; what it raises is a result."""
    row: dict[str, Any] = {"sampler": entry.sampler, "setting": entry.setting, "stochastic": entry.stochastic}
    row |= {"law": {}, "flow": {}}
    try:
        for law in options.laws:
            for steps in entry.steps or options.steps:
                run = entry.run(law, steps)
                x = np.asarray(run.call(jax.random.key(KEY), jnp.asarray(starts(law, options.samples)), 0))
                row["law"][f"{law}, {steps}"] = law_error(law, x, run.low)
            for budget in () if entry.stochastic or entry.steps else options.evaluations:
                run = entry.run(law, (budget + entry.fewer) // entry.calls)
                n = min(256, options.samples)
                x = np.asarray(run.call(jax.random.key(KEY), jnp.asarray(starts(law, n)), 0), float)
                distance = np.sqrt(np.mean((x - converged(law, n, run.high, run.low, run.drawn)) ** 2, -1))
                row["flow"][f"{law}, {budget}"] = finite(np.median(distance))
        law, steps = options.timed_law, (entry.steps or (options.timed_steps,))[0]
        row["alone"] = alone(entry, law, options.batch, steps)
        row |= times(entry, law, options.batch, steps, options.repeats)
    except Exception as error:  # a peer may raise anything
        row["raises"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:200]
    return row


def main(library: str, package: str, entries: Sequence[Entry]) -> None:
    """Measure the entries and print JSON as the last line; --into FILE keeps each as soon as it is done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--laws", nargs="+", default=list(LAWS))
    parser.add_argument("--steps", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--evaluations", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--timed-law", default="g64", choices=list(LAWS))
    parser.add_argument("--timed-steps", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", nargs="+", help="samplers")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    done = json.loads(options.into.read_text()) if options.into.exists() else {"rows": []}
    try:
        number = version(package)
    except PackageNotFoundError:
        number = None
    done |= {"library": library, "version": number, "jax": jax.__version__, "python": platform.python_version()}
    if "null" not in done:
        done["null"] = {law: null(law, options.samples) for law in options.laws}
    known = {(row["sampler"], row["setting"]) for row in done["rows"]}
    for entry in entries:
        if (entry.sampler, entry.setting) in known or (options.only and entry.sampler not in options.only):
            continue
        row = {"library": library} | measure(entry, options)
        print(json.dumps(row), flush=True)
        done["rows"].append(row)
        options.into.write_text(json.dumps(done, indent=1))
    options.into.write_text(json.dumps(done, indent=1))
