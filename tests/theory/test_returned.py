"""Samples that are noised and brought back, against the exact probability of staying."""

import inspect

import jax
import numpy as np
import pytest
from scipy.stats import norm

import jaxsamp as js
from jaxsamp.theory import windows
from jaxsamp.theory.windows import noise_and_denoise

KEY, N, TIMES = jax.random.key(0), 1024, np.log(4 / np.array([1.5, 0.7]))  # at which |m| is 1.5 and 0.7
LAW = js.targets.GaussianMixture([0.5, 0.5], [[4.0], [-4.0]], np.ones((2, 1, 1)))
DENOISER = LAW.denoiser(js.schedules.OrnsteinUhlenbeck())
START = 4 + jax.random.normal(jax.random.key(1), (N, 1))


def positive(x):
    return (np.asarray(x)[:, 0] < 0).astype(int)


def back(**options):
    given = {"start": START, "classify": positive, "group": 0, "times": TIMES, "classes": 2, "steps": 100} | options
    return inspect.unwrap(noise_and_denoise)(KEY, DENOISER, **given)


def test_samples_stay_as_often_as_the_posterior_says_and_as_the_flow_does():
    """Four binomial counts of 1,024 within 4 standard errors of 0.016: a false-alarm rate of 3e-4; the two laws differ
    by more than that at each time.
    """
    m = np.array([1.5, 0.7])
    by_sde, by_ode = back(), back(sampler=js.samplers.DDIM())
    np.testing.assert_allclose(by_sde.stay.mean, windows.stay_probability(m), atol=0.05)
    np.testing.assert_allclose(by_ode.stay.mean, norm.cdf(m), atol=0.05)
    assert (by_sde.stay.low < by_sde.stay.mean).all() and (by_sde.stay.mean < by_sde.stay.high).all()
    assert abs(windows.stay_probability(1.5) - norm.cdf(1.5)) < 0.05 < by_ode.stay.mean[1] - by_sde.stay.mean[1]
    np.testing.assert_allclose(by_sde.classes.sum(1), 1)


def test_a_classifier_that_errs_is_corrected_by_its_confusion():
    """Three in ten labels are wrong, so that the observed share is far from the true one."""
    wrong, calls = np.random.default_rng(0).random((2, N)) < 0.3, iter(range(2))
    erring = lambda x: np.where(wrong[next(calls)], 1 - positive(x), positive(x))  # noqa: E731
    got = back(classify=erring, confusion=[[0.7, 0.3], [0.3, 0.7]])
    plain = back().stay.mean
    np.testing.assert_allclose(got.stay.mean, plain, atol=0.13)  # 4 standard errors of 0.3 / 0.4 / sqrt(N) ...
    np.testing.assert_allclose(got.classes[:, 0], got.stay.mean, atol=1e-9)
    assert plain[0] - (0.3 + 0.4 * plain[0]) > 0.2 > abs(got.stay.mean[0] - plain[0])  # what it would be uncorrected


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"group": 2}, "group must be class numbers from 0 to 1; got 2"),
        ({"classify": lambda x: np.zeros((3,), int)}, r"classify must return \(1024,\) class numbers below 2"),
        ({"classify": lambda x: np.zeros(len(x))}, "got float64 of shape"),
        ({"confusion": np.eye(3)}, r"confusion must be \(2, 2\) probabilities"),
        ({"confusion": np.full((2, 2), 0.5)}, "confusion must be invertible"),
        ({"times": [1e-5]}, "times must have sigma / alpha above 0.02"),
        ({"confidence": 0.0}, "confidence must be between 0 and 1; got 0.0"),
        ({"classes": 1}, "classes must be at least 2; got 1"),
    ],
)
def test_what_does_not_fit_is_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        back(**given)
