"""Sums over all 2^n states of n spins, +1 or -1, in blocks: nothing of size 2^n x n is ever stored.

State number s has x_i = +1 where bit i of s is set, and -1 elsewhere. The state numbers of a block follow one another.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

BLOCK = 2**14  # states at a time


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
        second = second + jnp.matmul(x.T, p[:, None] * x, precision="highest")
        return (mean + jnp.matmul(p, x, precision="highest"), second, exponent + jnp.sum(p * here)), None

    zero = jnp.zeros((), s.dtype)
    start = (jnp.zeros(n, s.dtype), jnp.zeros((n, n), s.dtype), zero)
    (mean, second, exponent), _ = lax.scan(add, start, _firsts(n).astype(jnp.int32))
    return Moments(log_partition, mean, second, exponent, log_partition - exponent)


def tilted(s: Array, y: Array) -> tuple[Array, Array]:
    """Of p(x) exp(y.x) for each row of y (batch, n): the log of its sum over x, (batch,), and the mean of x under it.

    `s` is the exponent of every state; p need not be normalized.
    """
    n = _sites(s)

    def add(carry: tuple[Array, ...], first: Array) -> tuple[tuple[Array, ...], None]:
        x, here = states(first, _size(n), n).astype(y.dtype), lax.dynamic_slice_in_dim(s, first, _size(n))
        logits = here.astype(y.dtype) + jnp.matmul(y, x.T, precision="highest")
        top, total, mean = carry
        new = jnp.maximum(top, logits.max(1))
        p, keep = jnp.exp(logits - new[:, None]), jnp.exp(top - new)
        mean = mean * keep[:, None] + jnp.matmul(p, x, precision="highest")
        return (new, total * keep + p.sum(1), mean), None

    start = (jnp.full(len(y), -jnp.inf, y.dtype), jnp.zeros(len(y), y.dtype), jnp.zeros_like(y))
    (top, total, mean), _ = lax.scan(add, start, _firsts(n).astype(jnp.int32))
    return top + jnp.log(total), mean / total[:, None]


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
