"""At equal error, when is a parallel-in-time sampler faster than a sequential one, by the clock?

A U-Net and a diffusion transformer of about 50 million weights on the digits enlarged to 32 x 32 x 3, each trained
briefly in this run (`--train-steps`) and calibrated on held-out digits. First, by measurement on `--match` samples:
the fewest steps of UniPC (order 2 or 3) and the fewest iterations of `ParallelMidpoint` whose median error against
the network's own converged flow is within `--error`, in root mean square over coordinates, sigma / alpha from 40 to
0.02, no final denoise. Then the wall time of these two settings, each compiled as one program, in turn, for batches
of 1 to 256. The ratio is parallel over sequential: below 1 parallel is faster; a line for each network names the first
batch where it is not. A batch of n samples by R nodes is cut so that a call has at most `--images` images. All in
float32 with the device's default precision of products. `--small` runs tiny networks of 8 x 8 digits, to see on a
laptop that it runs; a processor has no idle lanes to use, so there parallel sampling loses.
"""

import statistics
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, interleaved, ratio, report

import jaxsamp as js
from jaxsamp.datasets import digits
from jaxsamp.samplers import ParallelMidpoint, Sampler, UniPC

SIGMA_MAX, CONVERGED = 40.0, 512
GRID = partial(js.grids.log_snr, sigma_max=SIGMA_MAX)
ITERATIONS = (2, 3, 4, 5, 6, 8, 10, 12)
LARGE = {
    "U-Net": js.models.UNet(128, (1, 2, 2, 2), 3),
    "DiT": js.models.DiT(patch=2, width=512, depth=11, heads=8),
}
SMALL = {"U-Net": js.models.UNet(8, (1, 2), 1, ()), "DiT": js.models.DiT(patch=2, width=32, depth=2, heads=2)}


class Match(NamedTuple):
    """A setting that reaches the error."""

    sampler: Sampler
    steps: int
    rounds: int
    evaluations: int
    error: float


def images(small: bool) -> tuple[np.ndarray, np.ndarray]:
    """Digits to train on and held out; at full size enlarged fourfold, in three equal channels."""
    parts = [digits()[i] for i in (0, 2)]
    if small:
        return parts[0], parts[1]
    enlarged = [jax.image.resize(x[..., None], (len(x), 32, 32, 1), "linear") for x in parts]
    train, held_out = (np.repeat(np.asarray(x), 3, -1) for x in enlarged)
    return train, held_out


def trained(network: Any, data: np.ndarray, held_out: np.ndarray, options: Any) -> tuple[Any, int]:
    """A calibrated denoiser, and its number of weights."""
    start = time.perf_counter()
    weighting = js.losses.EDMWeighting(float(np.std(data - data.mean(0))))
    loss = js.training.denoising_loss(js.losses.LogNormal(-0.5, 1.2), weighting)
    schedule = js.schedules.VarianceExploding()
    state = js.fit(
        jax.random.key(0), network, data, schedule, options.train_steps, batch_size=options.train_batch, loss=loss
    )
    denoiser = state.denoiser()
    print(f"trained in {time.perf_counter() - start:.0f} s", flush=True)
    calibration = js.calibrate(
        jax.random.key(1), denoiser, held_out, samples=options.calibrated, sigma_max=SIGMA_MAX,
        microbatch=min(options.images, options.calibrated),
    )  # fmt: skip
    return denoiser.with_calibration(calibration), sum(leaf.size for leaf in jax.tree.leaves(state.params))


