"""Shared by the comparisons with other libraries: one problem, and one way to count, to time and to measure memory.

The problem is the flow of g64, five modes of standard deviation 0.3 in 64 dimensions with exact scores, in the
coordinates x = x_0 + sigma z, from sigma = 80 to 0.02. Everyone gets the same starts and the same denoiser, one
formula that JAX and torch both run. Error: median over starts of the root mean square over coordinates of the
distance to the converged flow. Each solver is timed at its cheapest setting that reaches the target.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, interleaved, ratio, report

import jaxsamp as js

WEIGHTS = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
MEANS = np.random.default_rng(12345).standard_normal((5, 64))
VARIANCE = 0.09
HIGH, LOW = 80.0, 0.02
MISSING: dict[str, str] = {}  # packages that `optional` did not find, and why


def optional(name: str, bare: bool = False) -> Any:
    """The module of that name, or None after one sentence that says why; `bare` does not run its package's __init__.

    (k-diffusion's imports CLIP, which no longer imports beside a current setuptools; its samplers do not need it.)
    """
    package = name.split(".")[0]
    try:
        found = importlib.util.find_spec(package)
        if bare and found is not None and package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = list(found.submodule_search_locations or [])
        return importlib.import_module(name)
    except Exception as error:  # a broken package may raise anything
        MISSING[package] = f"importing it raised {type(error).__name__}: {str(error).strip()}"
        print(f"{package} is left out: {MISSING[package]}")
        return None


def posterior_mean(x, alpha, sigma, log_weights, means, softmax):
    """E[x_0 given alpha x_0 + sigma z = x] of the mixture, for arrays of JAX, torch or NumPy alike.

    With v = alpha^2 VARIANCE + sigma^2 and r = softmax_k(log w_k + (alpha x . m_k - alpha^2 |m_k|^2 / 2) / v) it is
    (sigma^2 sum_k r_k m_k + alpha VARIANCE x) / v.
    """
    v = alpha * alpha * VARIANCE + sigma * sigma
    half_squares = 0.5 * (means * means).sum(-1)
    r = softmax(log_weights + (alpha * (x @ means.T) - alpha * alpha * half_squares) / v, -1)
    return (sigma * sigma * (r @ means) + alpha * VARIANCE * x) / v


def denoise(x, sigma):
    """The denoiser in JAX; x (..., 64) and sigma a scalar, or one per sample."""
    sigma = jnp.asarray(sigma)[..., None]
    return posterior_mean(x, 1.0, sigma, np.log(WEIGHTS).astype(x.dtype), MEANS.astype(x.dtype), jax.nn.softmax)


DENOISER = js.denoiser(lambda params, x, t, cond: denoise(x, t), (), js.schedules.VarianceExploding(), "x0")


def starts(n: int) -> np.ndarray:
    """The states at sigma = 80."""
    return HIGH * np.random.default_rng(0).standard_normal((n, 64)).astype(np.float32)


def converged(n: int) -> np.ndarray:
    """The ends of the flow from these states, in float64."""
    with jax.enable_x64(True):
        init = jnp.asarray(starts(n), jnp.float64)
        sampler = js.samplers.UniPC(order=3, lower_order_final=False)
        key = jax.random.key(0)
        return np.asarray(js.sample(key, DENOISER, init.shape, sampler, 2000, init=init, final_denoise=False).x)


@dataclass(frozen=True)
class Solver:
    """`make(setting, starts, dtype)` gives a call without arguments that carries all starts to sigma = 0.02.

    The call returns the states and the evaluations of each sample, a number or an array. Settings go from cheap to
    costly: numbers of steps, or tolerances.
    """

    make: Callable[[Any, np.ndarray, str], Callable[[], tuple[Any, Any]]]
    settings: Sequence[Any]
    exhaustive: bool = False


def ours(sampler: Any, most: int = 2000) -> Solver:
    """One of our samplers, at any number of steps."""

    def make(steps, init, dtype):
        init, key = jnp.asarray(init, dtype), jax.random.key(0)

        @jax.jit
        def run(init):
            return js.sample(key, DENOISER, init.shape, sampler, steps, init=init, final_denoise=False).x

        return lambda: (run(init), sampler.evaluations(steps))

    return Solver(make, range(1, most))


def error(x: Any, exact: np.ndarray) -> float:
    """The median over samples of the distance per coordinate."""
    return float(np.median(np.sqrt(np.mean((np.asarray(x, np.float64) - exact) ** 2, -1))))


def cheapest(solver: Solver, exact: np.ndarray, dtype: str, target: float) -> tuple[int, float]:
    """Index of the cheapest setting that reaches the target, or the last one if none does, and its error.

    Numbers of steps are searched by doubling and halving; tolerances, whose errors are not monotone, are all tried, and
    the one with the fewest batched calls is taken.
    """
    found = {}

    def reaches(i: int) -> bool:
        x, evaluations = solver.make(solver.settings[i], starts(len(exact)), dtype)()
        found[i] = (error(x, exact), int(np.max(evaluations)))
        return found[i][0] <= target

    last = len(solver.settings) - 1
    if solver.exhaustive:
        reached = [i for i in range(last + 1) if reaches(i)]
        best = min(reached, key=lambda i: found[i][1], default=last)
        return best, found[best][0]
    low, high = -1, 0
    while not reaches(high) and high < last:
        low, high = high, min(2 * high + 1, last)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high, found[high][0]


def high_water() -> int:
    """The peak memory of this process in bytes (of this program alone, if /proc has it)."""
    try:
        with open("/proc/self/status") as status:
            return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def weigh(solver: Solver, setting: Any, n: int, dtype: str) -> int:
    """Bytes that a run of n samples adds to the peak of a process that has already compiled and run 8 of them."""
    jax.block_until_ready(solver.make(setting, starts(8), dtype)())
    call = solver.make(setting, starts(n), dtype)
    before = high_water()
    jax.block_until_ready(call())
    return high_water() - before


def compare(doc: str | None, name: str, title: str, solvers: dict[str, Solver], packages: Sequence[str]) -> None:
    """One row per solver and precision, all timed in turn; the others are compared with the first solver."""
    parser = arguments(doc)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--target", type=float, default=1e-3, help="error to reach")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--only", nargs="+", default=list(solvers), help="names of solvers")
    parser.add_argument("--memory-samples", type=int, default=32768, help="batch that is weighed; 0 for none")
    parser.add_argument("--weigh", nargs=2, metavar=("SOLVER", "INDEX"), help="print the memory of one run and stop")
    options = parser.parse_args()
    if options.weigh:
        solver, (dtype,) = solvers[options.weigh[0]], options.dtypes
        jax.config.update("jax_enable_x64", dtype == "float64")
        print(weigh(solver, solver.settings[int(options.weigh[1])], options.memory_samples, dtype))
        return
    solvers = {key: solver for key, solver in solvers.items() if key in options.only}
    exact, rows = converged(options.samples), []
    for dtype in options.dtypes:
        with jax.enable_x64(dtype == "float64"):
            rows += list(_rows(solvers, exact, dtype, options))
    rows += [{"solver": f"{package} is left out: {reason}"} for package, reason in MISSING.items()]
    report(name, title, rows, options, packages)


def _rows(solvers: dict[str, Solver], exact: np.ndarray, dtype: str, options: argparse.Namespace) -> Any:
    calls, table, first = {}, {}, {}
    for key, solver in solvers.items():
        index, distance = cheapest(solver, exact, dtype, options.target)
        setting = solver.settings[index]
        jax.clear_caches()  # so that the next call compiles from nothing
        calls[key] = solver.make(setting, starts(len(exact)), dtype)
        start = time.perf_counter()
        _, evaluations = jax.block_until_ready(calls[key]())
        first[key] = time.perf_counter() - start
        table[key] = {
            "solver": key,
            "dtype": dtype,
            "setting": setting if isinstance(setting, str) else str(setting),
            "error": distance if np.isfinite(distance) else None,
            "evaluations": float(np.mean(evaluations)),
            "batched calls": int(np.max(evaluations)),
            "peak MB": _peak(key, index, dtype, options),
        }
    seconds = interleaved(calls, options.repeats)
    baseline = next(iter(solvers))
    for key, row in table.items():
        later = statistics.median(seconds[key])
        yield row | {
            "ms": 1e3 * later,
            f"over {baseline}": ratio(seconds[key], seconds[baseline]),
            "compile s": max(0.0, first[key] - later),
            "reached": row["error"] is not None and row["error"] <= options.target,
        }


def _peak(key: str, index: int, dtype: str, options: argparse.Namespace) -> float | None:
    """Peak memory, measured in a process of its own, in MB."""
    if not options.memory_samples:
        return None
    size = ["--memory-samples", str(options.memory_samples), "--dtypes", dtype]
    command = [sys.executable, sys.argv[0], "--weigh", key, str(index), *size]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    return json.loads(out.splitlines()[-1]) / 1e6
