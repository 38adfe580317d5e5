"""How many spins a second does the heat bath draw, with dense couplings and on a lattice, and what do panels gain?

Sherrington-Kirkpatrick couplings at beta = 0.8. A panel of b spins changes the fields of all others by one matrix
product; with b = 1 every flip adds a row of couplings. Every chain is the same for all b, up to rounding. The lattice
is square, at its critical point, and drawn by two colors.
"""

import statistics
from collections.abc import Iterator
from typing import Any

import jax
from common import interleaved, ratio

import jaxsamp as js
from gpu.clock import Clock

TITLE = "Heat bath of spins with dense couplings, and on a lattice"
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
    side, chains, sweeps = (16, 4, 4) if options.small else (1024, 64, 20)
    lattice = js.discrete.lattice(side, 2, 0.4407)
    colored = js.mcmc.Chromatic().prepared(lattice)
    call = lambda: js.sample_spins(key, lattice, (chains, side**2), colored, sweeps, warmup=0, thin=0)  # noqa: E731
    (seconds,) = interleaved({"lattice": call}, options.repeats).values()
    yield {
        "spins": side**2,
        "chains": chains,
        "block": None,
        "flips / s": side**2 * chains * sweeps / statistics.median(seconds),
        "times block 1": None,
    }
