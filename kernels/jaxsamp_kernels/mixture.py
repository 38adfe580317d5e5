"""Gaussian mixtures at every noise level, exactly, from eigendecompositions computed once.

If x_0 has law sum_k w_k N(mu_k, S_k), then x = alpha x_0 + sigma z has law sum_k w_k N(alpha mu_k, C_k) with
C_k = alpha^2 S_k + sigma^2 I. With S_k = U_k diag(eigenvalues_k) U_k^T a change of level costs O(K d), and every
quantity is a spectral function of S_k applied to delta_k = x - alpha mu_k. Nothing is divided by alpha. Differences are
taken before squares and products, which would cancel: delta_k of x and the mean, and for low rank its part outside of
the basis, delta_k - V_k V_k^T delta_k.

No variance is raised: where alpha^2 S_k + sigma^2 I is singular there is no density, and the numbers are not finite.

Each function takes one point x of shape (d,) and one level; `jax.vmap` turns the products into matrix products.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

# In full float32: by default a GPU rounds the factors of a product to ten bits.
_matmul = partial(jnp.matmul, precision="highest")
_einsum = partial(jnp.einsum, precision="highest")


class Mixture(NamedTuple):
    """K Gaussian components; the fields that are present determine the form of the covariances.

    form       eigenvalues   basis       floor
    full       (K, d)        (K, d, d)   None    S_k = U_k diag(eigenvalues_k) U_k^T
    diagonal   (K, d)        None        None
    spherical  (K, 1)        None        None
    low rank   (K, r)        (K, d, r)   (K, 1)  S_k = floor_k I + V_k diag(eigenvalues_k - floor_k) V_k^T
    """

    log_weights: Array
    means: Array
    eigenvalues: Array
    basis: Array | None = None
    floor: Array | None = None


class _View(NamedTuple):
    """delta_k in the eigenbasis of S_k, with the eigenvalues of C_k; for low rank, also its part outside the basis."""

    coordinates: Array  # (K, m)
    residual: Any  # (K, d) or None, delta_k - V_k V_k^T delta_k
    variances: Array  # eigenvalues of C_k
    off_variances: Array | None  # (K, 1), the eigenvalue of C_k outside the basis


def _split(mixture, vectors):
    """U_k^T v_k, for vectors of shape (K, d), or (1, d) for all; for low rank also the rest, v_k - V_k V_k^T v_k."""
    if mixture.basis is None:
        return vectors, None
    inside = _einsum("kdm,kd->km", mixture.basis, jnp.broadcast_to(vectors, mixture.means.shape))
    return inside, None if mixture.floor is None else vectors - _einsum("kdm,km->kd", mixture.basis, inside)


def _noised(mixture, alpha, sigma):
    """Eigenvalues of C_k inside of the basis, and for low rank the one outside."""
    inside, floor = alpha * alpha * mixture.eigenvalues + sigma * sigma, mixture.floor
    return inside, None if floor is None else alpha * alpha * floor + sigma * sigma


def _view(mixture, x, alpha, sigma):
    return _View(*_split(mixture, x - alpha * mixture.means), *_noised(mixture, alpha, sigma))


def _log_components(mixture, view, x):
    """log w_k + log N(x; alpha mu_k, C_k), (K,)."""
    outside = None if view.residual is None else jnp.sum(view.residual * view.residual, 1)
    return _log_normals(mixture, view.coordinates, outside, view.variances, view.off_variances)


def _log_normals(mixture, y, outside, c, b):
    """The same from y = U_k^T delta_k, (K, m), and for low rank the square of the part of delta_k outside the basis."""
    d = mixture.means.shape[1]
    square, log_det = jnp.sum(y * y / c, 1), jnp.sum(jnp.broadcast_to(jnp.log(c), y.shape), 1)
    if b is not None:
        square += outside / b[:, 0]
        log_det += (d - y.shape[1]) * jnp.log(b[:, 0])
    return mixture.log_weights - 0.5 * (square + log_det + d * jnp.log(2 * jnp.pi))


def _mix(mixture, weights, multipliers, off_multipliers, coordinates, residual):
    """sum_k weights_k f(S_k) v_k for the two parts of v_k, with f given on the eigenvalues and outside the basis."""
    inside = weights[:, None] * multipliers * coordinates
    if mixture.basis is None:
        return jnp.sum(inside, 0)
    lifted = _einsum("kdm,km->d", mixture.basis, inside)
    return lifted if residual is None else lifted + _matmul(weights * off_multipliers[:, 0], residual)


def _each(mixture, multipliers, off_multipliers, coordinates, residual):
    """f(S_k) v_k of every component, (K, d), for the two parts of v_k."""
    if mixture.basis is None:
        return multipliers * coordinates
    lifted = _einsum("kdm,km->kd", mixture.basis, multipliers * coordinates)
    return lifted if residual is None else lifted + off_multipliers * residual


def _inverses(view):
    return 1 / view.variances, None if view.off_variances is None else 1 / view.off_variances


def _gains(mixture, view, alpha):
    """alpha S_k C_k^-1, by its eigenvalues."""
    off = None if mixture.floor is None else alpha * mixture.floor / view.off_variances
    return alpha * mixture.eigenvalues / view.variances, off


def log_prob(mixture: Mixture, x, alpha, sigma):
    """log p(x) = logsumexp_k (log w_k + log N(x; alpha mu_k, C_k))."""
    return jax.nn.logsumexp(_log_components(mixture, _view(mixture, x, alpha, sigma), x))


def responsibilities(mixture: Mixture, x, alpha, sigma):
    """P(component k given x), (K,)."""
    return jax.nn.softmax(_log_components(mixture, _view(mixture, x, alpha, sigma), x))


def log_responsibilities(mixture: Mixture, x, alpha, sigma):
    """log P(component k | x), shape (K,), finite where the probability itself is rounded to 0."""
    return jax.nn.log_softmax(_log_components(mixture, _view(mixture, x, alpha, sigma), x))


def score(mixture: Mixture, x, alpha, sigma):
    """grad log p(x) = -sum_k r_k C_k^-1 delta_k."""
    view = _view(mixture, x, alpha, sigma)
    r = jax.nn.softmax(_log_components(mixture, view, x))
    return -_mix(mixture, r, *_inverses(view), *view[:2])


def posterior_mean(mixture: Mixture, x, alpha, sigma):
    """E[x_0 given x] = sum_k r_k (mu_k + alpha S_k C_k^-1 delta_k)."""
    view = _view(mixture, x, alpha, sigma)
    r = jax.nn.softmax(_log_components(mixture, view, x))
    return _matmul(r, mixture.means) + _mix(mixture, r, *_gains(mixture, view, alpha), *view[:2])


def component_means(mixture: Mixture, x, alpha, sigma):
    """E[x_0 given x, component k] = mu_k + alpha S_k C_k^-1 delta_k, (K, d)."""
    view = _view(mixture, x, alpha, sigma)
    return mixture.means + _each(mixture, *_gains(mixture, view, alpha), *view[:2])


def standardized(mixture: Mixture, x, alpha, sigma):
    """C_k^(-1/2) delta_k in the eigenbasis of S_k, (K, m): standard normal, if component k is the law."""
    view = _view(mixture, x, alpha, sigma)
    return view.coordinates / jnp.sqrt(view.variances)


def posterior_covariance(mixture: Mixture, x, alpha, sigma):
    """Cov[x_0 given x] = sum_k r_k (sigma^2 S_k C_k^-1 + m_k m_k^T) - m m^T, (d, d)."""
    view = _view(mixture, x, alpha, sigma)
    r = jax.nn.softmax(_log_components(mixture, view, x))
    own = jnp.broadcast_to(sigma**2 * mixture.eigenvalues / view.variances, view.coordinates.shape)
    if mixture.basis is None:
        within = jnp.diag(_matmul(r, own))
    else:
        off = 0.0 if mixture.floor is None else sigma**2 * mixture.floor / view.off_variances
        within = _einsum("k,kdm,km,kem->de", r, mixture.basis, own - off, mixture.basis)
        within += jnp.sum(r[:, None] * off) * jnp.eye(x.shape[0], dtype=x.dtype)
    means = component_means(mixture, x, alpha, sigma)
    spread = means - _matmul(r, means)
    return within + _einsum("k,kd,ke->de", r, spread, spread)


def hessian_vector(mixture: Mixture, x, v, alpha, sigma):
    """(grad^2 log p) v = sum_k r_k (-C_k^-1 v + (g_k - g) (g_k . v)), g_k = -C_k^-1 delta_k, g = sum_k r_k g_k.

    No d x d array is made.
    """
    view = _view(mixture, x, alpha, sigma)
    inverse, off_inverse = _inverses(view)
    r = jax.nn.softmax(_log_components(mixture, view, x))
    along, across = _split(mixture, v[None])
    slopes = -jnp.sum(inverse * view.coordinates * along, 1)
    if off_inverse is not None:
        slopes -= off_inverse[:, 0] * jnp.sum(view.residual * across, 1)
    centered = r * (slopes - _matmul(r, slopes))  # so that equal slopes cancel exactly
    curved = _mix(mixture, centered, inverse, off_inverse, *view[:2])
    return -curved - _mix(mixture, r, inverse, off_inverse, along, across)


def laplacian(mixture: Mixture, x, alpha, sigma):
    """Trace of grad^2 log p = sum_k r_k (|g_k - g|^2 - tr C_k^-1), g_k = -C_k^-1 delta_k, g = sum_k r_k g_k."""
    view = _view(mixture, x, alpha, sigma)
    inverse, off_inverse = _inverses(view)
    r = jax.nn.softmax(_log_components(mixture, view, x))
    traces = jnp.sum(jnp.broadcast_to(inverse, view.coordinates.shape), 1)
    if off_inverse is not None:
        traces += (x.shape[0] - view.coordinates.shape[1]) * off_inverse[:, 0]
    g = _each(mixture, inverse, off_inverse, *view[:2])
    return _matmul(r, jnp.sum(jnp.square(g - _matmul(r, g)), 1) - traces)


class Path(NamedTuple):
    """One pair (x_0, z) as every component sees it: x = alpha x_0 + sigma z follows at each level in O(K m)."""

    start: Array  # U_k^T (x_0 - mu_k), (K, m)
    noise: Array  # U_k^T z, (K, m)
    outside: Array | None  # for low rank, of the parts outside the basis: square, product, square, (3, K); else None


def path(mixture: Mixture, x_0, z):
    """The path of a clean point and its noise, both (d,), through all levels."""
    start, rest = _split(mixture, x_0 - mixture.means)
    noise, other = _split(mixture, jnp.broadcast_to(z, mixture.means.shape))
    if rest is None or other is None:
        return Path(start, noise, None)
    pairs = ((rest, rest), (rest, other), (other, other))
    return Path(start, noise, jnp.stack([_einsum("kd,kd->k", *pair) for pair in pairs]))


def log_components_on(mixture: Mixture, path: Path, alpha, sigma):
    """log w_k + log N(alpha x_0 + sigma z; alpha mu_k, C_k), (K,)."""
    y, outside = alpha * path.start + sigma * path.noise, None
    if path.outside is not None:
        square, product, noise = path.outside
        outside = alpha * alpha * square + 2 * alpha * sigma * product + sigma * sigma * noise
    return _log_normals(mixture, y, outside, *_noised(mixture, alpha, sigma))
