"""How do evaluations and rounds grow with the dimension at a fixed total error?

Five equal modes of standard deviation 0.3 with standard normal means in 4 to 1,024 dimensions, exact scores, float64;
sigma / alpha from 80 to 0.02, uniform in log-SNR, no final denoise. Total error: sqrt(d) times the median over starts
of the root mean square over coordinates of the distance to the converged flow, the expected W2 error in the scale of
x_0; for randomized samplers over starts and draws at once. Fewest evaluations and rounds for a total error of 0.1: step
counts by bisection, iterations by trying them in order. Blocked windows are the best of 1, 2, 4 and 8 windows by 1 to 4
iterations, chosen on the answer. Exponents: the slope of log cost against log d over the last three dimensions.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import Counted, arguments, report

import jaxsamp as js
from jaxsamp.samplers import DDIM, DPMSolverPP, ExponentialEuler, RandomizedMidpoint, Sampler, UniPC

MAX_STEPS = 4096
SEQUENTIAL = {
    "DDIM": DDIM(),
    "ExponentialEuler": ExponentialEuler(),
    "RandomizedMidpoint, plain": RandomizedMidpoint(reuse=False, antithetic=False),
    "RandomizedMidpoint()": RandomizedMidpoint(),
    "RandomizedMidpoint.paper()": RandomizedMidpoint.paper(),
    "UniPC2": UniPC(lower_order_final=False),
    "DPMSolverPP2": DPMSolverPP(lower_order_final=False),
}


def law(d: int) -> js.targets.GaussianMixture:
    """Five modes."""
    means = np.random.default_rng(12345).standard_normal((5, d))
    return js.targets.GaussianMixture.spherical([0.2] * 5, means, 0.09)


class Errors:
    """Total errors in one dimension."""

    def __init__(self, d: int, starts: int):
        self.denoiser = law(d).denoiser(js.schedules.VarianceExploding())
        self.start = 80 * jax.random.normal(jax.random.key(0), (starts, d))
        self.end = self._run(UniPC(order=3, lower_order_final=False), 1500).x

    def _run(self, sampler: Sampler, steps: int) -> Any:
        start = self.start
        return js.sample(jax.random.key(1), self.denoiser, start.shape, sampler, steps, init=start, final_denoise=False)

    def __call__(self, sampler: Sampler, steps: int) -> tuple[float, float, float]:
        """Total error, rounds and evaluations, both means over samples."""
        found = self._run(sampler, steps)
        total = float(jnp.median(jnp.linalg.norm(found.x - self.end, axis=-1)))
        return total, float(found.stats["rounds"].mean()), float(found.stats["evaluations"].mean())


def bisected(within: Callable[[int], bool]) -> int | None:
    """The smallest n from which on `within` holds; None if that is above MAX_STEPS."""
    high = 4
    while not within(high):
        high *= 2
        if high > MAX_STEPS:
            return None
    low = high // 2 if high > 4 else 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return high


def sequential(errors: Errors, sampler: Sampler, target: float) -> tuple[float | None, float | None]:
    """Rounds and evaluations of the fewest steps; a sampler of one evaluation per step has as many rounds as steps."""
    steps = bisected(lambda n: errors(sampler, n)[0] <= target)
    return (None, None) if steps is None else (sampler.rounds(steps), sampler.evaluations(steps))


def parallel(errors: Errors, settings: list[tuple[Sampler, int]], target: float) -> tuple[float | None, float | None]:
    """Rounds and evaluations of the first setting within the target, in order of rounds."""
    for sampler, steps in sorted(settings, key=lambda pair: pair[0].rounds(pair[1])):
        error, rounds, evaluations = errors(sampler, steps)
        if error <= target:
            return rounds, evaluations
    return None, None


def windows(d: int) -> dict[str, list[tuple[Sampler, int]]]:
    """Settings of the parallel samplers, by name."""
    blocked: list[tuple[Sampler, int]] = [
        (Counted.blocked(iterations=k), n) for n in (1, 2, 4, 8) for k in (1, 2, 3, 4)
    ]
    found: dict[str, list[tuple[Sampler, int]]] = {
        "ParallelMidpoint()": [(Counted(iterations=k), 1) for k in range(1, 9)],
        "ParallelMidpoint.blocked": blocked,
    }
    sliding = getattr(js.samplers, "SlidingWindow", None)
    if sliding is not None:
        # Steps and tolerance as the theory of the randomized midpoint scales them.
        steps = math.ceil(16 * (d / 4) ** (1 / 3))
        found["SlidingWindow"] = [(sliding(window=min(16, steps), tolerance=0.05 / math.sqrt(d)), steps)]
    return found


def main():
    parser = arguments(__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=[4, 16, 64, 256, 1024])
    parser.add_argument("--starts", type=int, default=128)
    parser.add_argument("--error", type=float, default=0.1, help="total error")
    parser.add_argument("--only", nargs="+", default=(), help="samplers of these names")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)

    found = {}
    for d in options.dims:
        errors = Errors(d, options.starts)
        asked = lambda name: not options.only or name in options.only  # noqa: E731
        for name, sampler in SEQUENTIAL.items():
            if asked(name):
                found[name, d] = sequential(errors, sampler, options.error)
        for name, settings in windows(d).items():
            if asked(name):
                found[name, d] = parallel(errors, settings, options.error)
        print(d, {name: cost for (name, at), cost in found.items() if at == d}, flush=True)
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        for what, index in (("rounds", 0), ("evaluations", 1)):
            values = [found[name, d][index] for d in options.dims]
            complete = len(values) > 1 and None not in values
            growth = np.polyfit(np.log(options.dims[-3:]), np.log(values[-3:]), 1)[0] if complete else math.nan
            row = {"sampler": name, "of": what} | {str(d): v for d, v in zip(options.dims, values, strict=True)}
            rows.append(row | {"exponent": float(growth) if complete else None})
    report("dimension_scaling", f"Cost of a total error of {options.error:g} against dimension", rows, options)


if __name__ == "__main__":
    main()
