"""Sparsitron: the regression of each spin on products of the others by multiplicative weights, in one pass.

For a node with features f in [-1, 1]^P and target y in {0, 1}, the experts are +f_k, -f_k and 0, N = 2 P + 1 in all,
with weights w that begin equal; for each of T samples, with b = 1 - sqrt(ln N / T),

    v = lambda (p_+ - p_-),  p = w / sum w;    r = sigmoid(v . f) - y;    w <- w b^((1 + r e) / 2),  e = f, -f, 0.

The factor b^(1/2) of all cancels, so that the log weights are +theta, -theta and 0 with theta <- theta + ln(b) r f / 2.
Samples are taken several at a time, with the sum of their r f.

Source: Klivans and Meka, "Learning graphical models using multiplicative weights", arXiv 1706.06274 (the algorithm, and
the choice among its v by the held-out square loss). The average of v over the last half, and longer steps, are our own.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array
from jaxsamp.learning.spins_data import SpinRows
from jaxsamp.learning.spins_nodes import BYTES, used
from jaxsamp_kernels.hermite import Products, monomials, products

WIDTHS = (2.0, 4.0, 8.0, 16.0, 32.0)  # of which one is chosen
PILOT = 2**15  # rows, at most, that choose it
HELD_OUT = 8  # one row in so many
CHECKPOINTS = 64  # at most, if they fit into 1 GiB
PINNED = 0.98  # share of the width that a node uses, above which the width is too small
COARSE = 0.5  # change of theta, at most, by the rows that are taken at once
AT_ONCE = 512  # rows, at most, that are taken at once
LEAST = 8  # steps of a pass, at least, unless weights are few


class Descent(NamedTuple):
    """Nodes between two steps.

    Attributes:
        theta: log weights, (n, P).
        seen: number of samples before.
        total, loss, counted: sums over the samples of the average: of v (n, P), of the square loss (n,), and of 1.
        kept: v at the checkpoints, (K, n, P); K may be 0.
    """

    theta: Array
    seen: Array
    total: Array
    loss: Array
    counted: Array
    kept: Array


class Rule(NamedTuple):
    """What is the same in all steps: the bound `width` of |v|_1, `rate` = -step ln(b) / 2, and when the average starts.

    `mask`, (n, P), says which feature is one of which node; `samples` is T.
    """

    width: Any
    rate: Any
    start: Any
    samples: Any
    mask: Array


def begin(mask: Array, checkpoints: int = 0) -> Descent:
    """Equal weights."""
    nothing, nodes = jnp.zeros(mask.shape, mask.dtype), jnp.zeros(len(mask), mask.dtype)
    zero = jnp.zeros((), mask.dtype)
    return Descent(nothing, zero, nothing, nodes, zero, jnp.zeros((checkpoints, *mask.shape), mask.dtype))


def coefficients(theta: Array, width: Array, mask: Array) -> Array:
    """v = lambda (p_+ - p_-), (n, P)."""
    high = jnp.abs(theta).max(-1, keepdims=True)
    plus, minus = mask * jnp.exp(theta - high), mask * jnp.exp(-theta - high)
    return width * (plus - minus) / (jnp.exp(-high) + (plus + minus).sum(-1, keepdims=True))


def advance(state: Descent, rule: Rule, features: Array, y: Array, w: Array) -> Descent:
    """One step over rows with features (B, P), targets (B, n) in {0, 1} and weights (B,)."""
    v = coefficients(state.theta, rule.width, rule.mask)
    residual = jax.nn.sigmoid(jnp.matmul(features, v.T, precision="highest")) - y
    slope = jnp.matmul((w[:, None] * residual).T, features, precision="highest") * rule.mask
    rows = w.sum()
    part = jnp.where(state.seen >= rule.start, rows, 0)  # of the average
    loss = jnp.where(state.seen >= rule.start, w @ residual**2, 0)
    kept, number = state.kept, len(state.kept)
    if number:
        place = jnp.clip(state.seen * number / rule.samples, 0, number - 1).astype(int)
        kept = kept.at[place].set(v)
    return Descent(
        state.theta - rule.rate * slope,
        state.seen + rows,
        state.total + part * v,
        state.loss + loss,
        state.counted + part,
        kept,
    )


@partial(jax.jit, static_argnames=("of", "at_once"))
def advance_all(state: Descent, rule: Rule, x: Array, w: Array, of: Products, at_once: int) -> Descent:
    """Steps over all rows of x (m, n), `at_once` at a time; m is a multiple of it."""

    def step(state: Descent, rows: tuple[Array, Array]) -> tuple[Descent, None]:
        y = rows[0].astype(state.theta.dtype)
        return advance(state, rule, monomials(y, of), (1 + y) / 2, rows[1]), None

    rows = x.reshape(-1, at_once, x.shape[1]), w.reshape(-1, at_once)
    return jax.lax.scan(step, state, rows)[0]


def fit_sparsitron(
    data: SpinRows, order: int, width: float | None, step: float, choose: str, key: Array | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """v (n, P), the square loss per node, (n,), and the width."""
    of = products(data.n, order - 1, distinct=True)
    mask = jnp.asarray(used(data.n, of), jnp.result_type(float))
    experts = 2 * int(mask[0].sum()) + 1
    if data.rows <= (least := 2 * np.log(experts)):
        raise ValueError(f"x must have more than {least:.0f} rows for {experts} experts; got {data.rows}.")
    rows, shuffled = data.rows, None
    if key is not None:
        shuffled = np.asarray(jax.random.permutation(key, rows))
    one = partial(_one_pass, data, of=of, mask=mask, experts=experts, step=step, order=shuffled, choose=choose)
    if width is None:
        few = min(rows, PILOT)
        found = {width: one(width=width, last=few, apart=few // HELD_OUT) for width in WIDTHS}
        wide = [width for width, (v, _) in found.items() if share_used(v, width) < PINNED] or WIDTHS[-1:]
        width = min(wide, key=lambda width: found[width][1].sum())
    v, loss = one(width=width, last=rows, apart=rows // HELD_OUT if choose == "held out" else 0)
    return v, loss, width


def share_used(v: np.ndarray, width: float) -> float:
    """The largest |v|_1 / width of a node, at most 1; near 1 the width cuts v off."""
    return float(np.abs(v).sum(1).max() / width)


def _one_pass(
    data: SpinRows,
    *,
    of: Products,
    mask: Array,
    experts: int,
    step: float,
    order: np.ndarray | None,
    choose: str,
    width: float,
    last: int,
    apart: int,
) -> tuple[np.ndarray, np.ndarray]:
    """v from rows 0, ..., last - apart - 1, and the square loss per node on the next `apart`.

    If these are none, that of the samples of the average, each before it was used.
    """
    fit = last - apart
    rate = -step * np.log1p(-np.sqrt(np.log(experts) / fit)) / 2
    at_once = int(np.clip(COARSE / rate, 1, min(AT_ONCE, max(1, fit // LEAST))))
    size = min(BYTES // (8 * data.n), data.longest, fit)
    size = -(-size // at_once) * at_once
    dtype = mask.dtype
    numbers = [jnp.asarray(number, dtype) for number in (width, rate, fit // 2, fit)]
    rule = Rule(*numbers, mask=mask)
    state = begin(mask, max(1, min(CHECKPOINTS, 2**30 // mask.nbytes)) if choose == "held out" else 0)
    for x, w in data.chunks(size, order, 0, fit):
        state = advance_all(state, rule, x, jnp.asarray(w, dtype), of, at_once)
    if not state.counted and not (apart and choose == "held out"):
        raise ValueError(
            "weights must leave a step in the second half of their sum, over which coefficients are averaged; got most "
            "of it in the last rows: give another order by key, or another method."
        )
    average = state.total / state.counted
    if not apart:
        return np.asarray(average, float), np.asarray(state.loss / state.counted, float)
    found = state.kept if choose == "held out" else average[None]
    size = max(1, min(BYTES // (4 * len(found) * data.n), data.longest, apart))
    losses, total = np.zeros((len(found), data.n)), 0.0
    for x, w in data.chunks(size, order, fit, last):
        losses += np.asarray(_losses(found, x, jnp.asarray(w, dtype), of), float)
        total += w.sum()
    best, nodes = losses.argmin(0), np.arange(data.n)
    return np.asarray(found[best, nodes], float), losses[best, nodes] / total


@partial(jax.jit, static_argnames=("of",))
def _losses(v: Array, x: Array, w: Array, of: Products) -> Array:
    """Sums over the rows of (sigmoid(v . f) - y)^2 for each v of (K, n, P), (K, n)."""
    y = x.astype(v.dtype)
    logits = jnp.einsum("mp,knp->kmn", monomials(y, of), v, precision="highest")
    return jnp.einsum("m,kmn->kn", w, (jax.nn.sigmoid(logits) - (1 + y) / 2) ** 2, precision="highest")
