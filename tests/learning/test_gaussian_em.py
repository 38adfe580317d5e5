"""The Gaussian of partial observations: the likelihood never falls, and nothing missing means nothing new."""

import inspect

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import jaxsamp as js
from jaxsamp.corruptions import DenseOperator
from jaxsamp.denoisers import Observed
from jaxsamp.learning.gaussian_em import complete
from jaxsamp.learning.observations import observations
from jaxsamp.targets.components import dense

N, DIM = 600, 3
RNG = np.random.default_rng(0)
MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.8, 0.0], [0.8, 1.5, 0.3], [0.0, 0.3, 0.5]])
X = RNG.multivariate_normal(MEAN, COVARIANCE, N)
MASKS = RNG.random((N, DIM)) < 0.5
NOISE = np.linspace(0.1, 0.5, N)
Y = np.where(MASKS, X + NOISE[:, None] * RNG.normal(size=X.shape), np.nan)
OBSERVED = Observed(Y, MASKS, NOISE)


def moments(law):
    _, (mean,), (covariance,) = dense(law.mixture)
    return mean, covariance


def log_likelihood(law):
    """Of what was seen, by SciPy."""
    mean, covariance = moments(law)
    total = 0.0
    for y, mask, noise in zip(Y, MASKS, NOISE, strict=True):
        if mask.any():
            spread = covariance[np.ix_(mask, mask)] + noise**2 * np.eye(mask.sum())
            total += multivariate_normal.logpdf(y[mask], mean[mask], spread)
    return total


@pytest.mark.parametrize("rank", [None, 1])
def test_the_likelihood_of_what_was_seen_never_falls(rank):
    laws = [js.learning.fit_gaussian_em(OBSERVED, rank=rank, iterations=k, tolerance=0.0) for k in (1, 2, 3, 5, 9, 200)]
    found = [log_likelihood(law) for law in laws]
    assert (np.diff(found) > 0).all()
    if rank is None:  # the maximum is flat: no small change of the law raises the likelihood
        mean, covariance = moments(laws[-1])
        for change in (1e-2 * np.eye(DIM), -1e-2 * np.eye(DIM), 1e-2 * (np.ones((DIM, DIM)) - np.eye(DIM))):
            near = js.targets.GaussianMixture([1.0], [mean], [covariance + change])
            assert log_likelihood(near) < found[-1]
    else:
        values = np.linalg.eigvalsh(moments(laws[-1])[1])
        np.testing.assert_allclose(values[0], values[1], rtol=1e-4)


def test_without_anything_missing_it_is_the_mean_and_covariance_of_the_samples():
    mean, covariance = moments(js.learning.fit_gaussian_em(Observed(X, np.ones_like(MASKS), 0.0 * NOISE)))
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(X.T, bias=True), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_many_observations_by_matrices_give_the_law_of_the_samples():
    """The mean error of each of 9 numbers over 20 repetitions has |t| < 6: false alarms below 1 in 10,000."""
    n, repeats, rng = 2000, 20, np.random.default_rng(1)
    errors = []
    for _ in range(repeats):
        x = rng.multivariate_normal(MEAN, COVARIANCE, n)
        matrices = rng.normal(size=(n, 2, DIM))
        y = np.einsum("nmd,nd->nm", matrices, x) + 0.3 * rng.normal(size=(n, 2))
        law = js.learning.fit_gaussian_em(Observed(y, DenseOperator(matrices), np.full(n, 0.3)), tolerance=1e-6)
        mean, covariance = moments(law)
        errors.append(np.concatenate([mean - MEAN, (covariance - COVARIANCE)[np.triu_indices(DIM)]]))
    errors = np.array(errors)
    z = errors.mean(0) / (errors.std(0, ddof=1) / np.sqrt(repeats))
    assert np.abs(z).max() < 6.0 and errors.std(0).max() < 0.1


