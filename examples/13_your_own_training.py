"""A network of your own in Flax NNX, and a loop of your own: jaxsamp gives the loss and the samples, and asks for neither.

`jaxsamp.losses.denoising` is a function of (key, apply, params, data, schedule, prediction); `jaxsamp.denoiser` takes the
same `apply`. What `params` is made of is no one's business: here it is the state of an NNX module.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import jaxsamp as js

OUT = Path("runs/examples")
TARGET, SCHEDULE = js.targets.moons(), js.schedules.RectifiedFlow()
UPDATES, BATCH, N, WIDTH = 2000, 256, 1000, 96


class Network(nnx.Module):
    def __init__(self, rngs):
        self.into = nnx.Linear(2 + 16, WIDTH, rngs=rngs)
        self.hidden = nnx.List([nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(2)])
        self.out = nnx.Linear(WIDTH, 2, rngs=rngs)

    def __call__(self, x, t):
        angles = jnp.pi * t[:, None] * jnp.arange(1, 9)
        h = nnx.silu(self.into(jnp.concatenate([x, jnp.sin(angles), jnp.cos(angles)], -1)))
        for layer in self.hidden:
            h = h + nnx.silu(layer(h))
        return self.out(h)


GRAPH, PARAMS = nnx.split(Network(nnx.Rngs(0)))
OPTIMIZER = optax.adam(optax.cosine_decay_schedule(3e-3, UPDATES))


def apply(params, x, t, cond):
    """What the network predicts is dx_t / dt, as in flow matching."""
    return nnx.merge(GRAPH, params)(x, t)


@jax.jit
def train(params, key):
    def loss(params, key):
        for_data, for_loss = jax.random.split(key)
        x = TARGET.sample(for_data, BATCH)
        levels = js.losses.UniformTime()
        return js.losses.denoising(
            for_loss, apply, params, x, SCHEDULE, "velocity", levels=levels, weighting=None
        ).mean()

    def update(carry, i):
        params, memory = carry
        value, gradient = jax.value_and_grad(loss)(params, jax.random.fold_in(key, i))
        change, memory = OPTIMIZER.update(gradient, memory, params)
        return (optax.apply_updates(params, change), memory), value

    return jax.lax.scan(update, (params, OPTIMIZER.init(params)), jnp.arange(UPDATES))


def main():
    for_training, for_samples, for_metrics, for_truth = jax.random.split(jax.random.key(0), 4)
    (params, _), losses = train(PARAMS, for_training)
    print(f"loss {losses[:100].mean():.3f} in the first hundred updates, {losses[-100:].mean():.3f} in the last")
    for name, denoiser in (
        ("exact", TARGET.denoiser(SCHEDULE)),
        ("NNX", js.denoiser(apply, params, SCHEDULE, "velocity")),
    ):
        x = js.sample(for_samples, denoiser, (N, 2), steps=24).x
        energy = js.metrics.energy(x, TARGET, for_metrics)
        print(f"{name:8} energy distance {energy.value:.4f}, true samples below {energy.null_high:.4f}")
    figure = js.plots.scatter(x, TARGET.sample(for_truth, N), log_prob=TARGET.log_prob, title="two moons, trained in NNX")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "13_your_own_training.png")


if __name__ == "__main__":
    main()
