"""One of the processes of `test_hosts.py`: python -m tests.two_processes PORT COUNT INDEX JOB."""

import os
import signal
import socket
import sys

import jax
import numpy as np

import jaxsamp as js
from tests.cases import SAMPLERS, SCHEDULES, g64


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def drawn(sampler, mesh, **options):
    """What every process can see of samples: all of them."""
    denoiser, options = g64().denoiser(SCHEDULES["ou"]), {"final_denoise": False, "mesh": mesh, **options}
    x = js.sample(jax.random.key(0), denoiser, (6, 64), SAMPLERS[sampler], 4, **options).x
    return np.asarray(x if mesh is None else jax.experimental.multihost_utils.process_allgather(x, tiled=True))


if __name__ == "__main__":
    port, count, index, job = *map(int, sys.argv[1:4]), sys.argv[4]
    jax.config.update("jax_num_cpu_devices", 2)
    process = js.initialize_distributed(f"127.0.0.1:{port}", count, index, timeout=10)
    assert process == (index, count) and len(jax.devices()) == 2 * count
    if job == "sample":
        import jax.experimental.multihost_utils

        for sampler, sizes in (("ddpm", (4, 1)), ("sliding", (2, 2)), ("sliding", (1, 4))):
            np.testing.assert_allclose(drawn(sampler, js.mesh(*sizes)), drawn(sampler, None), rtol=1e-5, atol=1e-5)
        init = jax.random.normal(jax.random.key(1), (6, 64))  # and six do not divide by four
        one = drawn("ddpm", None, init=init)
        for options in ({}, {"progress": True}, {"progress": True, "microbatch": 1}, {"microbatch": 1}):
            np.testing.assert_allclose(drawn("ddpm", js.mesh(), init=init, **options), one, rtol=1e-5, atol=1e-5)
        print("equal", flush=True)
    elif job == "differ":
        for name, options in (
            ("init", {"init": jax.numpy.full((6, 64), float(index))}),
            ("cond", {"cond": jax.numpy.full(6, index)}),
        ):
            try:
                drawn("ddpm", js.mesh(), **options)
            except ValueError as error:
                assert f"differ between processes: {name}." in str(error), error
                print("refused", flush=True)
        law = js.targets.from_log_density(lambda x: -(x**2).sum(), (2,))
        try:
            js.sample_density(
                jax.random.key(index), law, (4, 2), js.mcmc.Overdamped(0.1 + index), 4, thin=0, mesh=js.mesh()
            )
        except ValueError as error:
            assert "differ between processes: sampler, key." in str(error), error
            print("refused", flush=True)
        network, data = js.models.MLP(width=4, depth=1), np.arange(16.0).reshape(8, 2)
        try:
            js.fit(jax.random.key(0), network, data + index, SCHEDULES["vp"], 2 + index, batch_size=4, mesh=js.mesh())
        except ValueError as error:
            assert "differ between processes: data, steps." in str(error), error
            print("refused", flush=True)
        js.fit(jax.random.key(0), network, data, SCHEDULES["vp"], 2, batch_size=4, mesh=js.mesh())
        js.sample_density(jax.random.key(0), law, (4, 2), js.mcmc.Overdamped(0.1), 4, thin=0, mesh=js.mesh())
        print("agreed", flush=True)
    elif index == 1:
        print("dying", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        signal.pause()
