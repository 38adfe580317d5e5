"""Sweeps over spins with few neighbors, color by color: spins of one color are not coupled and move together.

Colors are kept one after another, each in a row of an array y of shape (C, M), M the size of the largest. A place in y
is its number in the flattened array. Places that fill up a row hold spins that nothing looks at.
"""

import jax.numpy as jnp
from jax import Array, lax


def color_sweep(y: Array, nearby: Array, weights: Array, fields: Array, t: Array) -> Array:
    """One sweep of the heat bath, x_i = +1 where t_i < f_i, over the colors 0, ..., C - 1 in this order.

    The same chain as one spin after another in the order of y. All colors at once would have another stationary law.

    Args:
        y: the spins, +1 and -1 as floating-point numbers, (C, M).
        nearby: the places of the neighbors of each, (C, M, D), filled up with any place.
        weights: the couplings to them, (C, M, D), filled up with zero.
        fields: h, (C, M).
        t: numbers with P(t < f) = sigmoid(2 f), (C, M).
    """

    def visit(c: Array, y: Array) -> Array:
        others = y.reshape(-1).at[nearby[c]].get(mode="promise_in_bounds")
        f = fields[c] + jnp.sum(weights[c] * others, -1)
        return y.at[c].set(jnp.where(t[c] < f, 1, -1).astype(y.dtype))

    return lax.fori_loop(0, len(y), visit, y, unroll=len(y) <= 4)
