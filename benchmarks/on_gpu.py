"""What does this library do on this accelerator? One command of at most seven minutes, one JSON with the device's name.

    PYTHONPATH=.:kernels python benchmarks/on_gpu.py

memory        peak memory of sampling, with and without `microbatch`, beside what the compiler announced
precision     densities, scores and distances in float32 on the device against float64 on a CPU
same_samples  samples on the device against those of a CPU from the same key
exact_scores  exact scores against the fastest copy and matrix product of the device
spins         flips a second of the heat bath with dense couplings, by the number of spins in a panel
throughput    images a second of a U-Net in training and denoising, in bfloat16 and float32
latency       seconds of sequential and of parallel sampling at equal error, against the batch

It needs jax, flax, optax, numpy, scipy, rich and jaxtyping. A section that fails, or runs out of its time, leaves its
rows and a sentence, and the others go on; the file is written anew with every row. Compilation is never timed, and
ratios are medians of calls in turn. `--small` is for a laptop: tiny sizes, to see that all of it runs.
"""

import os

# Before JAX starts: memory is taken as it is needed, so that its peak can be read.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from common import about, arguments, show, write
from gpu import exact_scores, latency, memory, precision, same_samples, spins, throughput
from gpu.clock import Clock, OutOfTime

# In this order: the peak of memory counts from the start of the process, and the last may take what is left.
SECTIONS = {
    "memory": memory,
    "precision": precision,
    "same_samples": same_samples,
    "exact_scores": exact_scores,
    "spins": spins,
    "throughput": throughput,
    "latency": latency,
}


def run(section: Any, options: argparse.Namespace, seconds: float, save: Callable[[], None], into: dict) -> None:
    """Fill `into` with the rows of a section, its seconds, and the sentence of its error or None."""
    clock = Clock(seconds)
    into |= {"title": section.TITLE, "error": None, "seconds": 0.0, "rows": []}
    try:
        if seconds < 1:
            raise OutOfTime("The sections before it left no time.")
        for row in section.rows(options, clock):
            into["rows"].append(row)
            into["seconds"] = clock.passed
            save()
            clock.check()
    except Exception as error:  # whatever it is, the other sections go on
        into["error"] = f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:300]}"
    into["seconds"] = clock.passed
    save()
    if into["rows"]:
        show(into["title"], into["rows"])
    print(f"{into['section']}: {into['seconds']:.0f} s. {into['error'] or ''}", flush=True)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--small", action="store_true", help="tiny sizes, for a laptop")
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--out", type=Path, help="the JSON; by default on_gpu_DEVICE.json in the folder of results")
    parser.add_argument("--seconds", type=float, default=400.0, help="for all sections together")
    parser.add_argument("--repeats", type=int, default=7, help="calls of each kind that are timed")
    options = parser.parse_args()
    if options.small:
        jax.config.update("jax_disable_most_optimizations", True)  # most of the time goes into compiling
    head = about("On this device", options, ("jaxlib", "flax", "optax"))
    name = re.sub(r"[^a-z0-9]+", "_", head["device"].lower()).strip("_")
    path = options.out or options.results / f"on_gpu_{name}.json"
    start, results = time.perf_counter(), []
    for name in [name for name in SECTIONS if name in options.sections]:
        results.append({"section": name})
        left = options.seconds - (time.perf_counter() - start)
        most = left if options.small else min(SECTIONS[name].SECONDS, left)
        run(SECTIONS[name], options, most, lambda: write(path, head | {"rows": results}), results[-1])
    print(f"Written to {path}.")


if __name__ == "__main__":
    main()
