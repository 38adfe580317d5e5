"""What a device can do at most, by measurement: one long copy and one large matrix product."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

PRODUCTS = 8  # one after another in a call, so that the time to launch it does not count


@partial(jax.jit, static_argnums=1)
def _products(a: Any, precision: str | None) -> Any:
    return jax.lax.fori_loop(0, PRODUCTS, lambda _, y: jnp.matmul(y, a, precision=precision), a)


@jax.jit
def _copy(x: Any) -> Any:
    return x + 1


def product(size: int, dtype: Any = jnp.float32, precision: str | None = None) -> tuple[Callable[[], Any], float]:
    """A call that multiplies square matrices, and its floating-point operations."""
    a = (jax.random.normal(jax.random.key(0), (size, size)) / size**0.5).astype(dtype)
    return lambda: _products(a, precision), PRODUCTS * 2.0 * size**3


def copy(size: int) -> tuple[Callable[[], Any], float]:
    """A call that reads and writes so many float32 numbers, and its bytes."""
    x = jnp.zeros(size, jnp.float32)
    return lambda: _copy(x), 8.0 * size
