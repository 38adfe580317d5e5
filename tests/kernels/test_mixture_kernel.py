"""Mixture formulas against automatic differentiation, dense algebra and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from jaxsamp_kernels import mixture as kernel

K, D, R = 3, 5, 2


def make(form, dtype=float):
    rng = np.random.default_rng(0)
    log_weights, means = np.log(rng.dirichlet(np.ones(K))), rng.normal(size=(K, D))
    factor = rng.normal(size=(K, D, D))
    values, basis = np.linalg.eigh(factor @ factor.transpose(0, 2, 1) / D)
    floor = np.array([[0.1], [0.2], [0.05]])
    parts = {
        "full": (values, basis),
        "diagonal": (np.abs(values) + 0.1,),
        "spherical": (floor,),
        "low_rank": (np.abs(rng.normal(size=(K, R))) + 0.3, basis[:, :, :R], floor),
    }[form]
    return kernel.Mixture(*(jnp.asarray(a, dtype) for a in (log_weights, means, *parts)))


def covariances(mixture):
    values, eye = mixture.eigenvalues, jnp.eye(D)
    if mixture.basis is None:
        return jnp.broadcast_to(values, (K, D))[:, :, None] * eye
    floor = jnp.zeros((K, 1)) if mixture.floor is None else mixture.floor
    return jnp.einsum("kdm,km,kem->kde", mixture.basis, values - floor, mixture.basis) + floor[:, :, None] * eye


@jax.jit
def dense(mixture, x, alpha, sigma):
    """Log density of the noised law, its gradient and its Hessian."""
    noised = alpha**2 * covariances(mixture) + sigma**2 * jnp.eye(D)

    def log_prob(x):
        pdf = jax.scipy.stats.multivariate_normal.logpdf
        each = jnp.stack([pdf(x, alpha * mixture.means[k], noised[k]) for k in range(K)])
        return jax.nn.logsumexp(each + mixture.log_weights)

    return log_prob(x), jax.grad(log_prob)(x), jax.hessian(log_prob)(x)


@jax.jit
def of_the_kernel(mixture, x, v, alpha, sigma):
    at = (x, alpha, sigma)
    return {
        "log_prob": kernel.log_prob(mixture, *at),
        "score": kernel.score(mixture, *at),
        "hessian_vector": kernel.hessian_vector(mixture, x, v, alpha, sigma),
        "laplacian": kernel.laplacian(mixture, *at),
        "mean": kernel.posterior_mean(mixture, *at),
        "covariance": kernel.posterior_covariance(mixture, *at),
        "slope of the mean": jax.jacfwd(lambda x: kernel.posterior_mean(mixture, x, alpha, sigma))(x),
    }


@pytest.mark.parametrize("form", ["full", "diagonal", "spherical", "low_rank"])
@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.0), (0.7, 0.4), (1.0, 20.0)])
def test_every_quantity_matches_dense_autodiff(x64, form, alpha, sigma):
    mixture, (x, v) = make(form), np.random.default_rng(1).normal(size=(2, D))
    log_prob, gradient, hessian = map(np.asarray, dense(mixture, x, alpha, sigma))
    found = of_the_kernel(mixture, x, v, alpha, sigma)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-11)  # noqa: E731
    close(found["log_prob"], log_prob)
    close(found["score"], gradient)
    close(found["hessian_vector"], hessian @ v)
    close(found["laplacian"], np.trace(hessian))
    if sigma == 0:
        close(found["mean"], x / alpha)
        close(found["covariance"], np.zeros((D, D)))
    else:
        close(found["mean"], (x + sigma**2 * gradient) / alpha)
        close(found["covariance"], sigma**2 / alpha**2 * (np.eye(D) + sigma**2 * hessian))
        close(found["slope of the mean"], alpha / sigma**2 * found["covariance"])


def test_responsibilities_are_bayes(x64):
    mixture, x = make("full"), jnp.ones(D)
    only = lambda k: jax.tree.map(lambda leaf: leaf[k : k + 1], mixture)  # noqa: E731
    joint = jnp.stack([kernel.log_prob(only(k), x, 0.8, 0.5) for k in range(K)])
    np.testing.assert_allclose(kernel.responsibilities(mixture, x, 0.8, 0.5), jax.nn.softmax(joint), rtol=1e-10)
    logs = kernel.log_responsibilities(mixture, x, 0.8, 0.5)
    np.testing.assert_allclose(logs, joint - jax.nn.logsumexp(joint), rtol=1e-10, atol=1e-10)


def test_posterior_mean_by_quadrature_in_one_dimension(x64):
    weights, means, sds = [0.3, 0.7], [-1.0, 2.0], [0.5, 0.2]
    mixture = kernel.Mixture(jnp.log(jnp.array(weights)), jnp.array(means)[:, None], jnp.array(sds)[:, None] ** 2)
    alpha, sigma, x = 0.8, 0.6, 0.9
    prior = lambda v: sum(w * norm.pdf(v, m, s) for w, m, s in zip(weights, means, sds, strict=True))  # noqa: E731
    joint = lambda v: prior(v) * norm.pdf(x, alpha * v, sigma)  # noqa: E731
    evidence = quad(joint, -6, 6, points=means)[0]
    expected = quad(lambda v: v * joint(v), -6, 6, points=means)[0] / evidence
    np.testing.assert_allclose(kernel.posterior_mean(mixture, jnp.array([x]), alpha, sigma)[0], expected, rtol=1e-8)
    np.testing.assert_allclose(kernel.log_prob(mixture, jnp.array([x]), alpha, sigma), np.log(evidence), rtol=1e-8)


@jax.jit
def three(mixture, x, sigma):
    return [f(mixture, x, 1.0, sigma) for f in (kernel.log_prob, kernel.score, kernel.posterior_mean)]


@pytest.mark.parametrize("form", ["full", "diagonal", "spherical", "low_rank"])
@pytest.mark.parametrize(("distance", "sigma"), [(50.0, 0.05), (1.0, 1e-4), (50.0, 80.0)])
def test_float32_is_finite_and_close_everywhere(form, distance, sigma):
    direction = np.random.default_rng(2).normal(size=D)
    x = (distance * direction / np.linalg.norm(direction)).astype(np.float32)
    single = three(make(form, jnp.float32), x, sigma)
    with jax.enable_x64(True):
        double = three(make(form), x.astype(float), float(np.float32(sigma)))
    for a, b in zip(single, double, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-4 * float(np.abs(b).max()))
