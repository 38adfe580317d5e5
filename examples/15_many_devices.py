"""The same samples on any devices, and the data that the devices exchange.

On a machine without accelerators:  JAX_NUM_CPU_DEVICES=4 PJRT_NPROC=16 python 15_many_devices.py
"""

import tempfile
from functools import partial

import jax
import numpy as np

import jaxsamp as js
from jaxsamp.devices.collectives import collectives
from jaxsamp.samplers import SlidingWindow, UniPC


def main():
    train, devices = js.datasets.digits()[0], jax.device_count()
    target = js.learning.fit_gaussian_mixture(train, 10, reg_covar=1e-3)
    denoiser, key = target.denoiser(js.schedules.VariancePreserving()), jax.random.key(0)
    print(f"{devices} {jax.devices()[0].platform} device{'s' * (devices > 1)}")

    for sampler in (UniPC(), SlidingWindow()):
        one = js.sample(key, denoiser, (16, 64), sampler).x
        for time in (time for time in (1, 2, 4, 8) if devices % time == 0):
            mesh = js.mesh(time=time)  # samples are divided over "batch", the nodes of a window over "time"
            draw = partial(js.sample, denoiser=denoiser, shape=(16, 64), sampler=sampler, mesh=mesh)
            compiled = jax.jit(draw).lower(key).compile()
            moved = np.abs(np.asarray(compiled(key).x) - np.asarray(one)).max()
            sent = [f"{c.kind} of {c.bytes:,} bytes" for c in collectives(compiled) if c.in_loop]
            name = f"{type(sampler).__name__} on {mesh.shape['batch']} x {time}"
            print(f"{name:22}: samples moved by {moved:.0e}; a round sends {', '.join(sent) or 'nothing'}")

    with tempfile.TemporaryDirectory() as folder:  # any number of samples, with memory for two shards
        shards = js.sample_shards(folder, key, denoiser, (3000, 64), steps=16, shard_size=1000, mesh=js.mesh())
        mean = sum(part.sum(0) for part in shards) / len(shards)
        gap = np.sqrt(np.mean((mean - train.mean(0).ravel()) ** 2))
        print(
            f"{len(shards):,} samples in {len(shards.manifest['shards'])} files; mean {gap:.3f} from that of the data"
        )


if __name__ == "__main__":
    main()
