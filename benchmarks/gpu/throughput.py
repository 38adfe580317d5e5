"""How many images a second does a U-Net train and denoise on, and what share of the device's products is that?

Operations are counted by XLA on the program before it is optimized. The peak is of products of large square matrices
in the same dtype, at the device's default precision, in turn with the network.
"""

import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from common import interleaved, ratio

from gpu import peaks
from gpu.clock import Clock
from gpu.networks import SCHEDULE, Learner, images, learner

TITLE = "A U-Net on images: training and denoising"
SECONDS = 110.0


def rows(options: Any, clock: Clock) -> Iterator[dict[str, Any]]:
    """Two rows a dtype; ratios to float32, where it was timed first."""
    calls, work, made = {}, {}, {}
    for dtype in ("float32", "bfloat16"):
        made[dtype] = learner("U-Net", dtype, options.small)
        x = jnp.asarray(images(made[dtype].batch, options.small))
        calls |= {("train", dtype): _training(made[dtype], x), ("denoise", dtype): _denoising(made[dtype], x)}
        state = made[dtype].start
        work["train", dtype] = _operations(made[dtype].step.lower(state, x))
        work["denoise", dtype] = _operations(_denoise.lower(made[dtype].model, state.params, x))
        calls["peak", dtype], work["peak", dtype] = peaks.product(256 if options.small else 8192, jnp.dtype(dtype))
        for call in calls.values():  # compiles, so that time runs out between dtypes if it must
            jax.block_until_ready(call())
        seconds = interleaved(calls, options.repeats)  # the dtypes so far, in turn
        for what in ("train", "denoise"):
            took, batch = statistics.median(seconds[what, dtype]), made[dtype].batch
            yield {
                "what": f"{what}, {dtype}",
                "million weights": made[dtype].weights / 1e6,
                "batch": batch,
                "images / s": batch / took,
                "times float32": ratio(seconds[what, "float32"], seconds[what, dtype]),
                "GFLOP / image": work[what, dtype] / batch / 1e9,
                "TFLOP/s": work[what, dtype] / took / 1e12,
                "product TFLOP/s": work["peak", dtype] / statistics.median(seconds["peak", dtype]) / 1e12,
                "share": work[what, dtype] / work["peak", dtype] * ratio(seconds["peak", dtype], seconds[what, dtype]),
            }
        clock.check()


def _operations(lowered: Any) -> float:
    """As XLA counts them; not a number where it does not for this device."""
    try:
        return lowered.cost_analysis()["flops"]
    except Exception:  # which one is up to the device's plugin
        return math.nan


def _training(one: Learner, x: Any) -> Callable[[], Any]:
    held = [one.copied()]

    def call() -> Any:
        held[0], numbers = one.step(held[0], x)
        return held[0].params, numbers

    return call


def _denoising(one: Learner, x: Any) -> Callable[[], Any]:
    return lambda: _denoise(one.model, one.start.params, x)


def _level_one(model: Any, params: Any, x: Any) -> Any:
    return model.denoiser(params)(x, SCHEDULE.level(jnp.zeros(())))


_denoise = jax.jit(_level_one, static_argnums=0)
