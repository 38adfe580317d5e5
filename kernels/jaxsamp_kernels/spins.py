"""Sweeps of the heat bath (Gibbs sampling) over spins x in {-1, +1}^n of a law exp(S(x)) / Z.

A sweep visits the spins 0, ..., n - 1 in this order and draws each from its law given all others,

    x_i = +1 if t_i < f_i else -1,    f_i = (S(x with x_i = +1) - S(x with x_i = -1)) / 2,

where P(t_i < f) = sigmoid(2 f): half of logistic noise. The order is part of the chain: all spins at once would have
another stationary law. States are int8, one chain at a time.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax


def fields(x: Array, couplings: Array, bias: Array) -> Array:
    """f = J x + h, (n,)."""
    return jnp.matmul(couplings, x.astype(couplings.dtype), precision="highest") + bias


def drawn(t: Array, f: Array) -> Array:
    """Spins of the local fields f, +1 or -1 as int8."""
    return jnp.where(t < f, 1, -1).astype(jnp.int8)


def heat_bath_sweep(x: Array, f: Array, couplings: Array, t: Array) -> tuple[Array, Array]:
    """One sweep over pairwise couplings; f = J x + h goes along, and each flip adds a row of J: returns (x, f).

    Args:
        x: (n,), int8.
        f: the local fields of x, (n,).
        couplings: J, (n, n), symmetric, with a diagonal of zeros.
        t: (n,).
    """

    def visit(f: Array, site: tuple[Array, ...]) -> tuple[Array, Array]:
        i, old, number, row = site
        new = drawn(number, f[i])
        return f + (new - old).astype(f.dtype) * row, new

    f, x = lax.scan(visit, f, (jnp.arange(len(x)), x, t, couplings))
    return x, f


def panel_sweep(x: Array, f: Array, couplings: Array, t: Array, width: int) -> tuple[Array, Array]:
    """The same sweep in panels of `width` spins: the same chain, up to rounding of the fields.

    Within a panel a flip adds to the fields of the panel alone. Those of all others follow when it is done, by one
    matrix product for all chains.
    """
    width = min(width, len(x))
    count, rest = divmod(len(x), width)

    def visit(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        return _panel(*carry, couplings, t, k * width, width)

    x, f = lax.fori_loop(0, count, visit, (x, f))
    return _panel(x, f, couplings, t, count * width, rest) if rest else (x, f)


def _panel(x: Array, f: Array, couplings: Array, t: Array, first: Array | int, width: int) -> tuple[Array, Array]:
    rows = lax.dynamic_slice_in_dim(couplings, first, width)
    before, inner, numbers = (lax.dynamic_slice_in_dim(whole, first, width) for whole in (x, f, t))
    after, _ = heat_bath_sweep(before, inner, lax.dynamic_slice_in_dim(rows, first, width, axis=1), numbers)
    moved = (after - before).astype(f.dtype)
    return lax.dynamic_update_slice_in_dim(x, after, first, 0), f + jnp.matmul(moved, rows, precision="highest")


def sparse_sweep(x: Array, neighbors: Array, weights: Array, bias: Array, t: Array) -> Array:
    """One sweep over pairwise couplings by tables of neighbors: as many operations for a spin as it has of them.

    Args:
        x: (n,), int8.
        neighbors: the spins that each one is coupled to, (n, D), filled up with any number.
        weights: the couplings to them, (n, D), filled up with zero.
        bias: h, (n,).
        t: (n,).
    """

    def visit(i: Array, x: Array) -> Array:
        others = x.at[neighbors[i]].get(mode="clip").astype(bias.dtype)
        return x.at[i].set(drawn(t[i], bias[i] + jnp.sum(weights[i] * others)))

    return lax.fori_loop(0, len(x), visit, x)


def term_products(x: Array, members: Array) -> Array:
    """prod_{i in T} x_i of each term, (T,) of int8; `members` (T, order) has the spins of each, filled up with n."""
    return jnp.append(x, jnp.int8(1))[members].prod(1).astype(jnp.int8)


def term_sweep(x: Array, products: Array, terms: Array, weights: Array, t: Array) -> tuple[Array, Array]:
    """One sweep over terms of any order: f_i = x_i sum_{T with i} w_T prod_{j in T} x_j, because x_i^2 = 1.

    Returns (x, products).

    Args:
        x: (n,), int8.
        products: `term_products`, (T,), which go along: a flip of a spin changes the signs of those of its terms.
        terms: the terms that each spin is in, (n, K), filled up with T.
        weights: w, (T,).
        t: (n,).
    """

    def visit(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, products = carry
        mine = products.at[terms[i]].get(mode="fill", fill_value=0)
        f = x[i] * jnp.sum(weights.at[terms[i]].get(mode="fill", fill_value=0) * mine)
        new = drawn(t[i], f)
        return x.at[i].set(new), products.at[terms[i]].set(mine * x[i] * new, mode="drop")

    return lax.fori_loop(0, len(x), visit, (x, products))


def plain_sweep(x: Array, local_field: Callable[[Array, Array], Array], t: Array) -> Array:
    """One sweep of any law whose local field of spin i, `local_field(x, i)`, is computed anew for every spin."""

    def visit(i: Array, x: Array) -> Array:
        return x.at[i].set(drawn(t[i], local_field(x, i)))

    return lax.fori_loop(0, len(x), visit, x)
