"""At equal error, when is a parallel-in-time sampler faster than a sequential one, by the clock?

A U-Net and a diffusion transformer of about 50 million weights on 32 x 32 x 3 images, each trained briefly in this run
and calibrated. First, by measurement on a batch of 16: the fewest steps of UniPC of order 3 and the fewest sweeps of
`ParallelMidpoint` whose median error against the network's own converged flow is within 5e-3, in root mean square over
coordinates, sigma / alpha from 40 to 0.02, no final denoise. Then the wall time of these two, each compiled as one
program, in turn, for batch after batch until parallel sampling stops paying: a ratio, parallel over sequential, above
1. At most 2,048 images go into one network call. All in float32 with the device's default precision of products. A
processor has no idle lanes to use, so there parallel sampling loses.
"""

import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from common import Counted, interleaved, ratio

import jaxsamp as js
from gpu.clock import Clock
from gpu.networks import LARGE, images, learner
from jaxsamp.samplers import ParallelMidpoint, Sampler, UniPC

TITLE = "Wall time at equal error: sequential, parallel"
SECONDS = 400.0
SIGMA_MAX, ERROR = 40.0, 5e-3
GRID = partial(js.grids.log_snr, sigma_max=SIGMA_MAX)
SEQUENTIAL = UniPC(order=3, lower_order_final=False)
CHOICES = {
    "sequential": [(SEQUENTIAL, steps) for steps in (6, 8, 10, 12, 16, 20, 24, 32, 48)],
    "parallel": [(Counted(iterations=sweeps), 1) for sweeps in (2, 3, 4, 5, 6, 8, 10, 12)],
}
MOST = 2048  # images in one network call


class Sizes(NamedTuple):
    """Of the run."""

    train_steps: int = 300
    converged: int = 256
    match: int = 16
    batches: tuple[int, ...] = (1, 4, 16, 64, 128)
    calibrated: int = 128
    error: float = ERROR


SMALL = Sizes(5, 32, 1, (1,), 8, 1.0)


class Match(NamedTuple):
    """A setting within the error."""

    sampler: Sampler
    steps: int
    error: float

    @property
    def rounds(self) -> int:
        """Calls that wait for each other."""
        return self.sampler.rounds(self.steps)

    @property
    def evaluations(self) -> int:
        """Of the network, a sample."""
        return self.sampler.evaluations(self.steps)


@partial(jax.jit, static_argnums=2)
def draw(denoiser: Any, sampler: Sampler, steps: int, start: Any) -> Any:
    """Samples from these states at the first level, compiled as one program."""
    at_once = MOST // (sampler.midpoints if isinstance(sampler, ParallelMidpoint) else 1)
    options = {"grid": GRID, "init": start, "final_denoise": False, "microbatch": at_once}
    return js.sample(jax.random.key(0), denoiser, start.shape, sampler, steps, **options).x


def trained(name: str, sizes: Sizes, small: bool, clock: Clock) -> tuple[Any, int]:
    """A calibrated denoiser, and its number of weights."""
    one = learner(name, "float32", small)
    data, state = jnp.asarray(images(32 * one.batch, small)), one.copied()
    for i in range(sizes.train_steps):
        rows = (jnp.arange(one.batch) + i * one.batch) % len(data)
        state, numbers = one.step(state, data[rows])
        if i % 20 == 0:
            jax.block_until_ready(numbers)
            clock.check()
    denoiser = state.denoiser()
    held_out = images(sizes.calibrated, small, 1)
    calibration = js.calibrate(
        jax.random.key(1), denoiser, held_out, samples=sizes.calibrated, sigma_max=SIGMA_MAX, microbatch=128
    )
    return denoiser.with_calibration(calibration), one.weights


def match(name: str, what: str, denoiser: Any, event: tuple[int, ...], sizes: Sizes, clock: Clock) -> Match:
    """The cheapest setting within the error."""
    start = SIGMA_MAX * jax.random.normal(jax.random.key(2), (sizes.match, *event))
    end = draw(denoiser, SEQUENTIAL, sizes.converged, start)
    for sampler, steps in CHOICES[what]:
        clock.check()
        apart = jnp.square(draw(denoiser, sampler, steps, start) - end)
        error = float(jnp.median(jnp.sqrt(jnp.mean(apart, tuple(range(1, apart.ndim))))))
        print(f"{name}, {what}, {sampler.rounds(steps)} rounds: error {error:.2g}", flush=True)
        if error <= sizes.error:
            return Match(sampler, steps, error)
    raise ValueError(f"{name}: no {what} setting is within an error of {sizes.error:g}.")


def rows(options: Any, clock: Clock) -> Iterator[dict[str, Any]]:
    """One row a network and batch; the transformer first, for it compiles sooner."""
    sizes = SMALL if options.small else Sizes()
    for name in sorted(LARGE)[: 1 if options.small else None]:
        denoiser, weights = trained(name, sizes, options.small, clock)
        event = images(1, options.small).shape[1:]
        settings = {what: match(name, what, denoiser, event, sizes, clock) for what in CHOICES}
        sequential, parallel = settings.values()
        for batch in sizes.batches:
            start = SIGMA_MAX * jax.random.normal(jax.random.key(3), (batch, *event))
            calls = {what: partial(draw, denoiser, one.sampler, one.steps, start) for what, one in settings.items()}
            seconds = interleaved(calls, options.repeats)
            slower = ratio(seconds["parallel"], seconds["sequential"])
            yield {
                "network": name,
                "million weights": weights / 1e6,
                "batch": batch,
                "rounds": f"{sequential.rounds}, {parallel.rounds}",
                "evaluations": f"{sequential.evaluations}, {parallel.evaluations}",
                "errors": f"{sequential.error:.2g}, {parallel.error:.2g}",
                **{f"{what} ms": 1e3 * statistics.median(seconds[what]) for what in calls},
                "ratio": slower,
            }
            clock.check()
            if slower > 1:
                break
