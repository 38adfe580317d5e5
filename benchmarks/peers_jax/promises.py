"""Ours, four ways to split a run: how far are the samples from those of the whole batch in one piece?

On four devices of the CPU: rows 500 to 504 by themselves, microbatches of 100, all four devices, and shards on
disk (a quarter of the samples each) of which half are deleted, as if the job had been killed, before the same call
resumes it. Largest difference of a coordinate, in units of the data's standard deviation.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from harness import KEY, LAWS, moments

import jaxsamp as js
from jaxsamp import samplers

SAMPLERS = {
    "UniPC2": samplers.UniPC(),
    "DDPM": samplers.DDPM(),
    "RandomizedMidpoint": samplers.RandomizedMidpoint(),
}


def differences(sampler: Any, law: str, n: int, steps: int) -> dict[str, float]:
    key, d = jax.random.key(KEY), LAWS[law].denoiser(js.schedules.VarianceExploding())
    event, scale = LAWS[law].event_shape, (moments(law)[1] / LAWS[law].event_shape[0]) ** 0.5
    whole = np.asarray(js.sample(key, d, (n, *event), sampler, steps).x)
    first = n // 2
    parts = {
        "five rows alone": (js.sample(key, d, (5, *event), sampler, steps, first=first).x, whole[first : first + 5]),
        "microbatches": (js.sample(key, d, (n, *event), sampler, steps, microbatch=100).x, whole),
        "four devices": (js.sample(key, d, (n, *event), sampler, steps, mesh=js.mesh()).x, whole),
    }
    with tempfile.TemporaryDirectory() as folder:
        draw = lambda: js.sample_shards(folder, key, d, (n, *event), sampler, steps, shard_size=n // 4)  # noqa: E731
        made = np.concatenate([np.asarray(part) for part in draw()])
        parts["shards"] = (made, whole)
        lost = sorted(Path(folder).glob("shard-*.npz"))[::2]
        for path in lost:
            path.unlink()
        resumed = np.concatenate([np.asarray(part) for part in draw()])
        parts["resumed, against not killed"] = (resumed, made)
        if not (lost and all(path.exists() for path in lost)):
            raise RuntimeError(f"the shards in {folder} were not drawn again.")
    return {name: float(np.abs(np.asarray(x) - y).max() / scale) for name, (x, y) in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=64)
    options = parser.parse_args()
    rows = [
        {"sampler": name, **differences(sampler, "g64", options.samples, options.steps)}
        for name, sampler in SAMPLERS.items()
    ]
    print(json.dumps(rows, indent=1))
    options.into.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
