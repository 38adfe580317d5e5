"""The components of a Gaussian mixture as arrays: made on the host, drawn from, and as full covariances."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array
from jaxsamp_kernels import mixture as kernel


@partial(jax.jit, static_argnums=3)
def drawn(mixture: kernel.Mixture, k_component: Array, k_noise: Array, n: int) -> Array:
    """`n` clean samples, (n, d); one component at a time, so memory stays O(n d)."""
    d = mixture.means.shape[1]
    component = jax.random.categorical(k_component, mixture.log_weights, shape=(n,))
    noise = jax.random.normal(k_noise, (n, d), mixture.means.dtype)
    bases = mixture.basis
    if bases is None:
        return mixture.means[component] + jnp.sqrt(mixture.eigenvalues)[component] * noise
    floor = jnp.zeros_like(mixture.eigenvalues[:, :1]) if mixture.floor is None else mixture.floor

    def add(x: Array, k: Array) -> tuple[Array, None]:
        # S^(1/2) z for S = floor I + V diag(eigenvalues - floor) V^T.
        root, low = jnp.sqrt(mixture.eigenvalues[k]), jnp.sqrt(floor[k])
        basis = bases[k]
        inside = jnp.matmul(noise, basis, precision="highest") * (root - low)
        own = low * noise + jnp.matmul(inside, basis.T, precision="highest")
        return jnp.where((component == k)[:, None], mixture.means[k] + own, x), None

    return jax.lax.scan(add, jnp.zeros_like(noise), jnp.arange(mixture.means.shape[0]))[0]


def mean_square(mixture: kernel.Mixture) -> Array:
    """E[x_0^2] of each coordinate, (d,)."""
    values, floor = mixture.eigenvalues, 0.0 if mixture.floor is None else mixture.floor
    if mixture.basis is not None:
        values = floor + jnp.einsum("kdm,km->kd", mixture.basis**2, values - floor, precision="highest")
    return jnp.sum(jnp.exp(mixture.log_weights)[:, None] * (mixture.means**2 + values), 0)


def dense(mixture: kernel.Mixture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log weights, means and full covariances, in float64."""
    log_weights, means, values = (np.asarray(leaf, float) for leaf in mixture[:3])
    eye = np.eye(means.shape[1])
    if mixture.basis is None:
        return log_weights, means, np.broadcast_to(values, means.shape)[:, None] * eye
    basis = np.asarray(mixture.basis, float)
    floor = np.zeros((len(means), 1)) if mixture.floor is None else np.asarray(mixture.floor, float)
    return log_weights, means, (basis * (values - floor)[:, None]) @ basis.swapaxes(1, 2) + floor[..., None] * eye


def on_device(log_weights: np.ndarray, means: np.ndarray, *parts: np.ndarray) -> tuple[kernel.Mixture, bool]:
    """The mixture of eigenvalues, basis and floor in the default precision, and whether a variance is zero there."""
    dtype = jnp.result_type(float)
    least = min(part.min() for part in (parts[0], *parts[2:]))
    arrays = (jnp.asarray(a, dtype) for a in (log_weights, means, *parts))
    return kernel.Mixture(*arrays), bool(least < jnp.finfo(dtype).tiny)


def resolved(values: np.ndarray) -> np.ndarray:
    """Eigenvalues or singular values, (K, m), with zeros for what is rounding beside the largest of a component."""
    return np.where(values > values.shape[1] * np.finfo(float).eps * values.max(1, keepdims=True), values, 0.0)