def program(denoiser: Any, sampler: Sampler, steps: int, most: int) -> Any:
    """(key, starts) -> samples, compiled as one program; at most so many images a network call."""
    nodes = sampler.midpoints if isinstance(sampler, ParallelMidpoint) else 1

    @jax.jit
    def run(denoiser: Any, key: Any, start: Any) -> Any:
        at_once = max(1, most // nodes)
        return js.sample(
            key, denoiser, start.shape, sampler, steps, grid=GRID, init=start, final_denoise=False, microbatch=at_once
        ).x

    return partial(run, denoiser)


def match(denoiser: Any, event: tuple[int, ...], options: Any) -> dict[str, Match | None]:
    """The cheapest sequential and the cheapest parallel setting within the error."""
    start = SIGMA_MAX * jax.random.normal(jax.random.key(2), (options.match, *event))
    most = options.images
    end = program(denoiser, UniPC(order=3, lower_order_final=False), CONVERGED, most)(jax.random.key(0), start)

    def first(settings: Any) -> Match | None:
        for sampler, steps in settings:
            x = program(denoiser, sampler, steps, most)(jax.random.key(0), start)
            rms = jnp.sqrt(jnp.mean(jnp.square(x - end), tuple(range(1, x.ndim))))
            error = float(jnp.median(rms))
            print(type(sampler).__name__, steps, sampler.rounds(steps), f"{error:.2g}", flush=True)
            if error <= options.error:
                return Match(sampler, steps, sampler.rounds(steps), sampler.evaluations(steps), error)
        return None

    steps = (6, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96)
    return {
        "sequential": first((UniPC(order=p, lower_order_final=False), n) for n in steps for p in (2, 3)),
        "parallel": first((ParallelMidpoint(iterations=k), 1) for k in ITERATIONS),
    }


def timed(denoiser: Any, settings: dict[str, Match], batch: int, event: tuple[int, ...], options: Any) -> Any:
    """Seconds of both at one batch size, in turn; None where the device's memory is too small."""
    start = SIGMA_MAX * jax.random.normal(jax.random.key(3), (batch, *event))
    calls = {
        name: partial(program(denoiser, one.sampler, one.steps, options.images), jax.random.key(0), start)
        for name, one in settings.items()
    }
    try:
        return interleaved(calls, options.repeats)
    except jax.errors.JaxRuntimeError as error:
        print(f"batch {batch}: {str(error).splitlines()[0][:200]}", flush=True)
        return None


def rows_of(name: str, denoiser: Any, weights: int, event: tuple[int, ...], options: Any) -> list[dict[str, Any]]:
    """One row a batch size."""
    found = match(denoiser, event, options)
    settings = {what: one for what, one in found.items() if one is not None}
    if len(settings) < 2:
        print(f"{name}: within an error of {options.error:g} there is no setting of {set(found) - set(settings)}.")
        return []
    sequential, parallel = settings["sequential"], settings["parallel"]
    rows = []
    for batch in options.batches:
        seconds = timed(denoiser, settings, batch, event, options)
        row = {
            "network": name,
            "million weights": weights / 1e6,
            "batch": batch,
            "rounds": f"{sequential.rounds}, {parallel.rounds}",
            "evaluations": f"{sequential.evaluations}, {parallel.evaluations}",
            "errors": f"{sequential.error:.2g}, {parallel.error:.2g}",
        }
        for what in settings:
            row[f"{what} ms"] = None if seconds is None else 1e3 * statistics.median(seconds[what])
        rows.append(row | {"ratio": None if seconds is None else ratio(seconds["parallel"], seconds["sequential"])})
    print(f"{name}: parallel sampling stops paying at batch {losing(rows)}.", flush=True)
    return rows


def losing(rows: list[dict[str, Any]]) -> int | None:
    """The first batch size where parallel sampling takes longer."""
    return next((row["batch"] for row in rows if row["ratio"] is not None and row["ratio"] > 1), None)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--error", type=float, default=5e-3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--networks", nargs="+", choices=list(LARGE), default=list(LARGE))
    parser.add_argument("--match", type=int, default=64, help="samples for the errors")
    parser.add_argument("--calibrated", type=int, default=500, help="held-out digits to calibrate on")
    parser.add_argument("--train-steps", type=int, default=3000)
    parser.add_argument("--train-batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=2048, help="most images in one network call")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    data, held_out = images(options.small)
    rows = []
    for name in options.networks:
        network = (SMALL if options.small else LARGE)[name]
        denoiser, weights = trained(network, data, held_out, options)
        rows += rows_of(name, denoiser, weights, data.shape[1:], options)
    if rows:
        stops = {name: losing([row for row in rows if row["network"] == name]) for name in options.networks}
        title = f"Wall time at a median error of {options.error:g}: sequential, parallel"
        report("gpu_latency", title, rows, options, ("flax", "optax"), stops_paying_at_batch=stops)


if __name__ == "__main__":
    main()
