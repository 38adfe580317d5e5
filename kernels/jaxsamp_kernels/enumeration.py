"""Sums over all 2^n states of n spins, +1 or -1, in blocks: nothing of size 2^n x n is ever stored.

State number s has x_i = +1 where bit i of s is set, and -1 elsewhere. The state numbers of a block follow one another.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

BLOCK = 2**14  # states at a time
INNER = 8  # spins that vary within a block of tilted states

_matmul = partial(jnp.matmul, precision="highest")


class Moments(NamedTuple):
    """What the probabilities of all states say: log Z, E[x] (n,), E[x x^T] (n, n), E[S] and the entropy in nats."""

    log_partition: Array
    mean: Array
    second: Array
    exponent: Array
    entropy: Array


def states(first: Array | int, count: int, n: int) -> Array:
    """The states number first, ..., first + count - 1, (count, n), as floating-point numbers."""
    numbers = first + jnp.arange(count, dtype=jnp.uint32)
    bits = (numbers[:, None] >> jnp.arange(n, dtype=jnp.uint32)) & 1
    return 2 * bits.astype(jnp.result_type(float)) - 1


def exponents(exponent: Callable[[Array], Array], n: int) -> Array:
    """S(x) of every state, (2^n,), for a function of many states, (count, n) -> (count,)."""
    return lax.map(lambda first: exponent(states(first, _size(n), n)), _firsts(n)).reshape(-1)


def moments(s: Array) -> Moments:
    """The moments of p(x) = exp(S(x)) / Z, from S of every state."""
    n, log_partition = _sites(s), jax.nn.logsumexp(s)

    def add(carry: tuple[Array, ...], first: Array) -> tuple[tuple[Array, ...], None]:
        here = lax.dynamic_slice_in_dim(s, first, _size(n))
        x, p = states(first, _size(n), n), jnp.exp(here - log_partition)
        mean, second, exponent = carry
        second = second + _matmul(x.T, p[:, None] * x)
        return (mean + _matmul(p, x), second, exponent + jnp.sum(p * here)), None

    zero = jnp.zeros((), s.dtype)
    start = (jnp.zeros(n, s.dtype), jnp.zeros((n, n), s.dtype), zero)
    (mean, second, exponent), _ = lax.scan(add, start, _firsts(n).astype(jnp.int32))
    return Moments(log_partition, mean, second, exponent, log_partition - exponent)


def tilted(s: Array, y: Array) -> tuple[Array, Array]:
    """Of p(x) exp(y.x) for each row of y (batch, n): the log of its sum over x, (batch,), and the mean of x under it.

    `s` is the exponent of every state; p need not be normalized. In a block of states the first spins take all values
    and the others are the same, so that y.x is a sum of two parts, and memory is batch x 2^8.
    """
    n = _sites(s)
    low = min(INNER, n)
    inner = states(0, 2**low, low).astype(y.dtype)
    within, ahead = _matmul(y[:, :low], inner.T), y[:, low:]

    def add(carry: tuple[Array, ...], block: tuple[Array, Array]) -> tuple[tuple[Array, ...], None]:
        here, number = block
        outer = states(number, 1, n - low)[0].astype(y.dtype)
        logits = here.astype(y.dtype) + within + _matmul(ahead, outer)[:, None]
        top, places, others = carry
        new = jnp.maximum(top, logits.max(1))
        p, keep = jnp.exp(logits - new[:, None]), jnp.exp(top - new)[:, None]
        return (new, places * keep + p, others * keep + p.sum(1, keepdims=True) * outer), None

    start = (jnp.full(len(y), -jnp.inf, y.dtype), jnp.zeros_like(within), jnp.zeros_like(ahead))
    blocks = (s.reshape(-1, 2**low), jnp.arange(2 ** (n - low), dtype=jnp.uint32))
    (top, places, others), _ = lax.scan(add, start, blocks)
    total = places.sum(1)
    return top + jnp.log(total), jnp.concatenate([_matmul(places, inner), others], 1) / total[:, None]


def drawn(p: Array, u: Array) -> Array:
    """The number of the state that two uniform numbers choose, u (2,), from the probabilities of all states.

    The first chooses among groups of states that follow one another, the second within the group: one number has too
    few bits for many states.
    """
    groups = p.reshape(2 ** (_sites(p) // 2), -1)
    row = _chosen(groups.sum(1), u[0])
    return row * groups.shape[1] + _chosen(groups[row], u[1])


def _chosen(p: Array, u: Array) -> Array:
    total = jnp.cumsum(p)
    return jnp.minimum(jnp.searchsorted(total, u * total[-1], side="right"), len(p) - 1)


def _sites(s: Array) -> int:
    return int(math.log2(len(s)))


def _size(n: int) -> int:
    return min(BLOCK, 2**n)


def _firsts(n: int) -> Array:
    return jnp.arange(0, 2**n, _size(n), dtype=jnp.uint32)
