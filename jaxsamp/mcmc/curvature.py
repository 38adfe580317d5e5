"""Measuring the curvature of a log density."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks, laws
from jaxsamp.core.types import Array


def smoothness(key: Array, target: Any, x: Float[Array, "n *event"], iterations: int = 100) -> Float[Array, ""]:
    """A lower estimate of the largest absolute eigenvalue of the Hessian H of log p at any of the points x.

    Power iteration v <- H v / |H v| from a random start at each point, with Hessian-vector products by forward
    differentiation of the score. After k iterations the estimate is too low by a factor of about d^(-1 / 2k) at worst.
    If the Hessian is not constant, pass points where chains will go, for example from a short run.

    Args:
        key: a typed key for the random starts.
        target: a law with `score(x)` or `log_prob(x)`, as for `jaxsamp.sample_density`.
        x: points, (n, *event).
        iterations: number of Hessian-vector products at each point, at least 1.

    Returns:
        L, a scalar, for `from_smoothness`.

    Raises:
        TypeError: a key or target of the wrong type.
        ValueError: x or iterations is not as above.
    """
    checks.typed_key(key)
    checks.at_least("iterations", iterations, 1)
    x = checks.floating("x", x)
    if x.ndim != 1 + len(target.event_shape) or x.shape[1:] != tuple(target.event_shape) or not x.shape[0]:
        raise ValueError(f"x must have shape (n, *event) with the event {tuple(target.event_shape)}; got {x.shape}.")
    return _power_iteration(key, target, x, iterations)


@jax.jit
def _power_iteration(key: Array, target: Any, x: Array, iterations: Any) -> Array:
    return _iterated(key, target, x, 1.0, iterations)[1].max()


def curvature_along(target: Any, x: Array, scale: Any, iterations: int) -> Array:
    """A lower estimate of the largest eigenvalue of -S H S at each point, (n,), with S = `scale` of an event's shape.

    The Rayleigh quotient after power iteration from a fixed start: never above the eigenvalue, and negative where the
    log density is curved the other way.
    """
    v, _, product = _iterated(jax.random.key(0), target, x, scale, iterations)
    return -(v * product).sum(tuple(range(1, x.ndim)))


def _iterated(key: Array, target: Any, x: Array, scale: Any, iterations: Any) -> tuple[Array, Array, Array]:
    """The last direction v of power iteration at each point, |S H S u| and S H S u of the direction before it."""
    axes = tuple(range(1, x.ndim))

    def norm(v: Array) -> Array:
        return jnp.sqrt(jnp.square(v).sum(axes, keepdims=True))

    def step(_: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        _, size, product = carry
        v = product / jnp.maximum(size, jnp.finfo(x.dtype).tiny)
        slope = jax.jvp(lambda x: laws.clean_score(target, x), (x,), (jnp.asarray(scale * v, x.dtype),))[1]
        product = jnp.asarray(scale * slope, x.dtype)
        return v, norm(product), product

    start = jax.random.normal(key, x.shape, x.dtype)
    return jax.lax.fori_loop(0, iterations, step, (start, norm(start), start))
