"""Gradient descent on the DDPM objective: two symmetric Gaussians from a random start, K from starts near the centers.

Levels are those of the Ornstein-Uhlenbeck process, alpha = e^-t and sigma^2 = 1 - e^-2t. Data have been centered, and
components have unit covariance.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp.core.types import Array, ArrayLike
from jaxsamp.learning.ddpm_gradients import Blocks, descent, mean_of

POWER_STEPS = 40  # with 10 of them one start in 20 had too small a radius, which the projection then kept
SMALLEST = 0.05  # squared radius that the steps are made for
LOW, LOW_K = 0.1, 0.05  # times of low noise


class Found(NamedTuple):
    """What a driver found.

    Attributes:
        means: centers of the components at noise 0, (d,) or (K, d).
        steps: number of steps made, of all stages.
        converged: whether the last stage ended before its last step; None if noise never lets it.
    """

    means: Array
    steps: Array
    converged: Array | None


def largest_eigenvalue(key: Array, blocks: Blocks) -> Array:
    """That of the second moments of the data, by 40 steps of power iteration from a random vector."""

    def step(_: Array, v: Array) -> Array:
        v = v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(v.dtype).tiny)  # data that are all the same
        return mean_of(lambda x, share, _: _dot(share * _dot(x, v), x), blocks)

    start = jax.random.normal(key, blocks.x.shape[2:])
    return jnp.linalg.norm(jax.lax.fori_loop(0, POWER_STEPS, step, start))


@partial(jax.jit, static_argnames="gradient")
def two_gaussians(key: Array, blocks: Blocks, gradient: str, steps: int | Array, tol: ArrayLike) -> tuple[Found, Array]:
    """The mean mu of N(mu, I) / 2 + N(-mu, I) / 2, from a random start; also the largest eigenvalue.

    At high noise, where descent is power iteration, centers stay in the ball of twice the estimated radius; at low
    noise it is nearly expectation-maximization. With R^2 the largest eigenvalue less 1, the time of high noise is
    max(log(d) / 2, log(2 R)), and the rates are 1 / (8 alpha^2 R^2) and 1 / 2.

    Args:
        key: a typed key.
        blocks: the data.
        gradient: "exact", "stein" or "fresh".
        steps: largest number of steps of each stage. With noise all are made, and the second half is averaged.
        tol: without noise, a stage ends when a step is shorter than this share of max(1, |mu|).

    Source: Shah, Chen and Klivans, "Learning Mixtures of Gaussians Using the DDPM Objective", arXiv 2307.01178,
    algorithm 1; the constants are our own.
    """
    for_power, for_start, for_high, for_low = jax.random.split(key, 4)
    eigenvalue = largest_eigenvalue(for_power, blocks)
    d = blocks.x.shape[2]
    square = jnp.maximum(eigenvalue - 1, SMALLEST)
    high = jnp.maximum(jnp.maximum(0.5 * jnp.log(d), 0.5 * jnp.log(4 * square)), LOW)
    alpha = jnp.exp(-high)

    def inside(m: Array) -> Array:
        return m * jnp.minimum(1, 2 * alpha * jnp.sqrt(square) / jnp.linalg.norm(m))

    start = jax.random.normal(for_start, (d,))
    start *= 0.1 * jnp.sqrt(square) / jnp.linalg.norm(start)
    run = partial(stage, gradient, None, blocks=blocks, steps=steps, tol=tol)
    first = run(for_high, start, t=high, rate=1 / (8 * alpha**2 * square), project=inside)
    second = run(for_low, first.means, t=jnp.asarray(LOW), rate=0.5)
    return second._replace(steps=first.steps + second.steps), eigenvalue


@partial(jax.jit, static_argnames="gradient")
def gaussians(
    key: Array, blocks: Blocks, log_weights: Array, start: Array, gradient: str, steps: int | Array
) -> tuple[Found, Array]:
    """The means of sum_j w_j N(mu_j, I) from starts near to them; also the largest eigenvalue.

    One stage at low noise, with rate 1 / (2 w_j) and the average of the second half of the steps.

    Args:
        key: a typed key.
        blocks: the data.
        log_weights: (K,).
        start: (K, d).
        gradient: "stein" or "fresh".
        steps: their number.

    Source: Shah, Chen and Klivans, "Learning Mixtures of Gaussians Using the DDPM Objective", arXiv 2307.01178,
    algorithm 2; the constants are our own.
    """
    for_power, for_noise = jax.random.split(key)
    rate = 0.5 * jnp.exp(-log_weights)[:, None]
    found = stage(
        gradient, log_weights, for_noise, start, blocks=blocks, steps=steps, tol=0, t=jnp.asarray(LOW_K), rate=rate
    )
    return found, largest_eigenvalue(for_power, blocks)


@jax.jit
def fit_of(blocks: Blocks, means: Array, log_weights: Array) -> tuple[Array, Array]:
    """Whether a law fits the data: two things that are near 1 if it does.

    Returns:
        The mean probability of each component over its weight, (K,), and the variance within the components.
    """

    def of_block(x: Array, share: Array, _: Array) -> Array:
        p = share[:, None] * jax.nn.softmax(log_weights + _dot(x, means.T) - 0.5 * jnp.square(means).sum(1))
        far = jax.lax.map(lambda mean: jnp.square(x - mean).sum(1), means)
        return jnp.concatenate([_dot(p.T, x), p.sum(0)[:, None], jnp.sum(p.T * far, 1)[:, None]], 1)

    total = mean_of(of_block, blocks)
    first, mass, spread = total[:, :-2], total[:, -2], total[:, -1]
    moved = jnp.square(first - mass[:, None] * means).sum(1) / jnp.maximum(mass, jnp.finfo(mass.dtype).tiny)
    return mass * jnp.exp(-log_weights), (spread - moved).sum() / means.shape[1]


def stage(
    gradient: str,
    log_weights: Array | None,
    key: Array,
    means: Array,
    *,
    blocks: Blocks,
    steps: int | Array,
    tol: ArrayLike,
    t: Array,
    rate: ArrayLike,
    project: Callable[[Array], Array] = lambda m: m,
) -> Found:
    """Steps m <- project(m + 2 rate (-grad J / 2)) at one level, where m = alpha means."""
    alpha, sigma, noisy = jnp.exp(-t), jnp.sqrt(-jnp.expm1(-2 * t)), gradient != "exact"

    def is_moving(state: tuple[Array, ...]) -> Array:
        m, _, step, moved = state
        far = moved >= tol * jnp.maximum(alpha, jnp.linalg.norm(m))
        return (step < steps) & (noisy | far)

    def move(state: tuple[Array, ...]) -> tuple[Array, ...]:
        m, total, step, _ = state
        direction = descent(gradient, m, log_weights, blocks, jax.random.fold_in(key, step), alpha, sigma)
        after = project(m + 2 * rate * direction)
        return after, total + jnp.where(step >= steps // 2, after, 0), step + 1, jnp.linalg.norm(after - m)

    start = alpha * means
    state = (start, jnp.zeros_like(start), jnp.zeros((), int), jnp.full((), jnp.inf))
    m, total, made, moved = jax.lax.while_loop(is_moving, move, state)
    if noisy:
        return Found(total / (steps - steps // 2) / alpha, made, None)
    return Found(m / alpha, made, moved < tol * jnp.maximum(alpha, jnp.linalg.norm(m)))


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
