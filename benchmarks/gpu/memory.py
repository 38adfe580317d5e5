"""How much memory does sampling take, with and without `microbatch`, and did the compiler say so before?

Announced: the compiled program's temporary memory and results. Measured: the device's peak above what was in use before
the call. The peak counts from the start of the process, so runs go from the least memory to the most, and where one
does not raise it there is no figure; nor on a CPU.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax

import jaxsamp as js
from gpu.clock import Clock
from gpu.networks import images, learner

TITLE = "Memory of sampling with a transformer, UniPC in four steps"
SECONDS = 70.0
STEPS = 4


def rows(options: Any, clock: Clock) -> Iterator[dict[str, Any]]:
    """One row a microbatch."""
    one = learner("DiT", "float32", options.small)
    count, sizes = (8, (2, None)) if options.small else (512, (16, 64, None))
    event = images(1, options.small).shape[1:]
    device, key = jax.devices()[0], jax.random.key(0)

    def draw(params: Any, key: Any, size: int | None) -> Any:
        shape = (count, *event)
        return js.sample(key, one.model.denoiser(params), shape, steps=STEPS, microbatch=size).x

    compiled = jax.jit(draw, static_argnums=2)
    for size in sizes:
        program = compiled.lower(one.start.params, key, size).compile()
        announced = program.memory_analysis()
        before = device.memory_stats() or {}
        jax.block_until_ready(program(one.start.params, key))
        after = device.memory_stats() or {}
        peak = after.get("peak_bytes_in_use", 0)
        raised = peak > before.get("peak_bytes_in_use", 0)
        used = (peak - before["bytes_in_use"]) / 1e6 if raised else None
        said = (announced.temp_size_in_bytes + announced.output_size_in_bytes) / 1e6
        yield {
            "samples": count,
            "microbatch": "none" if size is None else str(size),
            "announced MB": said,
            "measured MB": used,
            "measured / announced": None if used is None else used / said,
            "weights MB": sum(leaf.nbytes for leaf in jax.tree.leaves(one.start.params)) / 1e6,
            "samples MB": 4e-6 * count * math.prod(event),
        }
        clock.check()
