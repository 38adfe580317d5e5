"""Pseudo-likelihood and interaction screening: the regression of each spin on products of the others, all at once.

With A (n, P) the coefficients of products x_S in the local fields f_i = sum_S A_{i, S} x_S of spins i not in S, the
loss of node i is, by the method,

    "rple"     mean ln(1 + e^(-2 x_i f_i))      regularized pseudo-likelihood
    "rise"     mean e^(-x_i f_i)                interaction screening
    "logrise"  ln mean e^(-x_i f_i)

and at the minimum over all f of the population f_i = (S(x, x_i = 1) - S(x, x_i = -1)) / 2 under p = exp(S) / Z.

Source: Ravikumar, Wainwright and Lafferty, Ann. Statist. 38 (2010); Vuffray, Misra, Lokhov and Chertkov, arXiv
1605.07252; Lokhov, Vuffray, Misra and Chertkov, arXiv 1612.05024.
"""

import math
import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import Bounds, minimize

from jaxsamp.core.types import Array
from jaxsamp.learning.spins_data import SpinRows
from jaxsamp_kernels.hermite import Products, monomials, products

PENALTY = {"rple": 0.2, "rise": 0.4, "logrise": 0.8}  # c of c sqrt(ln(n P / .05) / m)
MANY = 50  # samples per coefficient of a node, above which there is no penalty
CLIP = 40.0  # of x_i f_i in the exponent of interaction screening
BYTES = 2**25  # of the arrays of one chunk
STEPS = 1000  # of L-BFGS, at most
NEWTON = 2  # steps that end the fit
PAIRS = 2**26  # numbers of the last steps and gradients that L-BFGS keeps
FIRST = 200  # rows per product with which the fit begins
TOLERANCE = {"ftol": 1e-8, "gtol": 1e-6}, {"ftol": 1e-15, "gtol": 1e-10}  # in float32 and in float64


def default_penalty(method: str, n: int, order: int, samples: float) -> float:
    """c sqrt(ln(n P / .05) / m) for at most 50 samples per coefficient of a node, P, else 0; P = n for pairs."""
    count = sum(math.comb(n - 1, size) for size in range(order))
    return 0.0 if samples > MANY * count else PENALTY[method] * math.sqrt(math.log(n * count / 0.05) / samples)


def used(n: int, of: Products) -> np.ndarray:
    """Which product may stand in the local field of which spin, (n, P): those without it."""
    mask = np.ones((n, len(of)), bool)
    for p, made in enumerate(of):
        mask[list(made), p] = False
    return mask


