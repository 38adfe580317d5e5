"""Sweeps over spins with few neighbors, color by color: spins of one color are not coupled and move together.

Colors are kept one after another, each in a row of an array y of shape (C, M), M the size of the largest. A place in y
is its number in the flattened array. Places that fill up a row hold spins that nothing looks at.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

FEW = 8  # neighbors, or colors, whose loop is unrolled


def _sweep(y: Array, nearby: Array, weights: Array, fields: Array, t: Array) -> Array:
    of_all = (slice(None),) + (None,) * (y.ndim - 2)

    def visit(c: Array, y: Array) -> Array:
        flat = y.reshape(-1, *y.shape[2:])

        # Products with +1 and -1 are exact: the sum has the same bits whatever is fused, for one chain and for many.
        def add(d: Array, f: Array) -> Array:
            return f + weights[c, d][of_all] * flat.at[nearby[c, d]].get(mode="promise_in_bounds")

        f = jnp.broadcast_to(fields[c][of_all], y.shape[1:])
        f = lax.fori_loop(0, nearby.shape[1], add, f, unroll=nearby.shape[1] <= FEW)
        return y.at[c].set(jnp.where(t[c] < f, 1, -1).astype(y.dtype))

    return lax.fori_loop(0, len(y), visit, y, unroll=len(y) <= FEW // 2)


@custom_vmap
def color_sweep(y: Array, nearby: Array, weights: Array, fields: Array, t: Array) -> Array:
    """One sweep of the heat bath, x_i = +1 where t_i < f_i, over the colors 0, ..., C - 1 in this order.

    The same chain as one spin after another in the order of y. All colors at once would have another stationary law.
    Chains that `jax.vmap` adds become the last axes here: then the place of a neighbor is looked up once for all
    chains, and their spins lie side by side, which takes a third of the time on a CPU.

    Args:
        y: the spins, +1 and -1 as floating-point numbers, (C, M, *chains).
        nearby: the places of the neighbors of each, (C, D, M), filled up with any place.
        weights: the couplings to them, (C, D, M), filled up with zero.
        fields: h, (C, M).
        t: numbers with P(t < f) = sigmoid(2 f), (C, M, *chains).
    """
    return _sweep(y, nearby, weights, fields, t)


@color_sweep.def_vmap
def _of_chains(count: int, batched: Any, *given: Array) -> tuple[Array, bool]:
    """The chains of `jax.vmap` as a last axis, where they have the model in common."""
    if any(batched[1:4]):
        return jax.vmap(_sweep, [0 if one else None for one in batched])(*given), True
    y, t = (
        jnp.moveaxis(part if one else jnp.broadcast_to(part, (count, *part.shape)), 0, -1)
        for part, one in ((given[0], batched[0]), (given[4], batched[4]))
    )
    return jnp.moveaxis(color_sweep(y, *given[1:4], t), -1, 0), True
