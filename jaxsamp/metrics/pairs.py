"""Means over all pairs of points of a function of their distance, without storing all pairs."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.checks import at_least
from jaxsamp.core.types import Array, ArrayLike
from jaxsamp.metrics.truth import SUBSETS, Truth

# Where a squared distance is below this part of |x|^2 + |y|^2, most of its digits cancel in |x|^2 + |y|^2 - 2 x . y.
CANCELS = 0.01
FEATURES = 8  # numbers of a sample whose differences are added in one pass over a block


def mean_over_pairs(
    function: Callable[[Array], Array], x: Array, y: Array | None, chunk: int, scale: ArrayLike = 1.0
) -> float:
    """Mean of function(|scale (x_i - y_j)|^2) over pairs of points, in O(chunk len(y)) memory.

    `function` takes arrays of squared distances. It is part of the compiled program, so pass the same one each time. If
    y is None, it is over pairs of different points of x. Distances are float32 or wider; rows are summed in float64,
    because differences of such means are small.
    """
    same = y is None
    dtype = jnp.result_type(x, x if same else y, jnp.float32)
    x = x.astype(dtype)
    y = x if same else y.astype(dtype)
    rows = row_sums(function, x, y, chunk, same, jnp.asarray(scale, x.dtype))
    return float(np.asarray(rows, float).sum() / len(x) / (len(y) - same))


@partial(jax.jit, static_argnums=(0, 3, 4))
def row_sums(
    function: Callable[[Array], Array], x: Array, y: Array, chunk: int, same: bool, scale: ArrayLike = 1.0
) -> Array:
    """Sum over j of function(|scale (x_i - y_j)|^2), (n,); `same`: y is x, and j = i is left out.

    The distances of a block are products, unless some of them would cancel: then all are sums over differences.
    """
    n, d = x.shape
    blocks = -(-n // chunk)
    rows = -(-n // blocks)  # blocks of equal size need the least padding
    center = jnp.mean(y, axis=0)  # rounding errors of products grow with the distance from the origin
    centered = (y - center) * scale
    square = jnp.sum(centered**2, axis=1)

    def block(part: tuple[Array, Array]) -> Array:
        i, x_i = part
        from_center = (x_i - center) * scale
        sizes = jnp.sum(from_center**2, axis=1)[:, None] + square
        squared = sizes - 2 * jnp.matmul(from_center, centered.T, precision="highest")
        left_out = (i[:, None] == jnp.arange(len(y))) & same
        cancels = ((squared < CANCELS * sizes) & ~left_out & (i < n)[:, None]).any()
        squared = jax.lax.cond(cancels, lambda: differences(x_i, y, scale), lambda: squared)
        return jnp.sum(jnp.where(left_out, 0, function(squared)), axis=1)

    padded = jnp.zeros((blocks * rows, d), x.dtype).at[:n].set(x).reshape(blocks, rows, d)
    return jax.lax.map(block, (jnp.arange(blocks * rows).reshape(blocks, rows), padded)).reshape(-1)[:n]


def differences(x: Array, y: Array, scale: ArrayLike = 1.0) -> Array:
    """|scale (x_i - y_j)|^2, (n, m), as sums of squared differences, in O(n m) memory."""

    def add(total: Array, column: tuple[Array, Array]) -> tuple[Array, None]:
        return total + jnp.square((column[0][:, None] - column[1]) * scale), None

    return jax.lax.scan(add, jnp.zeros((len(x), len(y)), jnp.result_type(x, y)), (x.T, y.T), unroll=FEATURES)[0]


def subsets(key: Array, x: Array, truth: Truth, size: int) -> tuple[Array, Truth]:
    """At most `size` samples, and as many true samples if the reference is an array, chosen at random."""
    at_least("max_points", size, 2)
    key_x, key_reference = jax.random.split(jax.random.fold_in(key, SUBSETS))
    if truth.samples is not None and len(truth.samples) > size:
        truth = Truth(_subset(key_reference, truth.samples, size), truth.level)
    return _subset(key_x, x, size), truth


def _subset(key: Array, x: Array, size: int) -> Array:
    return x if len(x) <= size else jax.random.permutation(key, x)[:size]
