"""A folder as diffusers saves it, sampled one step after the other and in parallel; diffusers is not needed.

First a small U-Net is trained to draw digits, with the architecture of diffusers' UNet2DModel, and saved in its format;
with a folder of your own, or "hf:google/ddpm-cifar10-32", leave that out. Both ways start from the same noise: steps
that wait for each other, and a window that slides over them. A round is one batched call of the network.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import optax

import jaxsamp as js
from jaxsamp.models.diffusers import UNet2DModel

OUT = Path("runs/examples")
SCHEDULER = {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "beta_schedule": "squaredcos_cap_v2"}
UPDATES, BATCH, N = 500, 32, 24
BLOCKS = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
SIZES = {"block_out_channels": (12, 24), "layers_per_block": 1, "norm_num_groups": 4}
NETWORK = UNet2DModel(sample_size=8, in_channels=1, out_channels=1, **SIZES, **BLOCKS)


def train(folder):
    """The usual loss at uniform times: the mean squared error of v."""
    data = jnp.asarray(js.datasets.digits()[0]).reshape(-1, 8, 8, 1)
    schedule, _ = js.schedules.DiscreteTime.from_diffusers(SCHEDULER)
    optimizer = optax.adam(optax.cosine_decay_schedule(4e-3, UPDATES))
    params = jax.jit(NETWORK.init)(jax.random.key(0), data[:1], jnp.zeros(1, int))["params"]

    def loss(params, key):
        for_data, for_time, for_noise = jax.random.split(key, 3)
        x = jax.random.choice(for_data, data, (BATCH,))
        level = schedule.at(jax.random.randint(for_time, (BATCH,), 0, 1000))
        alpha, sigma = (part.reshape(-1, 1, 1, 1) for part in (level.alpha, level.sigma))
        z = jax.random.normal(for_noise, x.shape)
        v = NETWORK.apply({"params": params}, alpha * x + sigma * z, level.t)
        return jnp.mean((v - (alpha * z - sigma * x)) ** 2)

    @jax.jit
    def fit(params, key):
        def update(carry, i):
            params, memory = carry
            value, gradient = jax.value_and_grad(loss)(params, jax.random.fold_in(key, i))
            change, memory = optimizer.update(gradient, memory, params)
            return (optax.apply_updates(params, change), memory), value

        return jax.lax.scan(update, (params, optimizer.init(params)), jnp.arange(UPDATES))

    (params, _), losses = fit(params, jax.random.key(1))
    print(f"loss {losses[:50].mean():.3f} in the first fifty updates, {losses[-50:].mean():.3f} in the last")
    js.models.save_pretrained(folder, NETWORK, params, SCHEDULER)


def main():
    folder = OUT / "31_folder"
    train(folder)
    denoiser, key = js.models.pretrained(folder), jax.random.key(2)
    ways = {
        "UniPC, 40 steps": (js.samplers.UniPC(), 40),
        "SlidingWindow, 40 cells": (js.samplers.SlidingWindow(window=20), 40),
    }
    shown, flow = {}, js.sample(key, denoiser, (N, *denoiser.apply.event_shape), js.samplers.UniPC(order=3), 150).x
    for name, (sampler, steps) in ways.items():
        drawn = js.sample(key, denoiser, (N, *denoiser.apply.event_shape), sampler, steps)
        rounds, calls = (float(drawn.stats[what].mean()) for what in ("rounds", "evaluations"))
        error = jnp.median(jnp.sqrt(jnp.mean((drawn.x - flow) ** 2, (1, 2, 3))))
        print(f"{name:24} {rounds:5.1f} rounds {calls:7.1f} evaluations, {error:.1e} from the exact flow")
        shown[f"{name}: {rounds:.0f} rounds"] = jnp.clip(drawn.x, -1, 1)
    figure = js.plots.panels(list(shown.values()), list(shown), columns=8, title="a folder of diffusers")
    js.plots.save(figure, OUT / "31_pretrained_folder.png")


if __name__ == "__main__":
    main()
