"""Train a small Flax network to predict the noise, and sample with it; any function (params, x, t, cond) works.

The law of the data is known, so samples of the exact score show which part of the error is the network's.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

import jaxsamp as js

TARGET, SCHEDULE = js.targets.moons(), js.schedules.Cosine()
UPDATES, BATCH, N = 1000, 256, 1000
NETWORK = nn.Sequential([nn.Dense(96), nn.silu, nn.Dense(96), nn.silu, nn.Dense(96), nn.silu, nn.Dense(2)])


def apply(params, x, t, cond):
    """The network that jaxsamp calls: x is (batch, 2), t the schedule's own time, (batch,)."""
    angles = t[:, None] * jnp.pi * 2.0 ** jnp.arange(4)
    return NETWORK.apply(params, jnp.concatenate([x, jnp.sin(angles), jnp.cos(angles)], -1))


def loss(params, key):
    for_data, for_time, for_noise = jax.random.split(key, 3)
    level = SCHEDULE.at(jax.random.uniform(for_time, (BATCH, 1), minval=0.01, maxval=0.99))
    noise = jax.random.normal(for_noise, (BATCH, 2))
    noisy = level.alpha * TARGET.sample(for_data, BATCH) + level.sigma * noise
    return jnp.mean((apply(params, noisy, level.t[:, 0], None) - noise) ** 2)


@jax.jit
def train(params, key):
    def update(carry, i):  # gradient descent with momentum, at a rate that falls to zero
        params, velocity = carry
        gradient = jax.grad(loss)(params, jax.random.fold_in(key, i))
        velocity = jax.tree.map(lambda v, g: 0.95 * v - 0.05 * (1 - i / UPDATES) * g, velocity, gradient)
        return (jax.tree.map(jnp.add, params, velocity), velocity), None

    return jax.lax.scan(update, (params, jax.tree.map(jnp.zeros_like, params)), jnp.arange(UPDATES))[0][0]


def main():
    for_init, for_training, for_samples, for_metrics = jax.random.split(jax.random.key(0), 4)
    params = train(NETWORK.init(for_init, jnp.zeros((1, 10))), for_training)
    learned = js.denoiser(apply, params, SCHEDULE, prediction="epsilon")
    for name, denoiser in (("exact score", TARGET.denoiser(SCHEDULE)), ("network", learned)):
        error = js.metrics.energy(js.sample(for_samples, denoiser, (N, 2), steps=24).x, TARGET, for_metrics)
        print(
            f"{name:12} energy distance {error.value:.4f}; true samples {error.null_low:.4f} to {error.null_high:.4f}"
        )


if __name__ == "__main__":
    main()
