"""Means over all pairs of points of a function of their distance, without storing all pairs."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.checks import at_least
from jaxsamp.core.types import Array
from jaxsamp.metrics.truth import SUBSETS, Truth


def mean_over_pairs(function: Callable[[Array], Array], x: Array, y: Array, chunk: int) -> float:
    """Mean of function(|x_i - y_j|^2) over pairs of different points, in O(chunk len(y)) memory.

    `function` takes arrays of squared distances. It is part of the compiled program, so pass the same one each time. If
    y is x, a point makes no pair with itself. Rows are summed in float64, because differences of such means are small.
    """
    same = x is y
    return float(np.asarray(row_sums(function, x, y, chunk, same), float).sum() / len(x) / (len(y) - same))


@partial(jax.jit, static_argnums=(0, 3, 4))
def row_sums(function: Callable[[Array], Array], x: Array, y: Array, chunk: int, same: bool) -> Array:
    """Sum over j of function(|x_i - y_j|^2), (n,); `same`: y is x, and j = i is left out."""
    n, d = x.shape
    blocks = -(-n // chunk)
    rows = -(-n // blocks)  # blocks of equal size need the least padding
    square = jnp.sum(y**2, axis=1)

    def block(part: tuple[Array, Array]) -> Array:
        i, x_i = part
        squared = jnp.sum(x_i**2, axis=1)[:, None] + square - 2 * jnp.matmul(x_i, y.T, precision="highest")
        values = function(jnp.maximum(squared, 0))
        return jnp.sum(jnp.where(i[:, None] == jnp.arange(len(y)), 0, values) if same else values, axis=1)

    padded = jnp.zeros((blocks * rows, d), x.dtype).at[:n].set(x).reshape(blocks, rows, d)
    return jax.lax.map(block, (jnp.arange(blocks * rows).reshape(blocks, rows), padded)).reshape(-1)[:n]


def subsets(key: Array, x: Array, truth: Truth, size: int) -> tuple[Array, Truth]:
    """At most `size` samples, and as many true samples if the reference is an array, chosen at random."""
    at_least("max_points", size, 2)
    key_x, key_reference = jax.random.split(jax.random.fold_in(key, SUBSETS))
    if truth.samples is not None and len(truth.samples) > size:
        truth = Truth(_subset(key_reference, truth.samples, size), truth.level)
    return _subset(key_x, x, size), truth


def _subset(key: Array, x: Array, size: int) -> Array:
    return x if len(x) <= size else jax.random.permutation(key, x)[:size]
