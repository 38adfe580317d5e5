"""How many spins a second does the heat bath draw with dense couplings, and what do panels gain?

Sherrington-Kirkpatrick couplings at beta = 0.8. A panel of b spins changes the fields of all others by one matrix
product; with b = 1 every flip adds a row of couplings. Every chain is the same for all b, up to rounding.
"""

import statistics
from collections.abc import Iterator
from typing import Any

import jax
from common import interleaved, ratio

import jaxsamp as js
from gpu.clock import Clock

TITLE = "Heat bath of spins with dense couplings"
SECONDS = 60.0


def rows(options: Any, clock: Clock) -> Iterator[dict[str, Any]]:
    """One row a width of panels."""
    n, chains, sweeps, blocks = (64, 16, 4, (1, 32)) if options.small else (1024, 8192, 4, (1, 32, 128))
    model, key = js.discrete.sk(jax.random.key(0), n, 0.8), jax.random.key(1)
    calls = {}
    for block in blocks:
        sampler = js.mcmc.HeatBath(block)
        calls[block] = lambda sampler=sampler: js.sample_spins(
            key, model, (chains, n), sampler, sweeps, warmup=0, thin=0
        )
        jax.block_until_ready(calls[block]())  # compiles, so that time runs out between widths if it must
        seconds = interleaved(calls, options.repeats)
        yield {
            "spins": n,
            "chains": chains,
            "block": block,
            "flips / s": n * chains * sweeps / statistics.median(seconds[block]),
            "times block 1": ratio(seconds[1], seconds[block]),
        }
        clock.check()
