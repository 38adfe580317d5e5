"""Your own network in Flax NNX, trained in your own loop; jaxsamp gives the loss and the samples.

`jaxsamp.losses.denoising` and `jaxsamp.denoiser` take the same function (params, x, t, cond). They do not look into
`params`: here it is the state of an NNX module, and the network predicts dx_t / dt, as in flow matching.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import jaxsamp as js

OUT = Path("runs/examples")
TARGET, SCHEDULE = js.targets.moons(), js.schedules.RectifiedFlow()
UPDATES, BATCH, N = 6000, 256, 1000
SIZES, RNGS = (2 + 16, 96, 96, 96, 2), nnx.Rngs(0)
LAYERS = [nnx.Linear(*ends, rngs=RNGS) for ends in zip(SIZES, SIZES[1:], strict=False)]
GRAPH, PARAMS = nnx.split(nnx.Sequential(*(f for layer in LAYERS[:-1] for f in (layer, nnx.silu)), LAYERS[-1]))
OPTIMIZER = optax.adam(optax.cosine_decay_schedule(3e-3, UPDATES))


def apply(params, x, t, cond):
    angles = jnp.pi * t[:, None] * jnp.arange(1, 9)
    return nnx.merge(GRAPH, params)(jnp.concatenate([x, jnp.sin(angles), jnp.cos(angles)], -1))


@jax.jit
def train(params, key):
    def loss(params, key):
        for_data, for_loss = jax.random.split(key)
        x, options = TARGET.sample(for_data, BATCH), {"levels": js.losses.UniformTime(), "weighting": None}
        return js.losses.denoising(for_loss, apply, params, x, SCHEDULE, "velocity", **options).mean()

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
    x = js.sample(for_samples, js.denoiser(apply, params, SCHEDULE, "velocity"), (N, 2), steps=24).x
    for name, metric in js.evaluate(x, TARGET, for_metrics, metrics=("energy", "log_density")).items():
        print(f"{name:12} {metric.value:7.4f}   true samples {metric.null_low:7.4f} to {metric.null_high:.4f}")
    figure = js.plots.scatter(x, TARGET.sample(for_truth, N), log_prob=TARGET.log_prob, title="two moons, in NNX")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "13_your_own_training.png")


if __name__ == "__main__":
    main()
