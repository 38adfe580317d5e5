"""The exact posterior of n data points at any noise level: streaming softmax attention.

With x_t = alpha y_I + sigma z, where I is uniform on the n rows y_i of `data` and z is standard normal,

    E[x_0 | x_t = x] = sum_i w_i y_i,    w = softmax(logits),    logits_i = -||x - alpha y_i||^2 / (2 sigma^2).

The data are read once, chunk by chunk, with a running maximum: memory is O(N d + N chunk) for N queries, also under
differentiation.

Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
# (operands, j) -> block j of a pass: logits (N, c), values (c, d) or (N, c, d), and their rows in `data`, (c,). Logits
# are those above plus d / 2, the mean of the part that noise adds to all of them, whose rounding would blur them.
Block = Callable[[tuple, Array], tuple[Array, Array, Array]]

MAX_LOGIT_ERROR = 1e-3  # a larger rounding error of a logit is worth a second pass
CENTER_ROWS = 256  # rows from which the center and size of the data set are estimated


class EmpiricalPosterior(NamedTuple):
    """Posterior mean, (N, d), log density of x_t in nats, (N,), and effective number of data points, (N,)."""

    mean: Array
    log_prob: Array
    ess: Array


class _Moments(NamedTuple):
    """Weighted mean of the values, log of the sum of the weights exp(logits), and (sum w)^2 / sum w^2."""

    mean: Array
    log_sum: Array
    ess: Array


@partial(jax.jit, static_argnames=("chunk", "refine"))
def empirical_posterior(
    x: Array, alpha: Array | float, sigma: Array | float, data: Array, *, chunk: int = 1024, refine: int = 0
) -> EmpiricalPosterior:
    """Posterior of x_0 given x_t = x when x_t has the law (1/n) sum_i N(alpha y_i, sigma^2 I).

    Logits from a matrix product are off by about eps (||alpha y||^2 + D) / sigma^2, D being by how much the square of
    the distance from `x` to the data differs from d sigma^2. Where the first part exceeds 1e-3 and `refine` is
    k > 0, the distances to the k nearest points are computed again by explicit differences, and the answer uses those
    k alone for every query whose k-th nearest point has negligible weight.

    Args:
        x: queries, (N, d).
        alpha: scale of x_0, scalar or (N,).
        sigma: scale of the noise, scalar or (N,); positive.
        data: the points y_i, (n, d); may be stored in a narrower dtype than `x`.
        chunk: data points per block; the logits in memory are (N, chunk).
        refine: number of nearest points in the second pass; 0 for no second pass.

    Returns:
        EmpiricalPosterior(mean, log_prob, ess), differentiable in all four arrays.
    """
    n, d = data.shape
    steps, keep = -(-n // chunk), min(refine, n)
    alpha, sigma = (jnp.asarray(value, x.dtype)[..., None] for value in (alpha, sigma))
    # Any center gives the same answer; one in the middle of the data leaves the least to cancel.
    probes = lax.stop_gradient(data[:: -(-n // CENTER_ROWS)].astype(x.dtype))
    center = probes.mean(0)
    eps = jnp.finfo(x.dtype).eps
    error = lax.stop_gradient(eps * ((probes - center) ** 2).sum(1).max() * (alpha / sigma) ** 2)
    blurred = error > MAX_LOGIT_ERROR

    operands = (x - alpha * center, alpha, sigma, center, data)
    result, (best, nearest) = _softmax(partial(_chunk, -(-n // steps)), steps, operands, keep, blurred.any())
    result = result._replace(mean=center + result.mean)
    if keep:
        gap, negligible = best[:, :1] - best, math.log(n / eps)
        # Usually a few points carry all the weight: read only those, with a margin because their order may be wrong.
        count = jnp.where(blurred.any(), (gap <= negligible + 8 * error).any(0).sum(), 1)
        home = lax.stop_gradient(data[nearest[:, 0]].astype(x.dtype))
        operands = (x - alpha * home, alpha, sigma, home, data, nearest)
        second, _ = _softmax(_neighbor, keep, operands, count=count)
        second = second._replace(mean=home + second.mean)
        trusted = blurred[..., 0] & ((gap[:, -1] > negligible) | (keep == n))
        pairs = zip(second, result, strict=True)
        result = _Moments(*(jax.vmap(jnp.where)(trusted, new, old) for new, old in pairs))
    log_scale = d * (0.5 * math.log(2 * math.pi * math.e) + jnp.log(sigma[..., 0])) + math.log(n)
    return EmpiricalPosterior(result.mean, result.log_sum - log_scale, result.ess)


def _chunk(size: int, operands: tuple, step: Array) -> tuple[Array, Array, Array]:
    """All queries against `size` rows; the last chunk is moved back to fit, and rows already seen are masked."""
    query, alpha, sigma, center, data = operands
    start = jnp.minimum(step * size, len(data) - size)
    rows = start + jnp.arange(size)
    y = lax.dynamic_slice_in_dim(data, start, size).astype(query.dtype) - center
    dots = jnp.matmul(query * (alpha / sigma**2), y.T, precision="highest")
    squares = ((query / sigma) ** 2 - 1).sum(1, keepdims=True) + (alpha / sigma) ** 2 * (y**2).sum(1)
    return jnp.where(rows >= step * size, dots - squares / 2, -jnp.inf), y, rows


def _neighbor(operands: tuple, step: Array) -> tuple[Array, Array, Array]:
    """Each query against its own next nearest row, measured from its nearest row, so that little cancels."""
    query, alpha, sigma, home, data, nearest = operands
    y = data[nearest[:, step]].astype(query.dtype) - home
    logits = -0.5 * (((query - alpha * y) / sigma) ** 2 - 1).sum(1, keepdims=True)
    return logits, y[:, None], nearest[:1, step]


def _weigh(logits: Array, values: Array, shift: Array) -> tuple[Array, Array, Array]:
    """Sums over one block of p, p^2 and p * values, with p = exp(logits - shift)."""
    p = jnp.exp(logits - shift[:, None])
    return p.sum(1), (p * p).sum(1), jnp.matmul(p[:, None], values, precision="highest")[:, 0]


def _softmax(
    block: Block,
    steps: int,
    operands: tuple,
    keep: int = 0,
    wanted: Array | bool = True,
    count: Array | None = None,
) -> tuple[_Moments, tuple[Array, Array]]:
    """Moments over all blocks (the first `count`), and the `keep` largest logits with their rows if `wanted`."""
    frozen = lax.stop_gradient(operands)
    zeros = jnp.zeros_like(frozen[0])
    column = zeros[:, 0]

    def merge(best: tuple, logits: Array, rows: Array) -> tuple[Array, Array]:
        pool = jnp.concatenate([best[1], jnp.broadcast_to(rows, logits.shape)], 1)
        top, place = lax.top_k(jnp.concatenate([best[0], logits], 1), keep)
        return top, jnp.take_along_axis(pool, place, 1)

    def absorb(step: Array, carry: tuple) -> tuple:
        peak, (total, squares, mean), best = carry
        logits, values, rows = block(frozen, step)
        top = jnp.maximum(peak, logits.max(1))
        shrink = jnp.exp(peak - top)
        new = _weigh(logits, values, top)
        sums = (total * shrink + new[0], squares * shrink**2 + new[1], mean * shrink[:, None] + new[2])
        if keep:
            best = lax.cond(wanted, merge, lambda best, *_: best, best, logits, rows)
        return top, sums, best

    none = jnp.tile(column[:, None], keep)
    start = (column - jnp.inf, (column, column, zeros), (none - jnp.inf, none.astype(int)))
    peak, (total, squares, mean), best = lax.fori_loop(0, steps if count is None else count, absorb, start)
    moments = _Moments(mean / total[:, None], peak + jnp.log(total), total**2 / squares)
    return _differentiable(block, steps, operands, moments), best


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _differentiable(block: Block, steps: int, operands: tuple, moments: _Moments) -> _Moments:
    """Attach to `moments`, which were computed from `operands` without derivatives, their derivative."""
    return moments


@partial(_differentiable.defjvp, symbolic_zeros=True)
def _tangents(block: Block, steps: int, primals: tuple, tangents: tuple) -> tuple[_Moments, _Moments]:
    """Differentiate plain sums: the log-sum is already known, so no running maximum runs and no block is stored."""
    operands, moments = primals
    shift = lax.stop_gradient(moments.log_sum)
    moving = [i for i, t in enumerate(tangents[0]) if not isinstance(t, jax.custom_derivatives.SymbolicZero)]

    def again(moved: list[Array]) -> _Moments:
        current = list(operands)
        for i, value in zip(moving, moved, strict=True):
            current[i] = value
        part = jax.checkpoint(lambda current, step: _weigh(*block(tuple(current), step)[:2], shift))
        start = (jnp.zeros_like(shift), jnp.zeros_like(shift), jnp.zeros_like(moments.mean))
        total, squares, mean = lax.fori_loop(
            0, steps, lambda step, sums: jax.tree.map(jnp.add, sums, part(current, step)), start
        )
        return _Moments(mean / total[:, None], shift + jnp.log(total), total**2 / squares)

    _, tangent = jax.jvp(again, ([operands[i] for i in moving],), ([tangents[0][i] for i in moving],))
    return _differentiable(block, steps, operands, moments), tangent
