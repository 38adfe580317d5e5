"""The estimator of mixtures on the DDPM objective: law, parameters, warnings, scikit-learn's conventions."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import jaxsamp as js
from jaxsamp.learning import DDPMGaussianMixture
from jaxsamp.learning.ddpm_mixture import edge

RNG = np.random.default_rng(0)
N, D = 1000, 3
TURN = np.array([[2.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.5]])
S = TURN @ TURN.T
MU = np.array([3.0, 0.0, -1.0])
PAIR = 5 + RNG.choice([-1, 1], N)[:, None] * MU + RNG.normal(size=(N, D)) @ TURN.T
CENTERS = 20 + np.array([[10.0, 0, 0], [0, 5.0, 0], [0, 0, 3.0]])
WEIGHTS = np.array([0.6, 0.25, 0.15])
THREE = CENTERS[RNG.choice(3, N, p=WEIGHTS)] + RNG.normal(size=(N, D)) @ TURN.T


def fitted(x, *args, **settings):
    """A fit without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return DDPMGaussianMixture(*args, random_state=settings.pop("random_state", 0), **settings).fit(x)


@pytest.fixture(scope="module")
def pair():
    return fitted(PAIR, covariance=S)


@pytest.fixture(scope="module")
def three():
    return fitted(THREE, 3, covariance=S, weights=WEIGHTS, means_init=CENTERS + 1.0)


def test_two_centers_lie_about_the_mean_of_the_data(pair):
    np.testing.assert_allclose(pair.center_, PAIR.mean(0))
    np.testing.assert_allclose(pair.means_.mean(0), pair.center_, atol=1e-12)
    half = (pair.means_[0] - pair.means_[1]) / 2
    np.testing.assert_allclose(half * np.sign(half[0]), MU, atol=0.2)
    np.testing.assert_array_equal(pair.weights_, 0.5)
    assert 2 < pair.n_iter_ < 800 and pair.diagnostics_["converged"] is True


def test_known_weights_and_covariance_are_used(three):
    np.testing.assert_allclose(three.means_, CENTERS, atol=0.4)
    np.testing.assert_allclose(three.weights_, WEIGHTS)
    np.testing.assert_allclose(three.diagnostics_["occupancy"], 1, atol=0.15)
    np.testing.assert_allclose(three.diagnostics_["variance"], 1, atol=0.1)


