"""A small training run, and a program that is one of two hosts of two devices: argv is a folder, its number and a port.

Compiled as the tests are, so that runs differ in the devices alone.
"""

import json
import os
import signal
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js

WIDTH, STEPS = 128, 20
X = (np.random.default_rng(0).normal(size=(100, 2)) * [1.0, 0.4]).astype(np.float32)


class Tiny(nn.Module):
    """Two arrays that are large enough to be divided, and some that are not."""

    @nn.compact
    def __call__(self, x, noise, cond=None):
        h = jnp.concatenate([x, noise[:, None]], -1)
        for width in (WIDTH, 2 * WIDTH, WIDTH):
            h = nn.silu(nn.Dense(width)(h))
        return nn.Dense(2)(h)


MODEL = js.models.Model(Tiny(), js.schedules.EDM(), sigma_data=0.5)


def run(folder, name, steps=STEPS, data=X, **options):
    """The state, and the losses of all steps in FOLDER/name.jsonl."""
    settings = {"batch_size": 32, "report_every": 1, "metrics_file": Path(folder) / f"{name}.jsonl", **options}
    return js.fit(jax.random.key(0), MODEL, data, None, steps, **settings)


def sample(state, **options):
    return js.sample(jax.random.key(1), state.denoiser(), (8, 2), steps=2, **options).x


def places(state):
    """For each array its name, and the axes that it is divided along."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): leaf.sharding.spec for path, leaf in leaves}


def main(folder, host, port):
    js.initialize_distributed(f"127.0.0.1:{port}", 2, host)
    mesh, seen, mine = js.mesh(), [], folder / str(host)
    mine.mkdir()
    np.save(mine / "x.npy", X)
    arrays = run(mine, "arrays", mesh=mesh, fsdp=True, callback=lambda step, _: seen.append(step), callback_every=8)
    lazy = js.datasets.memory_mapped(mine / "x.npy")
    run(mine, "lazy", data=lazy, mesh=mesh, checkpoint=folder / "run", checkpoint_every=8)
    run(mine, "law", data=js.targets.moons(), steps=3, mesh=mesh)

    def kill(step, state):
        if step == 3 and host == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    code, options = None, {"mesh": mesh, "checkpoint": folder / "stopped"}
    try:
        run(mine, "stopped", callback=kill, callback_every=3, report_every=5, **options)
    except SystemExit as stop:
        code = stop.code
    saved = js.training.latest_step(folder / "stopped")
    again = run(mine, "again", resume=True, **options)
    found = {"callback": seen, "code": code, "saved": saved, "step": int(again.step)}
    found["divided"] = sum(any(place) for place in places(arrays).values())
    found["journals"] = sorted(path.name for path in mine.glob("*.jsonl"))
    (mine / "found.json").write_text(json.dumps(found))
    parts = sample(arrays, mesh=mesh).addressable_shards
    np.save(mine / "samples.npy", np.concatenate([part.data for part in parts]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
