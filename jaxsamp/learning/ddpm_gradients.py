"""Three estimates of the gradient of the DDPM objective of Gaussian mixtures.

Let X = alpha x_0 + sigma Z with alpha^2 + sigma^2 = 1, so that components of unit covariance keep it, and let J(m) be
the mean of |s_m(X) + Z / sigma|^2. Integrated by parts over Z, and up to a constant, it is E[|s_m|^2 + 2 div s_m].
What is estimated is the direction of descent, -grad J / 2. For two symmetric Gaussians, with u = m.X, T = tanh u,
T' = 1 - T^2 and q = |m|^2,

    -grad J / 2 = E[g(u) X] - E[1 + T'] m,   g(u) = T + T' (u + T q)

of which E[T X] - m is a step of expectation-maximization. For K of them, with p = softmax(log w_j - |X - m_j|^2 / 2),
b = sum_j p_j m_j and q_j = m_j.(X + b) - |m_j|^2,

    -grad_i J / 2 = E[c_i (X - m_i) + p_i (b - m_i)],   c_i = p_i (1 + q_i - sum_j p_j q_j)

of which E[p_i (X - m_i)] is a step of expectation-maximization, times its weight.

- `fresh` differentiates the objective itself at new Z; its variance grows as 1 / sigma^2.
- `stein` has the formulas above at new Z; its variance does not grow.
- `exact`, for two symmetric Gaussians, integrates over Z: given x_0, u is normal with mean alpha m.x_0 and variance
  sigma^2 q, and E[g(u) Z] = sigma m E[g'(u)], so that one integral by Gauss-Hermite quadrature is left.

Source: Shah, Chen and Klivans, "Learning Mixtures of Gaussians Using the DDPM Objective", arXiv 2307.01178 (`fresh`);
Hyvarinen, "Estimation of Non-Normalized Statistical Models by Score Matching", JMLR 6 (2005) (the other two).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array, ArrayLike
from jaxsamp.learning.ddpm_students import ddpm_loss, student

NODES = 32
BLOCK = 2**18  # numbers of the data at a time
HERMITE = np.polynomial.hermite_e.hermegauss(NODES)


class Blocks(NamedTuple):
    """Data in blocks of rows, the last rows being padding.

    Attributes:
        x: (blocks, rows, d), in float32 (float64 under x64).
        share: (blocks, rows), 1 / n for a sample and 0 for padding.
    """

    x: Array
    share: Array


def in_blocks(x: np.ndarray, prepare: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Blocks:
    """Samples (n, d) in blocks, each of them prepared by a function; of memory there is only the result."""
    n, d = x.shape
    rows = max(1, BLOCK // max(d, NODES))
    count = -(-n // rows)
    rows = -(-n // count)
    dtype = jax.dtypes.canonicalize_dtype(float)
    blocks, share = np.zeros((count * rows, d), dtype), np.zeros(count * rows, dtype)
    for first in range(0, n, rows):
        blocks[first : min(first + rows, n)] = prepare(x[first : first + rows])
    share[:n] = 1 / n
    return Blocks(jnp.asarray(blocks.reshape(count, rows, d)), jnp.asarray(share.reshape(count, rows)))


def mean_of(of_block: Callable[[Array, Array, Array], Array], blocks: Blocks) -> Array:
    """The sum over blocks of `of_block(x, share, number)`, one at a time."""

    def add(total: Array, block: tuple[Array, Array, Array]) -> tuple[Array, None]:
        return total + of_block(*block), None

    numbered = (blocks.x, blocks.share, jnp.arange(len(blocks.x)))
    zero = jax.eval_shape(of_block, *(part[0] for part in numbered))
    return jax.lax.scan(add, jnp.zeros(zero.shape, zero.dtype), numbered)[0]


def descent(
    gradient: str, m: Array, log_weights: Array | None, blocks: Blocks, key: Array, alpha: ArrayLike, sigma: ArrayLike
) -> Array:
    """-grad J / 2 at centers m of the noised law, averaged over all data.

    Args:
        gradient: "exact", "stein" or "fresh".
        m: (d,) for two symmetric Gaussians, or (K, d).
        log_weights: (K,), or None for two symmetric Gaussians.
        blocks: the data, of which each is noised.
        key: a typed key; draws the noise of block i with fold_in(key, i).
        alpha, sigma: the level, with alpha^2 + sigma^2 = 1.

    Returns:
        An array of the shape of m.
    """

    def of_block(x0: Array, share: Array, number: Array) -> Array:
        if gradient == "exact":
            return exact(m, x0, share, alpha, sigma)
        z = jax.random.normal(jax.random.fold_in(key, number), x0.shape, x0.dtype)
        return {"stein": stein, "fresh": fresh}[gradient](m, log_weights, x0, share, z, alpha, sigma)

    return mean_of(of_block, blocks)


def fresh(
    m: Array, log_weights: Array | None, x0: Array, share: Array, z: Array, alpha: ArrayLike, sigma: ArrayLike
) -> Array:
    """By differentiation of the objective at noise z; the sum over rows, each with its share."""

    def loss(m: Array) -> Array:
        return share @ ddpm_loss(student(log_weights), m, x0, z, alpha, sigma)

    return -0.5 * jax.grad(loss)(m)


def stein(
    m: Array, log_weights: Array | None, x0: Array, share: Array, z: Array, alpha: ArrayLike, sigma: ArrayLike
) -> Array:
    """By the formulas above at noise z; the sum over rows, each with its share."""
    x = jnp.asarray(alpha * x0 + sigma * z)
    if log_weights is None:
        u, q = _dot(x, m), _dot(m, m)
        t = jnp.tanh(u)
        slope = 1 - t * t
        return _dot(share * (t + slope * (u + t * q)), x) - share @ (1 + slope) * m
    inner, along = _dot(m, m.T), _dot(x, m.T)
    square = jnp.diagonal(inner)
    p = jax.nn.softmax(log_weights + along - 0.5 * square)
    q = along + _dot(p, inner) - square
    c = share[:, None] * p * (1 + q - (p * q).sum(1, keepdims=True))
    shared = share[:, None] * p
    return _dot(c.T, x) - (c + shared).sum(0)[:, None] * m + _dot(_dot(shared.T, p), m)


def exact(m: Array, x0: Array, share: Array, alpha: ArrayLike, sigma: ArrayLike) -> Array:
    """With the noise integrated out, for two symmetric Gaussians; the sum over rows, each with its share.

    It is alpha sum E[g] x_0 + (sigma^2 E[g'] - E[1 + T']) m, at O(d + 32) per sample.
    """
    q, along = _dot(m, m), alpha * _dot(x0, m)
    nodes, weights = (jnp.asarray(each, x0.dtype) for each in (HERMITE[0], HERMITE[1] / HERMITE[1].sum()))

    def add(k: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        u = along + sigma * jnp.sqrt(q) * nodes[k]
        t = jnp.tanh(u)
        slope, v = 1 - t * t, u + t * q
        pulled = sigma**2 * slope * (2 + slope * q - 2 * t * v) - slope  # sigma^2 g' - T'
        return sums[0] + weights[k] * (t + slope * v), sums[1] + weights[k] * pulled

    zero = jnp.zeros_like(along)
    g, pulled = jax.lax.fori_loop(0, NODES, add, (zero, zero))  # twice as fast as an array of all nodes
    return jnp.asarray(alpha * _dot(share * g, x0) + (_dot(share, pulled) - share.sum()) * m)


def _dot(a: Array, b: ArrayLike) -> Array:
    return jnp.matmul(a, b, precision="highest")
