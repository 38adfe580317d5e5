"""A folder as diffusers saves it, sampled one step after the other and in parallel; diffusers is not needed.

First a small U-Net is trained to draw digits, with the architecture of diffusers' UNet2DModel, and saved in its format;
with a folder of your own, or "hf:google/ddpm-cifar10-32", leave that out. A round is one batched call of the network.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import optax

import jaxsamp as js
from jaxsamp.models.diffusers import UNet2DModel

OUT = Path("runs/examples")
SCHEDULER = {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "beta_schedule": "squaredcos_cap_v2"}
UPDATES, BATCH, SHAPE = 500, 32, (24, 8, 8, 1)
BLOCKS = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
SIZES = {"sample_size": 8, "block_out_channels": (12, 24), "layers_per_block": 1, "norm_num_groups": 4}
NETWORK = UNet2DModel(in_channels=1, out_channels=1, **SIZES, **BLOCKS)


def train(folder):
    """The usual loss at uniform times: the mean squared error of v."""
    data, key = jnp.asarray(js.datasets.digits()[0]).reshape(-1, 8, 8, 1), jax.random.key(0)
    schedule, _ = js.schedules.DiscreteTime.from_diffusers(SCHEDULER)
    params = jax.jit(NETWORK.init)(key, data[:1], jnp.zeros(1, int))["params"]
    optimizer = optax.adam(optax.cosine_decay_schedule(4e-3, UPDATES))

    def loss(params, key):
        for_data, for_time, for_noise = jax.random.split(key, 3)
        x, z = jax.random.choice(for_data, data, (BATCH,)), jax.random.normal(for_noise, (BATCH, 8, 8, 1))
        level = schedule.at(jax.random.randint(for_time, (BATCH,), 0, 1000))
        alpha, sigma = (part.reshape(-1, 1, 1, 1) for part in (level.alpha, level.sigma))
        v = NETWORK.apply({"params": params}, alpha * x + sigma * z, level.t)
        return jnp.mean((v - (alpha * z - sigma * x)) ** 2)

    def update(carry, key):
        change, memory = optimizer.update(jax.grad(loss)(carry[0], key), carry[1])
        return (optax.apply_updates(carry[0], change), memory), None

    start = params, optimizer.init(params)
    (params, _), _ = jax.lax.scan(update, start, jax.random.split(jax.random.key(1), UPDATES))
    js.models.save_pretrained(folder, NETWORK, params, SCHEDULER)


train(OUT / "31_folder")
denoiser, key, shown = js.models.pretrained(OUT / "31_folder"), jax.random.key(2), {}
ways = {"UniPC": js.samplers.UniPC(), "SlidingWindow": js.samplers.SlidingWindow(window=20)}
flow = js.sample(key, denoiser, SHAPE, js.samplers.UniPC(order=3), 150).x
for name, sampler in ways.items():
    drawn = js.sample(key, denoiser, SHAPE, sampler, 40)
    rounds, calls = (float(drawn.stats[what].mean()) for what in ("rounds", "evaluations"))
    error = jnp.median(jnp.sqrt(jnp.mean((drawn.x - flow) ** 2, (1, 2, 3))))
    print(f"{name:14} {rounds:5.1f} rounds {calls:7.1f} evaluations, {error:.1e} from the exact flow")
    shown[f"{name}: {rounds:.0f} rounds"] = jnp.clip(drawn.x, -1, 1)
figure = js.plots.panels([*shown.values()], [*shown], columns=8, title="a folder of diffusers")
js.plots.save(figure, OUT / "31_pretrained_folder.png")