@pytest.mark.parametrize("kind", ["pair", "three"])
def test_the_face_is_that_of_its_law(kind, request):
    learner, x = request.getfixturevalue(kind), {"pair": PAIR, "three": THREE}[kind][:20]
    schedule = js.schedules.VariancePreserving()
    level = schedule.at(0.5)

    def of_law(law, denoiser, x):
        return law.log_prob(x), law.responsibilities(x), law.posterior_mean(x, level), denoiser(x, level)

    args = learner.law_, learner.denoiser(schedule), jnp.asarray(x, jnp.float32)
    log_prob, probabilities, mean, denoised = jax.jit(of_law)(*args)
    np.testing.assert_allclose(learner.score_samples(x), log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(learner.score(x), learner.score_samples(x).mean())
    np.testing.assert_allclose(learner.predict_proba(x), probabilities, atol=1e-4)
    np.testing.assert_array_equal(learner.predict(x), learner.predict_proba(x).argmax(1))
    np.testing.assert_allclose(denoised, mean, rtol=1e-5)


def test_samples_have_the_moments_of_the_law(three):
    """5 standard errors of 9 means and variances of 4,000 samples: false alarms once in 100,000 runs."""
    x = np.asarray(three.sample(jax.random.key(1), 4000))
    mean = three.weights_ @ three.means_
    covariance = S + (three.weights_[:, None] * (three.means_ - mean)).T @ (three.means_ - mean)
    std = np.sqrt(np.diagonal(covariance))
    assert (np.abs(x.mean(0) - mean) < 5 * std / np.sqrt(4000)).all()
    np.testing.assert_allclose(np.cov(x.T) / np.outer(std, std), covariance / np.outer(std, std), atol=0.1)
    drawn, components = three.sample(4000)  # as in scikit-learn
    again, _ = three.sample(4000)
    np.testing.assert_array_equal(drawn, again)
    np.testing.assert_allclose(np.bincount(components) / 4000, WEIGHTS, atol=0.04)
    np.testing.assert_allclose(drawn[components == 0].mean(0), three.means_[0], atol=5 * np.sqrt(4 / 2000))


def test_a_number_for_the_covariance_is_that_times_the_identity():
    x = RNG.choice([-1, 1], N)[:, None] * MU + 2 * RNG.normal(size=(N, D))
    one, two = fitted(x, covariance=4.0), fitted(x, covariance=4 * np.eye(D))
    np.testing.assert_allclose(one.means_, two.means_, atol=1e-5)
    np.testing.assert_allclose(one.score_samples(x[:5]), two.score_samples(x[:5]), rtol=1e-5)
    assert "spherical" in repr(one.law_)


def test_integers_and_typed_keys_give_the_same_fit_again(pair):
    np.testing.assert_array_equal(fitted(PAIR, covariance=S).means_, pair.means_)
    one, two, other = (fitted(PAIR, covariance=S, random_state=jax.random.key(seed)).means_ for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(np.sort(one, 0), np.sort(other, 0), atol=1e-3)


def test_another_gradient_finds_the_same_two(pair):
    found = fitted(PAIR, covariance=S, gradient="stein", max_iter=60)
    np.testing.assert_allclose(np.sort(found.means_, 0), np.sort(pair.means_, 0), atol=0.15)
    assert found.n_iter_ == 120 and found.diagnostics_["converged"] is None


def test_k_centers_are_found_without_a_start():
    found = fitted(6 * CENTERS[RNG.choice(3, N)] / 5 + RNG.normal(size=(N, D)), 3)
    order = found.means_.argmax(1).argsort()
    np.testing.assert_allclose(found.means_[order], 6 * CENTERS / 5, atol=0.3)


def test_one_gaussian_is_said_to_be_one():
    """The edge is exceeded by one data set in a hundred; of 200, by 8 or more once in 1,000 runs."""
    with pytest.warns(UserWarning, match=r"X shows no more than one Gaussian would: .* R\^4 > d / n = 0.04"):
        DDPMGaussianMixture(random_state=0).fit(RNG.normal(size=(500, 20)))
    above = [np.linalg.eigvalsh(np.cov(x.T, bias=True))[-1] > edge(100, 10) for x in RNG.normal(size=(200, 100, 10))]
    assert 0 <= sum(above) < 8


def test_two_starts_in_one_cluster_are_said():
    start = CENTERS[[0, 0, 1]] + [[0.5, 0, 0], [-0.5, 0, 0], [0, -1.0, 1.0]]
    with pytest.warns(UserWarning, match="means_init must have one start in each cluster") as caught:
        DDPMGaussianMixture(3, covariance=S, weights=WEIGHTS, means_init=start, random_state=0).fit(THREE)
    assert "1.8 of component 2" in str(caught[-1].message)


def test_a_covariance_of_another_scale_is_said():
    with pytest.warns(UserWarning, match="covariance must be that of one component; the variance of X within"):
        DDPMGaussianMixture(covariance=S / 4, random_state=0).fit(PAIR)


def test_steps_that_were_too_few_are_said():
    with pytest.warns(UserWarning, match="max_iter must be above 3 for the descent to converge"):
        DDPMGaussianMixture(covariance=S, max_iter=3, random_state=0).fit(PAIR)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_components": 0}, "n_components must be at least 1; got 0"),
        ({"n_components": 5}, "X must have at least n_components = 5 samples; got 4"),
        ({"gradient": "steain"}, "gradient must be one of .* Did you mean 'stein'"),
        ({"gradient": "exact", "symmetric": False}, "gradient must be 'stein' or 'fresh' except for two symmetric"),
        ({"symmetric": "yes"}, "symmetric must be one of 'auto', True, False; got 'yes'"),
        ({"symmetric": True, "n_components": 3}, "symmetric must be False or 'auto' unless n_components is 2"),
        ({"symmetric": True, "weights": [0.5, 0.5]}, "symmetric must be False or 'auto' unless n_components is 2"),
        ({"weights": [0.5, 0.6]}, "weights must be 2 positive numbers with sum 1; got .* sum 1.1"),
        ({"weights": [1.0]}, r"weights must be 2 positive numbers with sum 1; got shape \(1,\)"),
        ({"covariance": 0.0}, "covariance must be above 0; got 0"),
        ({"covariance": np.eye(3)}, r"covariance must have shape \(2, 2\)"),
        ({"covariance": np.ones((2, 2))}, "covariance must have eigenvalues above .* so that data can be whitened"),
        ({"means_init": np.zeros((2, 3))}, r"means_init must have shape \(n_components, n_features\) = \(2, 2\)"),
        ({"means_init": [[0.0, 1.0], [np.nan, 1.0]]}, "means_init must be finite"),
        ({"max_iter": 0}, "max_iter must be at least 1; got 0"),
        ({"tol": -1.0}, "tol must be at least 0; got -1"),
    ],
)
def test_bad_input_is_a_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        DDPMGaussianMixture(**settings).fit(np.arange(8.0).reshape(4, 2) ** 2)


def test_data_that_are_not_numbers_and_missing_fits_are_sentences():
    learner = DDPMGaussianMixture()
    with pytest.raises(ValueError, match="Input X contains NaN"):
        learner.fit(np.full((4, 2), np.nan))
    for call in (learner.score_samples, learner.predict, lambda x: learner.denoiser(js.schedules.EDM())):
        with pytest.raises(ValueError, match="not fitted yet"):
            call(np.zeros((2, 2)))


def test_a_fit_that_failed_is_none():
    learner = DDPMGaussianMixture(weights=[1.0])
    with pytest.raises(ValueError, match="weights must be"):
        learner.fit(PAIR)
    with pytest.raises(ValueError, match="not fitted yet"):
        learner.predict(PAIR)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@parametrize_with_checks([DDPMGaussianMixture(), DDPMGaussianMixture(3)])  # every check applies, and is passed
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
