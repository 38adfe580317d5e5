"""Are the samples of this device those of a CPU?

The same keys and the same law, so the same random bits; sums and functions are rounded in another way, and near the
boundary between two modes that is enlarged. Samples are within 1e-5 where no coordinate differs by more. Samplers of a
mixture, whose products ask for full float32; and a small transformer of random weights, whose products do not, as they
come and with `jax.default_matmul_precision("highest")`.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from common import g64

import jaxsamp as js
from gpu.clock import Clock
from gpu.networks import SCHEDULE, learner
from jaxsamp.samplers import (
    DDPM,
    Heun,
    ParallelMidpoint,
    RandomizedMidpoint,
    SlidingWindow,
    SpeculativeDDPM,
    UniPC,
)

TITLE = "Samples of this device against those of a CPU"
SECONDS = 60.0
STEPS = 16
CLOSE = 1e-5
SAMPLERS = {
    "UniPC(order=2)": UniPC(),
    "ParallelMidpoint": ParallelMidpoint(iterations=4),
    "UniPC(order=3)": UniPC(order=3),
    "Heun": Heun(),
    "DDPM": DDPM(),
    "RandomizedMidpoint": RandomizedMidpoint(),
    "SlidingWindow": SlidingWindow(),
    "SpeculativeDDPM": SpeculativeDDPM(),
}


def drawn(device: Any, denoiser: Any, shape: tuple[int, ...], sampler: Any) -> np.ndarray:
    """Samples, all of whose arguments are on the device."""
    with jax.default_device(device):
        key, denoiser = jax.device_put((jax.random.key(0), denoiser), device)
        steps = 1 if isinstance(sampler, ParallelMidpoint) else STEPS
        x = js.sample(key, denoiser, shape, sampler, steps).x
        assert x.devices() == {device}, f"The samples are on {x.devices()}, not on {device}."
        return np.asarray(x)


def rows(options: Any, clock: Clock) -> Iterator[dict[str, Any]]:
    """One row a sampler."""
    here, cpu = jax.devices()[0], jax.devices("cpu")[0]
    with jax.default_device(cpu):
        law = g64().denoiser(SCHEDULE)
        law = law.with_calibration(law.calibration)
    n = 64 if options.small else 4096
    for name in list(SAMPLERS)[: 2 if options.small else None]:
        sampler = SAMPLERS[name]
        yield _row(name, *(drawn(device, law, (n, 64), sampler) for device in (here, cpu)))
        clock.check()
    network = learner("DiT", "float32", True)
    denoiser = network.model.denoiser(network.start.params)
    for precision in (None, "highest"):
        with jax.default_matmul_precision(precision):
            pair = [drawn(device, denoiser, (64, 8, 8, 1), UniPC()) for device in (here, cpu)]
        yield _row(f"UniPC, transformer, products {precision or 'as they come'}", *pair)
        clock.check()


def _row(name: str, here: np.ndarray, there: np.ndarray) -> dict[str, Any]:
    apart = np.abs(here - there).reshape(len(here), -1).max(1)
    return {
        "sampler": name,
        "samples": len(here),
        f"within {CLOSE:g}": float((apart <= CLOSE).mean()),
        "median": float(np.median(apart)),
        "99.9 %": float(np.quantile(apart, 0.999)),
        "most": float(apart.max()),
    }
