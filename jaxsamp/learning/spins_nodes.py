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

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from jaxsamp.core.types import Array
from jaxsamp.learning.spins_data import SpinRows
from jaxsamp_kernels.hermite import Products, monomials, products

PENALTY = {"rple": 0.2, "rise": 0.4, "logrise": 0.8}  # c of c sqrt(ln(n^2 / .05) / m)
MANY = 50  # samples per spin, above which there is no penalty
CLIP = 40.0  # of x_i f_i in the exponent of interaction screening
BYTES = 2**25  # of the arrays of one chunk
STEPS = 1000  # of L-BFGS, at most


def default_penalty(method: str, n: int, samples: float) -> float:
    """c sqrt(ln(n^2 / .05) / m) for at most 50 samples per spin, else 0."""
    return 0.0 if samples > MANY * n else PENALTY[method] * float(np.sqrt(np.log(n**2 / 0.05) / samples))


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
    """Coefficients (n, P) of the products of degree below `order`, and the loss of each node, (n,), by L-BFGS-B.

    With the penalty l1 sum |A_{i, S}| over S that are not empty, A is the difference of two parts that are not negative,
    of which the optimum is the same and smooth.
    """
    data = data.condensed()
    of = products(data.n, order - 1, distinct=True)
    mask, size = used(data.n, of), chunk_rows(data.n, len(of), data.longest)
    dtype = jnp.result_type(float)
    kept = jnp.asarray(mask, dtype)

    def losses(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, slope, at = np.zeros(data.n), np.zeros(mask.shape), jnp.asarray(a, dtype)
        for x, w in data.chunks(size):
            found = _sums(at, x, jnp.asarray(w, dtype), kept, of, method)
            value, slope = value + np.asarray(found[0], float), slope + np.asarray(found[1], float)
        value, slope = value / data.rows, slope / data.rows
        return (np.log(value), slope / value[:, None]) if method == "logrise" else (value, slope)

    def smooth(flat: np.ndarray) -> tuple[float, np.ndarray]:
        parts = flat.reshape(-1, *mask.shape)
        value, slope = losses(parts[0] - parts[1] if l1 else parts[0])
        if not l1:
            return value.sum(), slope.ravel()
        return value.sum() + l1 * parts[:, :, 1:].sum(), (np.stack([slope, -slope]) + penalty).ravel()

    start = np.zeros((2 if l1 else 1, *mask.shape))
    start[0, :, 0] = np.arctanh(np.clip(data.mean, -0.999, 0.999))  # the fields of independent spins
    penalty = np.full_like(start, l1)
    penalty[:, :, 0] = 0
    bounds = None
    if l1:
        low, high = np.zeros_like(start), np.full_like(start, np.inf)
        low[0, :, 0], high[1, :, 0] = -np.inf, 0
        bounds = list(zip(low.ravel(), high.ravel(), strict=True))
    exact = dtype == jnp.float64
    options = {"maxiter": STEPS, "maxfun": 2 * STEPS, "maxcor": 20, "ftol": 1e-15 if exact else 1e-11}
    options["gtol"] = 1e-10 if exact else 1e-6
    found = minimize(smooth, start.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if found.status == 1:
        warnings.warn(
            f"The couplings did not converge in {found.nit} steps: some of them may not be finite, because the data "
            "nearly decide a spin by the others. More samples or a larger l1 help.",
            stacklevel=3,
        )
    parts = found.x.reshape(start.shape)
    a = parts[0] - parts[1] if l1 else parts[0]
    return a, losses(a)[0]


@partial(jax.jit, static_argnames=("of", "method"))
def _sums(a: Array, x: Array, w: Array, mask: Array, of: Products, method: str) -> tuple[Array, Array]:
    """Sums over the rows of the loss of each node and of its gradient."""
    y = x.astype(a.dtype)
    features = monomials(y, of)
    margin = y * jnp.matmul(features, a.T, precision="highest")
    if method == "rple":
        loss, slope = jax.nn.softplus(-2 * margin), -2 * jax.nn.sigmoid(-2 * margin)
    else:
        loss = jnp.exp(-jnp.clip(margin, -CLIP, CLIP))
        slope = -loss
    gradient = jnp.matmul((w[:, None] * slope * y).T, features, precision="highest")
    return w @ loss, gradient * mask
