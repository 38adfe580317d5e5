"""Gaussian mixtures at every noise level, exactly, from eigendecompositions computed once.

If x_0 has law sum_k w_k N(mu_k, S_k), then x = alpha x_0 + sigma z has law sum_k w_k N(alpha mu_k, C_k) with
C_k = alpha^2 S_k + sigma^2 I. With S_k = U_k diag(eigenvalues_k) U_k^T a change of level costs O(K d), and every
quantity is a spectral function of S_k applied to delta_k = x - alpha mu_k. Nothing is divided by alpha.

Each function takes one point x of shape (d,) and one level; `jax.vmap` turns the products into matrix products.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

_LEAST_VARIANCE = 1e-12
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
    """delta_k in the eigenbasis of S_k, with the eigenvalues of C_k; for low rank, also outside the basis."""

    coordinates: Array  # (K, m)
    variances: Array  # eigenvalues of C_k
    off_variances: Array | None  # (K, 1), the eigenvalue of C_k outside the basis


def _project(basis, vectors):
    """U_k^T v, for one vector v or one vector per component."""
    pattern = "kdm,d->km" if vectors.ndim == 1 else "kdm,kd->km"
    return _einsum(pattern, basis, vectors)


def _view(mixture, x, alpha, sigma):
    noise = sigma * sigma

    def noised(variances):
        return jnp.maximum(alpha * alpha * variances + noise, _LEAST_VARIANCE)

    if mixture.basis is None:
        return _View(x - alpha * mixture.means, noised(mixture.eigenvalues), None)
    if mixture.floor is None:
        center = alpha * _project(mixture.basis, mixture.means)
        return _View(_project(mixture.basis, x) - center, noised(mixture.eigenvalues), None)
    delta = x - alpha * mixture.means
    return _View(_project(mixture.basis, delta), noised(mixture.eigenvalues), noised(mixture.floor))


def _log_components(mixture, view, x, alpha):
    """log w_k + log N(x; alpha mu_k, C_k), (K,)."""
    y, c, b = view
    d = x.shape[0]
    square, log_det = jnp.sum(y * y / c, 1), jnp.sum(jnp.broadcast_to(jnp.log(c), y.shape), 1)
    if b is not None:
        off = jnp.sum(jnp.square(x - alpha * mixture.means), 1) - jnp.sum(y * y, 1)
        square += jnp.maximum(off, 0.0) / b[:, 0]
        log_det += (d - y.shape[1]) * jnp.log(b[:, 0])
    return mixture.log_weights - 0.5 * (square + log_det + d * jnp.log(2 * jnp.pi))


def _mix(mixture, weights, multipliers, off_multipliers, view, x, alpha):
    """sum_k weights_k f(S_k) delta_k, with f given by its values on the eigenvalues and outside the basis."""
    if mixture.basis is None:
        return jnp.sum(weights[:, None] * multipliers * view.coordinates, 0)
    if mixture.floor is None:
        inside = weights[:, None] * multipliers * view.coordinates
        return _einsum("kdm,km->d", mixture.basis, inside)
    inside = weights[:, None] * (multipliers - off_multipliers) * view.coordinates
    off = weights * off_multipliers[:, 0]
    lifted = _einsum("kdm,km->d", mixture.basis, inside)
    return lifted + off.sum() * x - alpha * _matmul(off, mixture.means)


def _inverses(view):
    return 1 / view.variances, None if view.off_variances is None else 1 / view.off_variances


def log_prob(mixture: Mixture, x, alpha, sigma):
    """log p(x) = logsumexp_k (log w_k + log N(x; alpha mu_k, C_k))."""
    return jax.nn.logsumexp(_log_components(mixture, _view(mixture, x, alpha, sigma), x, alpha))


def responsibilities(mixture: Mixture, x, alpha, sigma):
    """P(component k given x), (K,)."""
    return jax.nn.softmax(_log_components(mixture, _view(mixture, x, alpha, sigma), x, alpha))


def score(mixture: Mixture, x, alpha, sigma):
    """grad log p(x) = -sum_k r_k C_k^-1 delta_k."""
    view = _view(mixture, x, alpha, sigma)
    r = jax.nn.softmax(_log_components(mixture, view, x, alpha))
    return -_mix(mixture, r, *_inverses(view), view, x, alpha)


def posterior_mean(mixture: Mixture, x, alpha, sigma):
    """E[x_0 given x] = sum_k r_k (mu_k + alpha S_k C_k^-1 delta_k)."""
    view = _view(mixture, x, alpha, sigma)
    r = jax.nn.softmax(_log_components(mixture, view, x, alpha))
    gain = alpha * mixture.eigenvalues / view.variances
    off_gain = None if mixture.floor is None else alpha * mixture.floor / view.off_variances
    return _matmul(r, mixture.means) + _mix(mixture, r, gain, off_gain, view, x, alpha)


def posterior_covariance(mixture: Mixture, x, alpha, sigma):
    """Cov[x_0 given x] = sum_k r_k (sigma^2 S_k C_k^-1 + m_k m_k^T) - m m^T, (d, d)."""
    view = _view(mixture, x, alpha, sigma)
    r = jax.nn.softmax(_log_components(mixture, view, x, alpha))
    d = x.shape[0]
    own = jnp.broadcast_to(sigma**2 * mixture.eigenvalues / view.variances, view.coordinates.shape)
    gain = alpha * mixture.eigenvalues / view.variances
    if mixture.basis is None:
        within = jnp.diag(_matmul(r, own))
        means = mixture.means + gain * view.coordinates
    else:
        off = 0.0 if mixture.floor is None else sigma**2 * mixture.floor / view.off_variances
        off_gain = 0.0 if mixture.floor is None else alpha * mixture.floor / view.off_variances
        within = _einsum("k,kdm,km,kem->de", r, mixture.basis, own - off, mixture.basis)
        within += jnp.sum(r[:, None] * off) * jnp.eye(d, dtype=x.dtype)
        lifted = _einsum("kdm,km->kd", mixture.basis, (gain - off_gain) * view.coordinates)
        means = mixture.means + lifted + off_gain * (x - alpha * mixture.means)
    spread = means - _matmul(r, means)
    return within + _einsum("k,kd,ke->de", r, spread, spread)


def hessian_vector(mixture: Mixture, x, v, alpha, sigma):
    """(grad^2 log p) v = sum_k r_k (-C_k^-1 v + g_k (g_k . v)) - g (g . v), g_k = -C_k^-1 delta_k.

    No d x d array is made.
    """
    view = _view(mixture, x, alpha, sigma)
    inverse, off_inverse = _inverses(view)
    r = jax.nn.softmax(_log_components(mixture, view, x, alpha))
    along = v[None] if mixture.basis is None else _project(mixture.basis, v)
    slopes = -jnp.sum(inverse * view.coordinates * along, 1)
    if off_inverse is not None:
        delta_v = _matmul(x, v) - alpha * _matmul(mixture.means, v)
        slopes -= off_inverse[:, 0] * (delta_v - jnp.sum(view.coordinates * along, 1))
    total = _mix(mixture, r, inverse, off_inverse, view, x, alpha)  # minus the score
    curved = -_mix(mixture, r * slopes, inverse, off_inverse, view, x, alpha)
    shifted = view._replace(coordinates=jnp.broadcast_to(along, (r.shape[0], along.shape[-1])))
    flat = _mix(mixture._replace(means=jnp.zeros_like(mixture.means)), r, inverse, off_inverse, shifted, v, alpha)
    return curved - flat + total * _matmul(r, slopes)


def laplacian(mixture: Mixture, x, alpha, sigma):
    """Trace of grad^2 log p = sum_k r_k (|g_k|^2 - tr C_k^-1) - |g|^2."""
    view = _view(mixture, x, alpha, sigma)
    inverse, off_inverse = _inverses(view)
    r = jax.nn.softmax(_log_components(mixture, view, x, alpha))
    y = view.coordinates
    each = jnp.sum(jnp.square(inverse * y), 1) - jnp.sum(jnp.broadcast_to(inverse, y.shape), 1)
    if off_inverse is not None:
        off = jnp.sum(jnp.square(x - alpha * mixture.means), 1) - jnp.sum(y * y, 1)
        each += jnp.square(off_inverse[:, 0]) * off - (x.shape[0] - y.shape[1]) * off_inverse[:, 0]
    g = _mix(mixture, r, inverse, off_inverse, view, x, alpha)
    return _matmul(r, each) - _matmul(g, g)
