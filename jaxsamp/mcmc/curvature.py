"""Measuring the curvature of a log density."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.types import Array


def smoothness(key: Array, target: Any, x: Float[Array, "n *event"], iterations: int = 100) -> Float[Array, ""]:
    """A lower estimate of the largest absolute eigenvalue of the Hessian H of log p at any of the points x.

    Power iteration v <- H v / |H v| from a random start at each point, with Hessian-vector products by forward
    differentiation of the score. After k iterations the estimate is too low by a factor of about d^(-1 / 2k) at worst.
    If the Hessian is not constant, pass points where chains will go, for example from a short run.

    Args:
        key: a typed key for the random starts.
        target: a law with `score(x)`, as for `jaxsamp.sample_density`.
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
    axes = tuple(range(1, x.ndim))

    def norm(v: Array) -> Array:
        return jnp.sqrt(jnp.square(v).sum(axes, keepdims=True))

    def product(_: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        v = jax.jvp(target.score, (x,), (carry[0],))[1]
        size = norm(v)
        return v / jnp.maximum(size, jnp.finfo(x.dtype).tiny), size

    start = jax.random.normal(key, x.shape, x.dtype)
    start = start / norm(start)
    return jax.lax.fori_loop(0, iterations, product, (start, norm(start)))[1].max()
