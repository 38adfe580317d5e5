"""The mixture target: forms agree, samples follow the law, fits recover it, and bad ones are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2
from sklearn import mixture

import jaxsamp as js
from jaxsamp.targets import GaussianMixture

RNG = np.random.default_rng(0)
WEIGHTS, MEANS = np.array([0.2, 0.5, 0.3]), RNG.normal(size=(3, 4))
LEVEL = js.Level(0.8, 0.5)


def forms():
    variances = np.array([0.3, 0.5, 0.2])
    factors = RNG.normal(size=(3, 4, 2))
    low_rank = np.einsum("kdr,ker->kde", factors, factors) + 0.1 * np.eye(4)
    diagonal = RNG.uniform(0.1, 1.0, (3, 4))
    return {
        "spherical": (GaussianMixture.spherical(WEIGHTS, MEANS, variances), variances[:, None, None] * np.eye(4)),
        "diagonal": (GaussianMixture.diagonal(WEIGHTS, MEANS, diagonal), diagonal[:, :, None] * np.eye(4)),
        "low_rank": (GaussianMixture.low_rank(WEIGHTS, MEANS, factors, 0.1), low_rank),
    }


QUANTITIES = ("log_prob", "score", "responsibilities", "posterior_mean", "posterior_covariance", "laplacian")


@jax.jit
def everything_of(target, x):
    found = {name: getattr(target, name)(x, LEVEL) for name in QUANTITIES}
    return found | {"hessian_vector": target.hessian_vector(x, x, LEVEL)}


@pytest.mark.parametrize("form", ["spherical", "diagonal", "low_rank"])
def test_special_forms_equal_the_full_one(x64, form):
    special, covariances = forms()[form]
    x = jax.random.normal(jax.random.key(0), (6, 4))
    special, full = (everything_of(target, x) for target in (special, GaussianMixture(WEIGHTS, MEANS, covariances)))
    for name in QUANTITIES:
        np.testing.assert_allclose(special[name], full[name], atol=1e-9)
    np.testing.assert_allclose(special["hessian_vector"], full["hessian_vector"], atol=1e-8)


@pytest.mark.parametrize("form", ["full", "spherical", "diagonal", "low_rank"])
def test_samples_have_the_moments_of_the_law(form):
    n, everything = 20000, forms()
    target, covariances = everything.get(form, everything["low_rank"])
    if form == "full":
        target = GaussianMixture(WEIGHTS, MEANS, covariances)
    x = np.asarray(target.sample(jax.random.key(1), n), float)
    mean = WEIGHTS @ MEANS
    second = np.einsum("k,kde->de", WEIGHTS, covariances + MEANS[:, :, None] * MEANS[:, None])
    features = np.concatenate([x - mean, ((x[:, :, None] * x[:, None]) - second)[:, *np.triu_indices(4)]], 1)
    statistic = n * features.mean(0) @ np.linalg.solve(np.cov(features.T), features.mean(0))
    assert chi2.sf(statistic, features.shape[1]) > 1e-4  # false-alarm rate 1e-4


def test_a_level_for_each_point_equals_one_at_a_time(x64):
    target, _ = forms()["low_rank"]
    x, alpha, sigma = RNG.normal(size=(3, 4)), np.array([1.0, 0.5, 0.2]), np.array([0.1, 1.0, 2])
    mean = jax.jit(lambda target, x, alpha, sigma: target.posterior_mean(x, js.Level(alpha, sigma)))
    together = mean(target, x, alpha, sigma)
    alone = [mean(target, x[i : i + 1], alpha[i], sigma[i])[0] for i in range(3)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-10)


def test_clean_law_is_the_default_level(x64):
    target, _ = forms()["diagonal"]
    x = jax.random.normal(jax.random.key(0), (3, 4))
    slopes = jax.jit(lambda target, x: (target.score(x), jax.grad(lambda x: target.log_prob(x).sum())(x)))
    np.testing.assert_allclose(*slopes(target, x), rtol=1e-9)


def test_fit_recovers_a_mixture():
    target = GaussianMixture.spherical([0.3, 0.7], [[-3.0, 0.0], [3.0, 1.0]], [0.2, 0.5])
    data = np.asarray(target.sample(jax.random.key(2), 4000)).reshape(-1, 2, 1)
    for covariance in ("full", "diag", "spherical"):
        fitted = js.learning.fit_gaussian_mixture(data, 2, covariance=covariance)
        order = np.argsort(fitted.means[:, 0])
        np.testing.assert_allclose(np.asarray(fitted.weights)[order], [0.3, 0.7], atol=0.03)
        np.testing.assert_allclose(np.asarray(fitted.means)[order], [[-3, 0], [3, 1]], atol=0.06)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_the_law_of_a_mixture_of_scikit_learn_has_its_density(x64, kind):
    data = np.random.default_rng(3).standard_normal((200, 3)) * [1.0, 2.0, 0.5]
    fitted = mixture.GaussianMixture(2, covariance_type=kind, random_state=0).fit(data)
    law = GaussianMixture.from_sklearn(fitted)
    np.testing.assert_allclose(law.log_prob(jnp.asarray(data[:9])), fitted.score_samples(data[:9]), rtol=1e-9)
    with pytest.raises(TypeError, match=r"fitted sklearn\.mixture\.GaussianMixture; got a GaussianMixture"):
        GaussianMixture.from_sklearn(mixture.GaussianMixture(2))


def test_random_mixtures_are_normalized_and_reproducible():
    a, b = (GaussianMixture.random(jax.random.key(4), 3, 5) for _ in range(2))
    np.testing.assert_array_equal(a.means, b.means)
    np.testing.assert_allclose(a.weights.sum(), 1, rtol=1e-6)
    assert (a.mixture.eigenvalues > 0.249).all() and (a.mixture.eigenvalues < 2.001).all()


def test_targets_pass_through_jit_as_arguments():
    target, _ = forms()["low_rank"]
    x = jnp.ones((2, 4))
    np.testing.assert_allclose(jax.jit(lambda t, x: t.log_prob(x))(target, x), target.log_prob(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.5, 0.6], np.zeros((2, 2)), np.stack([np.eye(2)] * 2)), "weights must be positive and sum to one"),
        (([1.2, -0.2], np.zeros((2, 2)), np.stack([np.eye(2)] * 2)), "weights must be positive"),
        (([1.0], np.zeros(2), np.eye(2)[None]), r"means must have shape \(K, d\); got \(2,\)"),
        (([0.5, 0.5], np.zeros((1, 2)), np.eye(2)[None]), r"weights must have shape"),
        (([1.0], np.zeros((1, 2)), np.eye(3)[None]), "covariances must have shape"),
        (([1.0], np.array([[np.nan, 0.0]]), np.eye(2)[None]), r"means must be finite; got nan at index \(0, 0\)"),
        (([1.0], np.zeros((1, 2)), np.array([[[1.0, 2.0], [2.0, 1.0]]])), "positive semi-definite"),
        (([1.0], np.zeros((1, 2)), np.array([[[1.0, 0.5], [0.0, 1.0]]])), "symmetric"),
    ],
)
def test_bad_mixtures_are_one_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        GaussianMixture(*arguments)


def test_other_bad_input_is_one_sentence():
    target, _ = forms()["diagonal"]
    with pytest.raises(ValueError, match="variances must not be negative"):
        GaussianMixture.spherical([1.0], np.zeros((1, 2)), -1.0)
    for r in (0, 3):
        with pytest.raises(ValueError, match="factors must have shape"):
            GaussianMixture.low_rank([1.0], np.zeros((1, 2)), np.zeros((1, 2, r)), 0.1)
    with pytest.raises(ValueError, match="at least components"):
        js.learning.fit_gaussian_mixture(np.zeros((2, 2)), 3)
    with pytest.raises(ValueError, match="data must be finite"):
        js.learning.fit_gaussian_mixture(np.full((9, 2), np.inf), 3)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 4\)"):
        target.log_prob(jnp.zeros((3, 5)))
    with pytest.raises(TypeError, match="typed key"):
        target.sample(jax.random.PRNGKey(0), 3)


def test_a_small_component_is_checked_beside_a_large_one():
    small = 1e-6 * np.array([[1.0, 0.9], [0.0, 1.0]])
    with pytest.raises(ValueError, match="covariances must be symmetric"):
        GaussianMixture([0.5, 0.5], np.zeros((2, 2)), [small, np.eye(2)])
    with pytest.raises(ValueError, match="positive semi-definite; got a smallest eigenvalue of -9e-06 in component 1"):
        GaussianMixture([0.5, 0.5], np.zeros((2, 1)), [[[1.0]], [[-9e-6]]])
    with pytest.raises(ValueError, match=r"y must have shape \(m,\), one observation; got \(2, 1\)"):
        GaussianMixture([1.0], np.zeros((1, 2)), [np.eye(2)]).condition([[1.0], [2.0]], np.eye(2), 0.5)
