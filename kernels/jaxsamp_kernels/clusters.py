"""Swendsen-Wang: spins joined by random bonds flip together.

Given x, the bond between i and j is open with probability 1 - exp(-2 J_ij x_i x_j), if J_ij x_i x_j > 0. Spins that are
connected by open bonds form clusters, and each cluster flips or not with equal probability. A field h_i is a coupling
to one more spin, the ghost, which is +1 and never flips. Every sign of the couplings is allowed.

Source: Swendsen and Wang, "Nonuniversal critical dynamics in Monte Carlo simulations", Phys. Rev. Lett. 58 (1987).
"""

import jax.numpy as jnp
from jax import Array, lax


def open_bonds(x: Array, edges: Array, weights: Array, e: Array) -> Array:
    """Which bonds are open, (E,) of bool; closed for certain where J x_i x_j <= 0.

    Args:
        x: spins, (n,) of any signed dtype.
        edges: pairs of spins, (E, 2).
        weights: J of each, (E,).
        e: independent numbers with the exponential law of mean 1, (E,).
    """
    a, b = edges.T
    return e < 2 * weights * (x[a] * x[b]).astype(weights.dtype)


def components(edges: Array, open: Array, n: int) -> Array:
    """The smallest number in the component of each of the n vertices, (n,) of int32.

    Every vertex carries the number of a root, a vertex that carries its own. A pass hooks each root to the smallest
    root across the open edges of its component, and then follows numbers until all are of roots again. In nearly every
    pass a root hooks or is hooked to, so that passes are few, about log n, however long the paths: with a fixed number
    of jumps per pass they would be many.

    Args:
        edges: (E, 2).
        open: (E,) of bool.
        n: number of vertices.
    """
    a, b = edges.T

    def jump(label: Array) -> Array:
        return label.at[label].get(mode="promise_in_bounds")

    def settled(label: Array) -> Array:
        pair = label, jump(label)
        return lax.while_loop(lambda pair: jnp.any(pair[0] != pair[1]), lambda pair: (pair[1], jump(pair[1])), pair)[0]

    def ends(label: Array) -> tuple[Array, Array, Array]:
        return label, label[a], label[b]

    def hook(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        label, one, other = carry
        low, high = jnp.minimum(one, other), jnp.maximum(one, other)
        # An edge that is not open changes nothing: a root is its own label.
        return ends(settled(label.at[jnp.where(open, high, low)].min(low, mode="promise_in_bounds")))

    def apart(carry: tuple[Array, Array, Array]) -> Array:
        _, one, other = carry
        return jnp.any(open & (one != other))

    return lax.while_loop(apart, hook, ends(jnp.arange(n, dtype=jnp.int32)))[0]


def flipped(x: Array, label: Array, coins: Array) -> Array:
    """The spins after each component has flipped or not by the coin of its root, +1 or -1; the last one's never does.

    Args:
        x: (n,).
        label: `components`, (n + 1,), of which the last vertex is the ghost, or (n,) without one.
        coins: (n,) of +1 and -1, one for each vertex that may be a root.
    """
    flip = coins.astype(x.dtype)[jnp.minimum(label[: len(x)], len(x) - 1)]
    return x * flip if len(label) == len(x) else jnp.where(label[: len(x)] == label[-1], x, x * flip)


def largest(label: Array) -> Array:
    """The number of vertices in the largest component."""
    return jnp.max(jnp.zeros(len(label), jnp.int32).at[label].add(1))
