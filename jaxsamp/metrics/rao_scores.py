"""The scores of a noised Gaussian mixture: gradients of its log density by its parameters, block by block."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array
from jaxsamp.metrics.truth import Truth
from jaxsamp.targets.gaussian_mixture import GaussianMixture

BLOCKS = ("weights", "means", "cov_diag", "cov_off")
MAX_ENTRIES = 2**22  # largest number of entries of scores computed at once


class Components(NamedTuple):
    """The noised law's components: C_k = U_k diag(variances_k) U_k^T; `basis` is None if U_k = I."""

    log_weights: Array
    means: Array
    variances: Array  # (K, d)
    basis: Array | None  # (K, d, d)


def components_of(truth: Truth) -> Components:
    """The components of alpha x_0 + sigma z, for x_0 from a Gaussian mixture, in eigenbases of their covariances."""
    mixture = truth.law.mixture
    alpha, sigma = (1.0, 0.0) if truth.level is None else (truth.level.alpha, truth.level.sigma)
    eigenvalues, basis = mixture.eigenvalues, mixture.basis
    if basis is None:
        eigenvalues = jnp.broadcast_to(eigenvalues, mixture.means.shape)
    elif mixture.floor is not None:  # complete the basis by directions of equal variance
        basis = jnp.asarray(np.linalg.qr(np.asarray(basis, float), mode="complete")[0], basis.dtype)
        off = basis.shape[2] - eigenvalues.shape[1]
        eigenvalues = jnp.concatenate([eigenvalues, jnp.repeat(mixture.floor, off, axis=1)], axis=1)
    variances = jnp.asarray(alpha**2 * eigenvalues + sigma**2)
    return Components(mixture.log_weights, alpha * mixture.means, variances, basis)


def parameters(truth: Truth) -> dict[str, int]:
    """The number of scores in each block; 0 for a law that is not a mixture or has a singular covariance."""
    if not isinstance(truth.law, GaussianMixture) or not (np.asarray(components_of(truth).variances) > 0).all():
        return dict.fromkeys(BLOCKS, 0)
    count, d = truth.law.means.shape
    return {"weights": count - 1, "means": count * d, "cov_diag": count * d, "cov_off": count * d * (d - 1) // 2}


def scores(block: str, components: Components, x: Array) -> Iterator[np.ndarray]:
    """The scores of x in float64, (n, q), some rows at a time."""
    count, d = components.means.shape
    rows = max(1, MAX_ENTRIES // (count * d * (d if block == "cov_off" else 1)))
    for start in range(0, len(x), rows):
        yield np.asarray(score(block, components, x[start : start + rows]), float)


@partial(jax.jit, static_argnums=0)
def score(block: str, components: Components, x: Array) -> Array:
    """The scores of all of x at once, (n, q)."""
    log_weights, means, variances, basis = components
    u = x[:, None] - means
    if basis is not None:
        u = jnp.einsum("kdm,nkd->nkm", basis, u, precision="highest")
    u = u / jnp.sqrt(variances)
    r = jax.nn.softmax(log_weights - 0.5 * jnp.sum(u**2 + jnp.log(variances), axis=2))
    if block == "weights":
        return (r - jnp.exp(log_weights))[:, :-1]
    if block == "means":
        scores = u
    elif block == "cov_diag":
        scores = u**2 - 1
    else:
        i, j = np.triu_indices(u.shape[2], 1)
        scores = u[:, :, i] * u[:, :, j]
    return (r[:, :, None] * scores).reshape(len(x), -1)
