"""Attention heads learned from inputs of +1 and -1: `fit_attention`."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.optimize import minimize

from jaxsamp.core import checks, extras
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.supervised.attention_layer import AttentionLayer
from jaxsamp_kernels import attention

RATE, END, STEPS = 3e-2, 0.05, 600  # of Adam: the first rate, the share of it at the end, and how many steps
RIDGE = {"float32": 1e-7, "float64": 1e-14}  # in units of the mean eigenvalue of the normal matrix
BEST, POLISH = 3, 2000  # restarts that are polished, and iterations of that
SOLVED = 1e-4  # relative error of a restart that has found the layer
NUMBERS = 2**22  # numbers in memory at once, over all restarts

Blocks = tuple[Array, Array]  # inputs (b, r, k, d) and outputs (b, r, k, e)


class AttentionFit(NamedTuple):
    """What `fit_attention` returns.

    Attributes:
        layer: the best layer that was found; `layer(x)` predicts.
        relative_error: its sum of |Y - F(X)|^2 over the sum of |Y|^2.
        errors: the same for every restart before polishing, (restarts,).
        restarts_solved: the number of these below 1e-4.
    """

    layer: AttentionLayer
    relative_error: float
    errors: np.ndarray
    restarts_solved: int


def fit_attention(
    key: PRNGKey, x: Any, y: Any, heads: int, restarts: int = 32, *, scale: float = 1.0, steps: int = STEPS
) -> AttentionFit:
    """Search for F(X) = sum_i softmax(X Theta_i X^T) X W_i, i = 1, ..., m, that explains examples (X, Y).

    A testbed, and not the algorithm of the paper, whose constants rule out running it: local search from random
    starts, which fails more often with each head. Given Theta, W is linear least squares, the one of least norm up to
    a ridge of 1e-7, so that only

        E(Theta) = min_W sum |Y - F(X)|^2 / sum |Y|^2

    is minimized (variable projection; its gradient is that at the best W, held fixed): by Adam from all restarts at
    once, Theta ~ N(0, scale^2) in each entry, then from the best three by L-BFGS in float64. Inputs are read in blocks,
    so that memory is that of the examples and of some 4e6 numbers.

    Args:
        key: a typed key for the starts; the first restarts are the same however many there are.
        x: inputs of +1 and -1, (n, k, d); `sign_matrices(k, d)` lists all of them.
        y: outputs, (n, k, e).
        heads: m, at least 1.
        restarts: at least 1.
        scale: standard deviation of the entries of Theta in the beginning, above 0.
        steps: of Adam, at least 1; its rate falls from 3e-2 to 5 % of that by half a cosine.

    Raises:
        ValueError: entries of x are neither +1 nor -1, y is zero everywhere, shapes do not fit, or a number is out of
            its range.

    Source: Chen and Li, "Provably learning a multi-head attention layer", arXiv 2402.04084, for the problem; Golub and
        Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate",
        SIAM J. Numer. Anal. 10 (1973), for the projection.
    """
    x, y = _examples(x, y)
    unit = _size(y)  # squares of outputs of other sizes leave the range of float32
    y = y / unit
    heads, restarts = checks.at_least("heads", heads, 1), checks.at_least("restarts", restarts, 1)
    steps = checks.at_least("steps", steps, 1)
    if not 0 < scale < np.inf:
        raise ValueError(f"scale must be a finite number above 0; got {scale}.")
    d = x.shape[-1]
    keys = jax.vmap(partial(jax.random.fold_in, checks.typed_key(key)))(jnp.arange(restarts))
    starts = scale * jax.vmap(lambda one: jax.random.normal(one, (heads, d, d), jnp.float32))(keys)
    found, errors = _searched(starts, _blocks(x, y, heads, restarts, jnp.float32), steps)
    errors = np.asarray(errors, float)
    order = np.argsort(np.where(np.isfinite(errors), errors, np.inf))[:BEST]
    with jax.enable_x64(True):
        blocks = _blocks(x, y, heads, 1, jnp.float64)
        ends = [_polished(np.asarray(found[i], float), blocks) for i in order]
        theta, error = min(ends, key=lambda end: end[1])
        layer = AttentionLayer(theta, unit * np.asarray(_weights(jnp.asarray(theta), blocks)))
    return AttentionFit(layer, error, errors, int(np.sum(errors < SOLVED)))


@partial(jax.jit, static_argnames="steps")
def _searched(starts: Array, blocks: Blocks, steps: int) -> tuple[Array, Array]:
    """Theta after Adam from every start (s, m, d, d), and the errors there, (s,)."""
    with extras.needed("fit_attention"):
        import optax
    adam = optax.adam(optax.cosine_decay_schedule(RATE, steps, END))

    def step(carry: Any, _: None) -> tuple[Any, None]:
        theta, state = carry
        updates, state = adam.update(jax.grad(_error)(theta, blocks), state)
        return (optax.apply_updates(theta, updates), state), None

    def run(theta: Array) -> tuple[Array, Array]:
        (theta, _), _ = lax.scan(step, (theta, adam.init(theta)), None, steps)
        return theta, _error(theta, blocks)

    return jax.vmap(run)(starts)


def _polished(theta: np.ndarray, blocks: Blocks) -> tuple[np.ndarray, float]:
    """Theta after L-BFGS, and the error there."""

    def value(point: np.ndarray) -> tuple[float, np.ndarray]:
        error, slope = _slope(jnp.asarray(point.reshape(theta.shape)), blocks)
        return float(error), np.asarray(slope, float).reshape(-1)

    options = {"maxiter": POLISH, "maxfun": 2 * POLISH, "ftol": 0.0, "gtol": 1e-12}
    found = minimize(value, theta.reshape(-1), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(theta.shape), float(found.fun)


def _error(theta: Array, blocks: Blocks) -> Array:
    """E(Theta). W is held fixed where it is differentiated: the slope in W is zero at the best one."""
    w = lax.stop_gradient(_weights(theta, blocks))

    @jax.checkpoint
    def add(sums: tuple[Array, Array], block: Blocks) -> tuple[tuple[Array, Array], None]:
        x, y = block
        rest = y - attention.layer(x, theta, w)
        return (sums[0] + jnp.sum(rest**2), sums[1] + jnp.sum(y**2)), None

    zero = jnp.zeros((), theta.dtype)
    left, total = lax.scan(add, (zero, zero), blocks)[0]
    return left / total


_slope = jax.jit(jax.value_and_grad(_error))


def _weights(theta: Array, blocks: Blocks) -> Array:
    """The W (m, d, e) of least squares given Theta, from sums of products over all blocks."""
    (m, d, _), e = theta.shape, blocks[1].shape[-1]

    def add(sums: tuple[Array, Array], block: Blocks) -> tuple[tuple[Array, Array], None]:
        x, y = block
        h = jnp.moveaxis(attention.heads(x, theta), -3, -2).reshape(-1, m * d)
        gram = jnp.matmul(h.T, h, precision="highest")
        return (sums[0] + gram, sums[1] + jnp.matmul(h.T, y.reshape(-1, e), precision="highest")), None

    zeros = jnp.zeros((m * d, m * d), theta.dtype), jnp.zeros((m * d, e), theta.dtype)
    gram, back = lax.scan(add, zeros, blocks)[0]
    ridge = RIDGE[theta.dtype.name] * jnp.trace(gram) / (m * d)
    return jnp.linalg.solve(gram + ridge * jnp.eye(m * d, dtype=gram.dtype), back).reshape(m, d, e)


def _blocks(x: np.ndarray, y: np.ndarray, heads: int, restarts: int, dtype: Any) -> Blocks:
    """The examples in blocks of one size; those of zeros at the end add nothing to any sum."""
    n, k, d = x.shape
    size = min(n, max(1, NUMBERS // (restarts * heads * k * (k + d))))
    count = -(-n // size)
    fill = ((0, count * size - n), (0, 0), (0, 0))
    return tuple(jnp.asarray(np.pad(part, fill), dtype).reshape(count, size, k, -1) for part in (x, y))  # type: ignore


def _size(y: np.ndarray) -> float:
    """The root mean square, whose squares do not leave the range of float64."""
    largest = float(np.abs(y).max())
    return largest * float(np.sqrt(np.mean((y / largest) ** 2, dtype=float)))


def _examples(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = checks.finite("x", x), checks.finite("y", y)
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"x must be matrices of +1 and -1, (n, k, d); got shape {x.shape}.")
    if y.ndim != 3 or y.shape[:2] != x.shape[:2] or not y.shape[2]:
        raise ValueError(f"y must have shape ({x.shape[0]}, {x.shape[1]}, e), a row per row of x; got {y.shape}.")
    other = ~np.isin(x, (-1, 1))
    if other.any():
        raise ValueError(f"x must be of +1 and -1; got {x[other][0]}.")
    if not y.any():
        raise ValueError("y must not be zero everywhere, because errors are relative to it.")
    return x, y
