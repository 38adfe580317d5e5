"""Does a sample of ours depend on what it is drawn with? One table, on four devices of this machine's CPU.

Each row draws the same 1,024 samples of g64 in another way. Differences are the largest of any coordinate; programs of
other shapes may round differently.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4 " + os.environ.get("XLA_FLAGS", "")
os.environ["PJRT_NPROC"] = "16"  # four devices on fewer processors could wait for each other
import argparse
import json
import tempfile
from pathlib import Path

import jax
import numpy as np
from harness import KEY, LAWS

import jaxsamp as js


def ways(sampler, steps, n):
    """Pairs of a way and its largest difference from the whole batch."""
    key, shape = jax.random.key(KEY), (n, *LAWS["g64"].event_shape)
    denoiser = LAWS["g64"].denoiser(js.schedules.VarianceExploding())
    common = {"sampler": sampler, "steps": steps, "final_denoise": False}

    def draw(rows=n, **more):
        return np.asarray(js.sample(key, denoiser, (rows, *shape[1:]), **common, **more).x)

    whole, first = draw(), min(500, n - 5)
    yield "rows 500 to 504 by themselves", np.abs(draw(5, first=first) - whole[first : first + 5]).max()
    yield "microbatches of 100", np.abs(draw(microbatch=min(100, n)) - whole).max()
    yield "four devices", np.abs(draw(mesh=js.mesh()) - whole).max()
    with tempfile.TemporaryDirectory() as folder:
        shards = js.sample_shards(folder, key, denoiser, shape, shard_size=n // 4, **common)
        yield "four shards in files", np.abs(shards[:] - whole).max()
        kept = {path.name: path.read_bytes() for path in Path(folder).glob("shard-*.npz")}
    with tempfile.TemporaryDirectory() as folder:  # one process of two, whose half is there when the other comes
        js.sample_shards(folder, key, denoiser, shape, shard_size=n // 4, process=(0, 2), **common)
        js.sample_shards(folder, key, denoiser, shape, shard_size=n // 4, process=(1, 2), **common)
        again = {path.name: path.read_bytes() for path in Path(folder).glob("shard-*.npz")}
        yield "four shards, two of them drawn and the job continued later (0: equal bytes)", float(kept != again)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=32)
    options = parser.parse_args()
    samplers = {"UniPC2": js.samplers.UniPC(), "DDPM": js.samplers.DDPM()}
    samplers["RandomizedMidpoint"] = js.samplers.RandomizedMidpoint()
    rows = [
        {"way": way, "sampler": name, "difference": float(difference)}
        for name, sampler in samplers.items()
        for way, difference in ways(sampler, options.steps, options.batch)
    ]
    options.into.write_text(json.dumps({"rows": rows, "jax": jax.__version__}, indent=1))


if __name__ == "__main__":
    main()
