"""What do devices exchange, and do they change a sample? On 1, 2 and 4 devices, of a CPU if there is nothing else.

Exact scores of g64 in float64, OU schedule, no final denoise. Samples are divided over the mesh's axis "batch", the
nodes of a window over "time". Exchanges are read from the compiled program: how many each round has, how many are
outside of loops, and how many bytes one device holds after those of a round, per sample of its own. Change: the largest
difference of a coordinate from the run on one device. Memory: what the program takes on one device besides arguments
and results. Training: a step on a batch of 64 of an MLP of 3 x 512, its weights copied or divided (fsdp); "in a round"
then means in a step, and bytes are per weight. Nothing here measures speed.
"""

import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, g64, report

import jaxsamp as js
from jaxsamp.devices.collectives import Collective, collectives
from jaxsamp.samplers import DDIM, ParaDiGMS, ParallelMidpoint, SlidingWindow, SpeculativeDDPM, UniPC
from jaxsamp.training import loop
from jaxsamp.training.placement import Layout

SAMPLERS = {
    "UniPC2, 16 steps": (UniPC(), 16),
    "ParallelMidpoint(iterations=4)": (ParallelMidpoint(iterations=4), 1),
    "ParallelMidpoint(tolerance=1e-3)": (ParallelMidpoint(iterations=9, tolerance=1e-3), 1),
    "SlidingWindow(16), 64 steps": (SlidingWindow(16), 64),
    "ParaDiGMS(DDIM(), 16)": (ParaDiGMS(DDIM(), 16), 64),
    "SpeculativeDDPM(16), 64 steps": (SpeculativeDDPM(16), 64),
}
MESHES = [(1, 1), (2, 1), (4, 1), (1, 2), (1, 4), (2, 2)]  # batch, time


def counted(sent: list[Collective]) -> str:
    """The number of exchanges of each kind, as text."""
    kinds = [collective.kind for collective in sent]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "none"


def sampling(denoiser: Any, name: str, samples: int) -> list[dict[str, Any]]:
    """One sampler on all meshes."""
    sampler, steps = SAMPLERS[name]
    rows, alone = [], None
    for sizes in MESHES:
        mesh = js.mesh(*sizes, devices=jax.devices()[: sizes[0] * sizes[1]])
        draw = partial(js.sample, shape=(samples, 64), sampler=sampler, steps=steps, mesh=mesh, final_denoise=False)
        compiled = jax.jit(lambda key, draw=draw: draw(key, denoiser)).lower(jax.random.key(0)).compile()
        drawn = compiled(jax.random.key(0))
        alone = drawn if alone is None else alone
        sent = collectives(compiled)
        rounds = [collective for collective in sent if collective.in_loop]
        rows.append(
            {
                "what": name,
                "batch x time": "{} x {}".format(*sizes),
                "change": float(np.abs(np.asarray(drawn.x) - np.asarray(alone.x)).max()),
                "rounds": float(np.mean(drawn.stats["rounds"])),
                "same rounds": bool((np.asarray(drawn.stats["rounds"]) == np.asarray(alone.stats["rounds"])).all()),
                "in a round": counted(rounds),
                "outside": counted([collective for collective in sent if not collective.in_loop]),
                "bytes": sum(collective.bytes for collective in rounds) / (samples / sizes[0]),
                "memory": compiled.memory_analysis().temp_size_in_bytes,
            }
        )
    return rows


def training(samples: int, width: int) -> list[dict[str, Any]]:
    """One step of training, on one device and on all."""
    data, model = np.random.default_rng(0).standard_normal((4 * samples, 64)), js.models.MLP(width, 3)
    rows, alone = [], None
    for name, mesh, fsdp in (("one device", None, False), ("copied", js.mesh(), False), ("fsdp", js.mesh(), True)):
        key, seen = jax.random.key(0), []
        options = {"batch_size": samples, "mesh": mesh, "fsdp": fsdp, "callback_every": 1}
        state = js.fit(
            key,
            model,
            data,
            js.schedules.Cosine(),
            2,
            callback=lambda _, state, seen=seen: seen.append(state),
            **options,
        )
        layout = None if mesh is None else Layout(mesh, fsdp)
        x = js.devices.divide(jnp.asarray(data[:samples], jnp.float32), mesh)
        step = loop.STEP.lower(state, x, None, loss=js.training.denoising_loss(), ema=0.999, layout=layout).compile()
        weights = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(seen[-1].params)])
        alone = flat if alone is None else alone
        sent = collectives(step)
        rows.append(
            {
                "what": f"training, {name}",
                "batch x time": f"{1 if mesh is None else mesh.size} x 1",
                "change": float(np.abs(flat - alone).max()),
                "in a round": counted(sent),
                "bytes": sum(collective.bytes for collective in sent) / weights,
                "memory": step.memory_analysis().temp_size_in_bytes,
            }
        )
    return rows


def main():
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--only", nargs="+", default=(), help="samplers whose names begin so, or training")
    options = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 4)
    os.environ.setdefault("PJRT_NPROC", "16")  # devices that wait for each other need a thread each
    chosen = [name for name in [*SAMPLERS, "training"] if not options.only or name.startswith(tuple(options.only))]
    rows = []
    with jax.enable_x64(True):
        denoiser = g64().denoiser(js.schedules.OrnsteinUhlenbeck())
        for name in SAMPLERS:
            rows += sampling(denoiser, name, options.samples) if name in chosen else []
    rows += training(options.samples, options.width) if "training" in chosen else []
    report("device_scaling", "What devices exchange", rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
