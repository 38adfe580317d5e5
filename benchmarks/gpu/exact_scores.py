"""How near are exact scores to what the device can do?

The least time of a score is the longer of two: its operations at the speed of a plain product in full float32, and its
bytes, inputs and outputs once, at the speed of a plain copy; both measured in turn with it.
"""

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleaved, ratio

import jaxsamp as js
from gpu import peaks
from gpu.clock import Clock

TITLE = "Exact scores beside a plain copy and a plain product in full float32"
SECONDS = 60.0
LEVEL = js.Level(jnp.float32(0.8), jnp.float32(0.6))
CHUNK = 1024


def cases(small: bool) -> Iterator[tuple[str, Callable[[], Any], float, float]]:
    """Name, law, N, operations and bytes (of the law, and of its arguments and results)."""
    for k, d, n in [(3, 8, 64)] if small else [(10, 64, 100_000), (10, 256, 20_000)]:
        law = js.targets.GaussianMixture.random(jax.random.key(0), k, d)
        yield f"mixture, full, K={k} d={d} N={n}", *_mixture(law, n), 4.0 * n * k * d * d, 4.0 * (k * d * d + 2 * n * d)
    for k, d, r, n in [(3, 16, 2, 64)] if small else [(10, 3072, 16, 4096)]:
        rng = np.random.default_rng(0)
        factors = rng.standard_normal((k, d, r)) / np.sqrt(d)
        law = js.targets.GaussianMixture.low_rank([1 / k] * k, rng.standard_normal((k, d)), factors, 0.1)
        work = 4.0 * n * k * d * r + 2.0 * n * k * d
        yield f"mixture, low rank, K={k} d={d} r={r} N={n}", *_mixture(law, n), work, 4.0 * (k * d * r + 2 * n * d)
    for n, size, d in [(8, 256, 16)] if small else [(256, 32768, 3072), (4096, 32768, 64)]:
        data = jax.random.normal(jax.random.key(0), (size, d))
        law = js.targets.Empirical(data, chunk=min(CHUNK, size))
        x = 0.8 * data[:n] + 0.6 * jax.random.normal(jax.random.key(1), (n, d))
        call = jax.jit(lambda law, x: law.posterior_mean(x, LEVEL))
        name = f"empirical, {size} points, d={d} N={n}"
        yield name, lambda call=call, law=law, x=x: call(law, x), 4.0 * n * size * d, 4.0 * (size * d + 2 * n * d)


def _mixture(law: Any, n: int) -> tuple[Callable[[], Any]]:
    x = law.sample(jax.random.key(1), n)
    call = jax.jit(lambda law, x: law.score(x, LEVEL))
    return (lambda: call(law, x),)


def rows(options: Any, clock: Clock) -> Iterator[dict[str, Any]]:
    """One row a law."""
    product, operations = peaks.product(256 if options.small else 4096, precision="highest")
    copy, moved = peaks.copy(2**16 if options.small else 2**27)
    for name, call, work, size in cases(options.small):
        seconds = interleaved({"score": call, "product": product, "copy": copy}, options.repeats)
        took = statistics.median(seconds["score"])
        speed = work / operations * ratio(seconds["product"], seconds["score"])
        rate = size / moved * ratio(seconds["copy"], seconds["score"])
        yield {
            "law": name,
            "ms": 1e3 * took,
            "TFLOP/s": work / took / 1e12,
            "of the product's": speed,
            "GB/s": size / took / 1e9,
            "of the copy's": rate,
            "least time / time": max(speed, rate),
            "product TFLOP/s": operations / statistics.median(seconds["product"]) / 1e12,
            "copy GB/s": moved / statistics.median(seconds["copy"]) / 1e9,
        }
        clock.check()
