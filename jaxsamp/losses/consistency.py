"""How far a denoiser disagrees with itself along its own reverse process: for levels at which nothing trains it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.denoisers import denoiser, per_event


def consistency(
    key: Array,
    apply: Callable[..., Array],
    params: PyTree,
    x_t: Float[Array, "batch *event"],
    schedule: Any,
    prediction: str = "epsilon",
    *,
    level: Level,
    lower: Level,
    steps: int = 1,
    cond: PyTree = None,
    through_samples: bool = False,
) -> Float[Array, "batch"]:
    """An unbiased estimate of |E D(x_s', s') - D(x_t, s)|^2 / d, of each sample, over the reverse process from s to s'.

    The posterior mean of the exact denoiser does not change on average along its own reverse process. Two states x_s'
    are drawn independently of each other given x_t, and the result is the mean of the product of their two differences,
    which may be negative; its mean is the square. With data that are all noisy, the loss of `ambient_omni` trains the
    levels above their noise, and this one carries what is learned there to those below.

    A step from s to s' is x' / alpha' = D + (s' / s)^2 (x / alpha - D) + s' sqrt(1 - (s' / s)^2) z, exact for a law of
    one point; the steps are at equal ratios of sigma / alpha.

    Args:
        key: a typed key; draws the two ways down.
        apply, params, schedule, prediction: the network, as for `denoising`.
        x_t: noisy states, (batch, *event), in the schedule's own scale.
        level: their levels, arrays (batch,).
        lower: the lower levels, arrays (batch,).
        steps: steps of each way down; more have less error of discretization.
        cond: the condition passed to `apply`.
        through_samples: take gradients through the ways down, too, and not only through the differences.

    Returns:
        (batch,).

    Raises:
        ValueError: steps is below 1, or a lower level is not below its level.

    Source: Daras, Dimakis and Daskalakis, "Consistent Diffusion Meets Tweedie: Training Exact Ambient Diffusion Models
    with Noisy Data", arXiv 2404.10177.
    """
    checks.typed_key(key)
    checks.at_least("steps", steps, 1)
    first, last = level.log_snr, lower.log_snr
    if checks.is_concrete(first, last) and not jnp.all(last > first):
        raise ValueError("lower must have a smaller sigma / alpha than level for each sample; got one that does not.")
    network = denoiser(apply, params, schedule, prediction)
    grid = [schedule.level(first + (last - first) * i / steps) for i in range(steps + 1)]
    start = network(x_t, grid[0], cond)
    differences = []
    for way in jax.random.split(key):
        x, denoised = x_t, start
        for step, (before, after) in enumerate(zip(grid[:-1], grid[1:], strict=True)):
            x = _step(jax.random.fold_in(way, step), x, denoised, before, after)
            if not through_samples:
                x = jax.lax.stop_gradient(x)
            denoised = network(x, after, cond)
        differences.append(denoised - start)
    return jnp.mean((differences[0] * differences[1]).reshape(len(x_t), -1), -1)


def reverse(
    key: Array, network: Any, x: Float[Array, "batch *event"], level: Level, lower: Level, steps: int, cond: PyTree
) -> Float[Array, "batch *event"]:
    """States at the lower levels, by steps of the reverse process from x at `level`; no gradient passes them.

    Args:
        key: a typed key.
        network: a denoiser.
        x, level, lower, steps, cond: as for `consistency`.
    """
    first, last = level.log_snr, lower.log_snr
    for step in range(steps):
        before, after = (network.schedule.level(first + (last - first) * i / steps) for i in (step, step + 1))
        x = _step(jax.random.fold_in(key, step), x, network(x, before, cond), before, after)
    return jax.lax.stop_gradient(x)


def _step(key: Array, x: Array, denoised: Array, before: Level, after: Level) -> Array:
    noise = jax.random.normal(key, x.shape, x.dtype)
    ratio = jnp.exp(before.log_snr - after.log_snr)  # s' / s
    kept, fresh = jnp.square(ratio), jnp.sqrt(1 - jnp.square(ratio))
    terms = ((1 - kept) * after.alpha, kept * after.alpha / before.alpha, after.sigma * fresh)
    factors = [per_event(term, x).astype(x.dtype) for term in terms]
    return factors[0] * denoised + factors[1] * x + factors[2] * noise