def test_draws_are_those_of_the_law_given_each_observation(key):
    """One observation, repeated; mean and covariance against `condition` within 5 standard errors."""
    n = 2000
    law = js.targets.GaussianMixture([1.0], [MEAN], [COVARIANCE])
    masks = np.tile([True, False, True], (n, 1))
    given = observations(Observed(np.tile([0.3, np.nan, 0.9], (n, 1)), masks, np.full(n, 0.2)))
    x = complete(key, law, given)
    exact = law.condition([0.3, 0.9], np.eye(3)[[0, 2]], 0.2)
    mean, covariance = moments(exact)
    np.testing.assert_array_less(np.abs(x.mean(0) - mean), 5 * np.sqrt(np.diag(covariance) / n))
    spread = 5 * np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / n)
    np.testing.assert_array_less(np.abs(np.cov(x.T) - covariance), spread)


def test_entries_that_are_constant_or_never_seen_do_no_harm(key):
    y = np.where(MASKS, X, 0.0)
    y[:, 0] = np.where(MASKS[:, 0], -1.0, 0.0)
    masks = MASKS & [True, True, False]
    law = js.learning.fit_gaussian_em(Observed(y, masks, 0.0 * NOISE))
    mean, covariance = moments(law)
    np.testing.assert_allclose([mean[0], covariance[0, 0]], [-1.0, 0.0], atol=1e-3)
    x = complete(key, law, observations(Observed(y, masks, 0.0 * NOISE)))
    np.testing.assert_allclose(x[:, 0], -1.0, atol=1e-2)
    np.testing.assert_allclose(x[masks], y[masks], atol=1e-2)


class NoAdjoint:
    def __call__(self, x):
        return x


def bad(**parts):
    return OBSERVED._replace(**parts)


BAD = {
    "clean": (X, {}, "measured must be .*Observed.*clean samples are learned by jaxsamp.fit; got an array"),
    "class": (Observed, {}, "measured must be"),
    "no noise": (bad(noise=None), {}, "measured.noise must be given for each sample; got None"),
    "negative noise": (bad(noise=-NOISE), {}, "noise must be at least 0"),
    "few masks": (bad(operator=MASKS[:-1]), {}, r"Observed.operator must have one entry per sample, shape \(600"),
    "masks of another shape": (bad(operator=MASKS[:, :2]), {}, "Observed.y must have the masks' shape"),
    "numbers as masks": (bad(operator=MASKS * 1.0), {}, "boolean mask"),
    "matrices of another shape": (bad(operator=DenseOperator(np.ones((N, 2, DIM))), y=X), {}, "y must be of a measure"),
    "no adjoint": (bad(operator=NoAdjoint()), {}, "measured.operator must have an adjoint"),
    "condition": (bad(cond=MEAN), {}, "measured.cond must be None"),
    "one observation": (Observed(Y[:1], MASKS[:1], NOISE[:1]), {}, "at least 2 observations"),
    "not finite": (bad(operator=np.ones_like(MASKS)), {}, "Observed.y must be finite"),
    "nothing varies": (Observed(np.ones((5, 2)), np.ones((5, 2), bool), np.zeros(5)), {}, "measured must vary"),
    "rank": (OBSERVED, {"rank": DIM}, "rank must be below the number of entries of a sample, 3; got 3"),
    "iterations": (OBSERVED, {"iterations": 0}, "iterations must be at least 1"),
    "tolerance": (OBSERVED, {"tolerance": -1.0}, "tolerance must be at least 0"),
    "large": (
        Observed(np.zeros((2, 5000)), np.ones((2, 5000), bool), np.zeros(2)), {}, "at most 4,096 entries.*got 5,000"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_observations_are_one_sentence(name):
    observed, options, sentence = BAD[name]
    with pytest.raises((TypeError, ValueError), match=sentence):
        inspect.unwrap(js.learning.fit_gaussian_em)(observed, **options)


@pytest.mark.parametrize("law", [js.corruptions.Mask(noise=0.3), js.corruptions.CompressedSensing(2, noise=0.3)])
def test_measurements_are_taken_as_they_are(law):
    """So is any object with the three parts."""
    measured = js.corruptions.corrupt(jax.random.key(0), X, law)

    class Parts:
        y, operator, noise = measured.y, measured.operator, 0.3

    found, same = (js.learning.fit_gaussian_em(given, iterations=3) for given in (measured, Parts()))
    assert all(map(np.array_equal, jax.tree.leaves(found), jax.tree.leaves(same)))
    mean, covariance = moments(js.learning.fit_gaussian_em(measured))
    assert np.abs(mean - MEAN).max() < 0.3 and np.abs(covariance - COVARIANCE).max() < 0.4
