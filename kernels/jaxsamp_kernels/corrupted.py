"""Gaussian mixtures seen through a projection: the posterior mean of x_0 given P (x_0 + s z), exactly.

With P an orthogonal projection and C_k = P (S_k + s^2 I) P + (I - P), the law of P (x_0 + s z) in component k is
N(P mu_k, P (S_k + s^2 I) P); the block I - P of C_k adds nothing to the quadratic form nor to the determinant, so that
shapes do not depend on what is seen.
"""

from functools import partial

import jax
import jax.numpy as jnp

_einsum = partial(jnp.einsum, precision="highest")


def posterior_mean(law, projection, z, s):
    """E[x_0 | P (x_0 + s n) = z] = sum_k w_k (mu_k + S_k P C_k^-1 P (z - mu_k)), w_k prop. to pi_k N(z; P mu_k, C_k).

    Arrays: `law` is log weights (K,), means (K, d) and covariances (K, d, d); projection (d, d); z (d,); s a number.
    """
    log_weights, means, covariances = law
    eye = jnp.eye(len(z), dtype=z.dtype)
    spread = _einsum("ij,kjl,lm->kim", projection, covariances + s * s * eye, projection) + eye - projection
    delta = _einsum("ij,kj->ki", projection, z - means)
    factor = jnp.linalg.cholesky(spread)
    white = jax.scipy.linalg.solve_triangular(factor, delta[..., None], lower=True)
    log = log_weights - 0.5 * jnp.sum(white**2, (1, 2)) - jnp.sum(jnp.log(jnp.diagonal(factor, 0, 1, 2)), 1)
    solved = jax.scipy.linalg.solve_triangular(factor, white, lower=True, trans="T")[..., 0]
    moved = means + _einsum("kij,jl,kl->ki", covariances, projection, solved)
    return _einsum("k,ki->i", jax.nn.softmax(log), moved)
