"""Training over all devices of a process of its own: argv is a folder for what it finds.

Compiled as the tests are, so that the processes differ in the number of devices alone.
"""

import json
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.extend.backend
import jax.numpy as jnp
import numpy as np

import jaxsamp as js
from jaxsamp import training

STEPS, WIDTH = 100, 128
X = (np.random.default_rng(0).normal(size=(100, 2)) * [1.0, 0.4]).astype(np.float32)


class Tiny(nn.Module):
    """Two arrays that are divided, and others that are too small."""

    @nn.compact
    def __call__(self, x, noise, cond=None):
        h = jnp.concatenate([x, noise[:, None]], -1)
        for width in (WIDTH, 2 * WIDTH, WIDTH):
            h = nn.silu(nn.Dense(width)(h))
        return nn.Dense(2)(h)


MODEL = js.models.Model(Tiny(), js.schedules.EDM(), sigma_data=0.5)


def run(folder, name, steps=STEPS, data=X, model=MODEL, **options):
    """The state, and the losses of all steps in FOLDER/name.jsonl."""
    settings = {"batch_size": 32, "optimizer": training.AdamW(), "report_every": 1, **options}
    return js.fit(jax.random.key(0), model, data, None, steps, journal=Path(folder) / f"{name}.jsonl", **settings)


def sample(state, **options):
    return js.sample(jax.random.key(1), state.denoiser(), (8, 2), steps=2, **options).x


def places(state):
    """For each array its name, and the axes that it is divided along."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): str(leaf.sharding.spec) for path, leaf in leaves}


def programs():
    """The text of each step that was compiled."""
    for executable in jax.extend.backend.get_backend().live_executables():
        yield from (module.to_string() for module in executable.hlo_modules() if module.name == "jit_step")


def main(folder):
    compiled, seen, mesh = [], [], js.mesh()
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **about: "backend_compile" in event and compiled.append(about["fun_name"])
    )
    copied = run(folder, "copied", mesh=mesh)
    divided = run(
        folder, "divided", mesh=mesh, fsdp=True, checkpoint=folder / "run", checkpoint_every=60, callback_every=50,
        callback=lambda step, state: seen.append(places(state)),
    )  # fmt: skip
    compiled_steps = compiled.count("jit(step)")
    try:
        run(folder, "refused", mesh=mesh, batch_size=36, accumulate=2)
    except ValueError as error:
        refused = str(error)
    found = {"copied": places(copied), "divided": places(divided), "callback": seen, "refused": refused}
    found |= {"compiled": compiled_steps, "programs": list(programs()), "devices": jax.device_count()}
    (folder / "found.json").write_text(json.dumps(found))
    np.savez(folder / "samples.npz", over=sample(divided, mesh=mesh), alone=sample(divided))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
