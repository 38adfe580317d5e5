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


def test_discrete_times_are_whole_numbers():
    schedule = js.schedules.DiscreteTime(np.cumprod(1 - np.linspace(1e-4, 0.1, 60)))
    found = inspect.unwrap(noise_and_denoise)(
        KEY, LAW.denoiser(schedule), START[:64], positive, 0, [10, 50], classes=2, steps=10
    )
    assert found.times.tolist() == [10, 50] and found.stay.mean[0] == 1 > found.stay.mean[1]
    moved = windows.transitions(KEY, LAW, [10, 50], schedule=schedule)
    assert moved.times.tolist() == [10, 50]
    with pytest.raises(TypeError, match="t must be integers for DiscreteTime"):
        windows.transitions(KEY, LAW, [10.0, 50.0], schedule=schedule)


def test_a_classifier_that_errs_is_corrected_by_its_confusion():
    """Three in ten labels are wrong, so that the observed share is far from the true one."""
    wrong, calls = np.random.default_rng(0).random((2, N)) < 0.3, iter(range(2))
    erring = lambda x: np.where(wrong[next(calls)], 1 - positive(x), positive(x))  # noqa: E731
    got = back(classify=erring, confusion=[[0.7, 0.3], [0.3, 0.7]])
    plain = back().stay.mean
    np.testing.assert_allclose(got.stay.mean, plain, atol=0.13)  # 4 standard errors of 0.3 / 0.4 / sqrt(N) ...
    np.testing.assert_allclose(got.classes[:, 0], got.stay.mean, atol=1e-9)
    assert plain[0] - (0.3 + 0.4 * plain[0]) > 0.2 > abs(got.stay.mean[0] - plain[0])  # what it would be uncorrected


def test_what_is_open_is_the_variance_given_the_noisy_sample():
    """Per coordinate, of N(0, diag(4, 1/4)), against alpha^2 S + sigma^2: half the mean squared difference of the start
    and what came back. Its relative standard error is sqrt(2 / N) = 0.044 a time; 4 of them, of 4 numbers: 3e-4.
    """
    law = js.targets.GaussianMixture([1.0], [[0.0, 0.0]], [np.diag([4.0, 0.25])])
    start, ratio = law.sample(KEY, N), np.array([0.5, 2.0])
    schedule = js.schedules.VarianceExploding()
    options = {"group": 0, "times": ratio, "classes": 2, "steps": 64, "keep": 3}
    got = noise_and_denoise(KEY, law.denoiser(schedule), start, positive, **options)
    exact = 1 / (1 / np.array([4.0, 0.25]) + 1 / ratio[:, None] ** 2)
    np.testing.assert_allclose(got.open, exact, rtol=4 * 0.044)
    assert got.samples.shape == (2, 3, 2) and np.abs(got.samples[0] - start[:3]).max() < 3


def test_the_window_of_a_stay_curve_is_where_it_leaves_its_ends():
    """From 1 to a floor of 0.2 in a straight line; the band is 0.04 wide on both sides. Times may come in any order."""
    times = np.linspace(0.0, 1.0, 21)[::-1]
    mean = 1 - 0.8 * times
    curve = windows.Curve(mean, mean - 0.04, mean + 0.04)
    got = windows.Returned(times, curve, *(np.zeros(21),) * 4)
    after, before = got.window(0.2)
    np.testing.assert_allclose(after, (0.1, 0.05, 0.15), atol=1e-6)
    np.testing.assert_allclose(before, (0.9, 0.85, 0.95), atol=1e-6)
    assert np.isnan(got.window(0.0)[1].point)
    for floor, ends, sentence in ((1.0, (0.9, 0.1), "floor must be"), (0.1, (0.1, 0.9), "ends must be decreasing")):
        with pytest.raises(ValueError, match=sentence):
            got.window(floor, ends)


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
        ({"keep": -1}, "keep must be at least 0; got -1"),
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"times": []}, "times must be at least one time"),
    ],
)
def test_what_does_not_fit_is_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        back(**given)