def chunk_rows(n: int, features: int, rows: int) -> int:
    """Rows of a chunk whose arrays fit into BYTES."""
    return max(1, min(rows, BYTES // (4 * (features + 4 * n))))


def fit_nodes(data: SpinRows, order: int, method: str, l1: float) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (n, P) of the products of degree below `order`, and the loss of each node, (n,).

    Without a penalty, of many rows a part drawn from all of them comes first. With its curvature as a metric, all of
    them take a few steps.
    """
    nodes = Nodes(data.condensed(), order, method)
    rows, (n, features) = nodes.data.rows, nodes.mask.shape
    a = np.zeros((n, features))
    a[:, 0] = np.arctanh(np.clip(data.mean, -0.999, 0.999))  # the fields of independent spins
    few = FIRST * features
    if l1 or rows < 4 * few or 4 * n * features**2 > BYTES:
        a = minimum(nodes.losses, a, l1)
        return a, nodes.losses(a)[0]
    part = Nodes(nodes.data.thinned(few), order, method)
    a = minimum(part.losses, a, 0.0, ftol=1e-6)
    root = part.metric(a)

    def losses(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, slope = nodes.losses(a + np.einsum("ipq,iq->ip", root, b))
        return value, np.einsum("ipq,ip->iq", root, slope)

    a = a + np.einsum("ipq,iq->ip", root, minimum(losses, np.zeros_like(a), 0.0))
    return newton(nodes.losses, a, root)


class Nodes:
    """The losses of all nodes on data, as functions of A (n, P)."""

    def __init__(self, data: SpinRows, order: int, method: str):
        self.data, self.method = data, method
        self.of = products(data.n, order - 1, distinct=True)
        self.mask = used(data.n, self.of)
        self._size = chunk_rows(data.n, len(self.of), data.longest)

    def losses(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Loss of each node (n,) and its gradient (n, P)."""
        value, slope = self._means(_sums, a)
        if self.method == "logrise":
            return np.log(value), self.mask * slope / value[:, None]
        return value, self.mask * slope

    def metric(self, a: np.ndarray) -> np.ndarray:
        """M (n, P, P) with M_i M_i^T the inverse of the second derivative of the loss of node i.

        Of "logrise" without the square of its gradient, which is 0 at the optimum.
        """
        value, second = self._means(_second, a)
        if self.method == "logrise":
            second = second / value[:, None, None]
        second = second * self.mask[:, :, None] * self.mask[:, None]
        second += np.eye(len(self.of)) * (np.where(self.mask, 1e-6, 1.0)[:, None])
        return np.linalg.inv(np.linalg.cholesky(second)).transpose(0, 2, 1)

    def _means(self, sums: Any, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dtype = jnp.result_type(float)
        at, value, other, total = jnp.asarray(a, dtype), 0.0, 0.0, 0.0
        for x, w in self.data.chunks(self._size):
            found = sums(at, x, jnp.asarray(w, dtype), self.of, self.method)
            value, other = value + np.asarray(found[0], float), other + np.asarray(found[1], float)
            total += w.sum()
        return np.asarray(value / total), np.asarray(other / total)


def newton(losses: Any, a: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """After Newton's steps with this metric, which each node takes if its slope gets smaller; and the losses there.

    Near the minimum a loss in float32 is too coarse to tell what is better, and its slope is not.
    """
    value, slope = losses(a)
    for _ in range(NEWTON):
        steep = np.einsum("ipq,ip->iq", root, slope)
        tried = a - np.einsum("ipq,iq->ip", root, steep)
        values, slopes = losses(tried)
        flatter = np.linalg.norm(np.einsum("ipq,ip->iq", root, slopes), axis=1) < np.linalg.norm(steep, axis=1)
        a, slope = np.where(flatter[:, None], tried, a), np.where(flatter[:, None], slopes, slope)
        value = np.where(flatter, values, value)
    return a, value


def minimum(losses: Any, start: np.ndarray, l1: float, **tolerance: float) -> np.ndarray:
    """Where the sum of losses and l1 sum |A_{i, S}| over S that are not empty is least, by L-BFGS-B from a start.

    With a penalty, A is the difference of two parts that are not negative, so that the sum is smooth.
    """

    def smooth(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parts = flat.reshape(-1, *start.shape)
        value, slope = losses(parts[0] - parts[1] if l1 else parts[0])
        if not l1:
            return value.sum(), slope.ravel()
        return value.sum() + l1 * parts[:, :, 1:].sum(), (np.stack([slope, -slope]) + penalty).ravel()

    begin, bounds = start[None], None
    if l1:
        begin = np.stack([np.maximum(start, 0), np.maximum(-start, 0)])
        begin[:, :, 0] = start[:, 0], np.zeros(len(start))
        penalty, low, high = np.full_like(begin, l1), np.zeros_like(begin), np.full_like(begin, np.inf)
        penalty[:, :, 0], low[0, :, 0], high[1, :, 0] = 0, -np.inf, 0
        bounds = Bounds(low.ravel(), high.ravel())  # type: ignore[arg-type]
    default = TOLERANCE[jnp.result_type(float) == jnp.float64]
    kept = int(np.clip(PAIRS // begin.size, 3, 20))
    options = {"maxiter": STEPS, "maxfun": 2 * STEPS, "maxcor": kept, **default, **tolerance}
    found = minimize(smooth, begin.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if found.status == 1:
        warnings.warn(
            f"The couplings did not converge in {found.nit} steps: some of them may not be finite, because the data "
            "nearly decide a spin by the others. More samples or a larger l1 help.",
            stacklevel=4,
        )
    parts = found.x.reshape(begin.shape)
    return parts[0] - parts[1] if l1 else parts[0]


@partial(jax.jit, static_argnames=("of", "method"))
def _sums(a: Array, x: Array, w: Array, of: Products, method: str) -> tuple[Array, Array]:
    """Sums over the rows of the loss of each node, (n,), and of its gradient, (n, P)."""
    y, features, loss, slope, _ = _margins(a, x, of, method)
    return w @ loss, jnp.matmul((w[:, None] * slope * y).T, features, precision="highest")


@partial(jax.jit, static_argnames=("of", "method"))
def _second(a: Array, x: Array, w: Array, of: Products, method: str) -> tuple[Array, Array]:
    """Sums over the rows of the loss of each node, (n,), and of its second derivative, (n, P, P)."""
    _, features, loss, _, bend = _margins(a, x, of, method)
    one = lambda c: jnp.matmul((c[:, None] * features).T, features, precision="highest")  # noqa: E731
    return w @ loss, jax.lax.map(one, (w[:, None] * bend).T)


def _margins(a: Array, x: Array, of: Products, method: str) -> tuple[Array, ...]:
    """Spins, products, and the loss of x_i f_i with its derivatives, for each row and node."""
    y = x.astype(a.dtype)
    features = monomials(y, of)
    margin = y * jnp.matmul(features, a.T, precision="highest")
    if method == "rple":
        share = jax.nn.sigmoid(-2 * margin)
        return y, features, jax.nn.softplus(-2 * margin), -2 * share, 4 * share * (1 - share)
    loss = jnp.exp(-jnp.clip(margin, -CLIP, CLIP))
    return y, features, loss, -loss, loss
