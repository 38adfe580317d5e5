"""Mixtures in single precision at small variances and clean levels, against float64; and laws without a density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

import jaxsamp as js
from jaxsamp.targets import GaussianMixture


def narrow_planes(floor, apart, dtype=np.float32):
    """Two planes in 32 dimensions, `apart` along one normal of both, with variance `floor` across."""
    rng = np.random.default_rng(5)
    factors = np.repeat(rng.normal(size=(1, 32, 2)), 2, 0).astype(dtype)
    means = np.zeros((2, 32), dtype)
    normal = np.linalg.svd(factors[0].T)[2][-1]
    means[1] = apart * normal
    return GaussianMixture.low_rank([0.4, 0.6], means, factors, floor), means.astype(float), factors.astype(float)


@jax.jit  # one program for all laws of one shape
def everything(law, x, v, level):
    numbers = law.log_prob(x, level), law.responsibilities(x, level), law.score(x, level)
    return *numbers, law.posterior_mean(x, level), law.hessian_vector(x, v, level), law.laplacian(x, level)


@jax.jit
def density_and_mean(law, x, level):
    return law.log_prob(x, level), law.posterior_mean(x, level)


@pytest.mark.parametrize(("floor", "sigma", "apart"), [(1e-6, 1e-3, 2e-3), (1e-2, 0.02, 0.1), (1e-6, 0.0, 2e-3)])
def test_low_rank_mixtures_do_not_cancel_in_single_precision(floor, sigma, apart):
    """Against dense algebra in float64, at points of the law: densities, modes, slopes and curvatures."""
    law, means, factors = narrow_planes(floor, apart)
    rng, level = np.random.default_rng(6), js.Level(np.float32(1), np.float32(sigma))
    covariances = factors @ factors.swapaxes(1, 2) + (floor + sigma**2) * np.eye(32)
    draws = [rng.multivariate_normal(mean, c, 50) for mean, c in zip(means, covariances, strict=True)]
    x, v = (jnp.asarray(a, jnp.float32) for a in (np.concatenate(draws), rng.normal(size=(100, 32))))
    logs = [multivariate_normal(m, c).logpdf(np.asarray(x, float)) for m, c in zip(means, covariances, strict=True)]
    joint = np.stack(logs, 1) + np.log([0.4, 0.6])
    r = softmax(joint, axis=1)
    inverses = np.linalg.inv(covariances)
    slopes = -np.einsum("kde,nke->nkd", inverses, np.asarray(x, float)[:, None] - means)
    score = np.einsum("nk,nkd->nd", r, slopes)
    spread = slopes - score[:, None]
    hessian = np.einsum("nk,nkd,nke->nde", r, spread, spread) - np.einsum("nk,kde->nde", r, inverses)
    mean = (x + sigma**2 * score) if sigma else x
    log_prob, responsibilities, *rest = everything(law, x, v, level)
    np.testing.assert_allclose(log_prob, logsumexp(joint, axis=1), atol=5e-3)
    np.testing.assert_allclose(responsibilities, r, atol=2e-3)
    traces, products = np.trace(hessian, axis1=1, axis2=2), np.einsum("nde,ne->nd", hessian, v)
    for found, exact in zip(rest, (score, mean, products, traces), strict=True):
        np.testing.assert_allclose(found, exact, atol=2e-3 * np.abs(exact).max())


@pytest.mark.parametrize("form", ["full", "diagonal", "low_rank"])
def test_narrow_laws_far_from_the_origin_are_exact_in_single_precision(form):
    """In float32 the distance to the mean is exact there, but not that of their projections."""
    rng, d = np.random.default_rng(7), 64
    mean, basis = 50 * rng.choice([-1.0, 1.0], d), np.linalg.qr(rng.normal(size=(d, d)))[0]
    variances = 1e-6 * rng.uniform(0.5, 2, d)
    law, covariance = {
        "full": lambda: (GaussianMixture([1.0], mean[None], (c := (basis * variances) @ basis.T)[None]), c),
        "diagonal": lambda: (GaussianMixture.diagonal([1.0], mean[None], variances[None]), np.diag(variances)),
        "low_rank": lambda: (
            GaussianMixture.low_rank([1.0], mean[None], (f := 1e-2 * basis[:, :2])[None], 1e-6),
            f @ f.T + 1e-6 * np.eye(d),
        ),
    }[form]()
    x = rng.multivariate_normal(mean, covariance, 20).astype(np.float32)
    exact = multivariate_normal(mean, covariance).logpdf(x.astype(float))
    np.testing.assert_allclose(jax.jit(law.log_prob)(x), exact, atol=2e-3)


def test_curvature_far_out_in_a_tail_does_not_cancel():
    """The gradient's square there is 10^6 times the Laplacian, which is -d / variance everywhere."""
    law = GaussianMixture.low_rank([1.0], np.zeros((1, 8)), np.zeros((1, 8, 1)), 1e-6)
    x = jnp.asarray(np.random.default_rng(8).normal(size=(5, 8)), jnp.float32)
    laplacian, product = jax.jit(lambda x: (law.laplacian(x), law.hessian_vector(x, x)))(x)
    np.testing.assert_allclose(laplacian, -8e6, rtol=1e-5)
    np.testing.assert_allclose(product, -1e6 * np.asarray(x), rtol=1e-5)


@pytest.mark.parametrize("form", ["full", "diagonal", "spherical", "low_rank"])
@pytest.mark.parametrize("std", [1e-7, 1e7])
def test_no_variance_is_too_small_for_a_law(form, std):
    """Every quantity scales with the law, whatever its unit."""
    rng = np.random.default_rng(9)
    means, x = rng.normal(size=(2, 3)), jnp.asarray(rng.normal(size=(6, 3)), jnp.float32)
    factors, variances = rng.normal(size=(2, 3, 1)), rng.uniform(0.5, 1, (2, 3))

    def law(s):
        return {
            "full": lambda: GaussianMixture([0.3, 0.7], s * means, s**2 * np.stack([np.diag(v) for v in variances])),
            "diagonal": lambda: GaussianMixture.diagonal([0.3, 0.7], s * means, s**2 * variances),
            "spherical": lambda: GaussianMixture.spherical([0.3, 0.7], s * means, s**2 * variances[:, 0]),
            "low_rank": lambda: GaussianMixture.low_rank([0.3, 0.7], s * means, s * factors, s**2 * 0.1),
        }[form]()

    s, scaled = np.float32(std), np.float32(std) * x
    for here, there in ((js.Level(1.0, 0.0), js.Level(1.0, 0.0)), (js.Level(0.8, 0.5), js.Level(0.8, 0.5 * s))):
        moved = 3 * np.log(float(s))
        (log_prob, mean), (of_scaled, large) = (
            density_and_mean(law(1), x, here),
            density_and_mean(law(std), scaled, there),
        )
        np.testing.assert_allclose(of_scaled, np.asarray(log_prob) - moved, atol=1e-4)
        np.testing.assert_allclose(np.asarray(large) / s, mean, rtol=1e-4, atol=1e-4)


def singular(form):
    line, means = np.ones((1, 3, 1)), np.zeros((1, 3))
    return {
        "full": lambda: GaussianMixture([1.0], means, line @ line.swapaxes(1, 2)),
        "diagonal": lambda: GaussianMixture.diagonal([1.0], means, [[1.0, 1.0, 0.0]]),
        "spherical": lambda: GaussianMixture.spherical([1.0], means, 0.0),
        "low_rank": lambda: GaussianMixture.low_rank([1.0], means, line, 0.0),
    }[form]()


@pytest.mark.parametrize("form", ["full", "diagonal", "spherical", "low_rank"])
def test_a_singular_law_has_no_density_without_noise(form):
    law, x = singular(form), jnp.asarray([[1.0, 1.0, 2.0]])
    sentence = "level must be given, with sigma > 0: a law with a singular covariance has no density"
    for call in (law.log_prob, law.score, law.laplacian, law.responsibilities, jax.jit(law.log_prob)):
        with pytest.raises(ValueError, match=sentence):
            call(x)
    with pytest.raises(ValueError, match=sentence):
        jax.jit(lambda law, x: law.log_prob(x))(law, x)
    with pytest.raises(ValueError, match="level.sigma must be positive for this target; got 0"):
        law.posterior_mean(x, js.Level(1.0, 0.0))
    covariance = np.cov(np.asarray(law.sample(jax.random.key(0), 4000)).T)  # of rank at most two
    assert abs(np.linalg.eigvalsh(covariance)[0]) < 1e-6
    noised = {"full": np.ones((3, 3)), "low_rank": np.ones((3, 3)), "diagonal": np.diag([1.0, 1, 0]), "spherical": 0}
    exact = multivariate_normal(np.zeros(3), noised[form] + 0.25 * np.eye(3)).logpdf(x)
    np.testing.assert_allclose(law.log_prob(x, js.Level(1.0, 0.5)), exact, rtol=1e-5)


def test_a_law_of_full_rank_factors_needs_no_noise():
    factors = np.random.default_rng(1).normal(size=(1, 3, 3))
    law, x = GaussianMixture.low_rank([1.0], np.zeros((1, 3)), factors, 0.0), jnp.ones((2, 3))
    exact = multivariate_normal(np.zeros(3), factors[0] @ factors[0].T).logpdf(np.ones(3))
    np.testing.assert_allclose(law.log_prob(x), exact, rtol=1e-5)
