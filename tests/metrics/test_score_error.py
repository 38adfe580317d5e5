"""`score_error`: the closed forms of linear denoisers of a Gaussian, at the levels of each schedule."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.metrics import score_error
from jaxsamp.targets import GaussianMixture
from tests.cases import SCHEDULES, small_mixture

KEY = jax.random.key(5)
MEAN, VARIANCE = np.array([0.5, -1.0, 2.0]), np.array([4.0, 0.25, 0.01])
OTHER = np.array([0.8, -1.0, 1.5]), np.array([2.0, 0.5, 0.02])
LEVELS = np.geomspace(80, 0.02, 8)


def law():
    """In the precision of the moment."""
    return GaussianMixture.diagonal([1.0], MEAN[None], VARIANCE[None])


def wrong(schedule, mean=OTHER[0], variance=OTHER[1]):
    """The exact denoiser of another Gaussian, as a network that predicts x_0."""

    def apply(params, x, t, cond):
        level = schedule.at(t)
        alpha, sigma = level.alpha[:, None], level.sigma[:, None]
        noise, variance = (sigma / alpha) ** 2, params[1]
        return (variance * x / alpha + noise * params[0]) / (variance + noise)

    return js.denoiser(apply, (jnp.asarray(mean), jnp.asarray(variance)), schedule, "x0")


def test_error_of_a_linear_denoiser_of_a_gaussian_is_the_closed_form(x64):
    """Within four standard errors at each of eight levels: a false alarm once in 2,000; the errors are below 3 %."""
    found = score_error(KEY, wrong(SCHEDULES["ve"]), law(), samples=20_000)
    noise, (mean, variance) = LEVELS[:, None] ** 2, OTHER
    gain, other = VARIANCE / (VARIANCE + noise), variance / (variance + noise)
    mse = ((1 - other) ** 2 * (mean - MEAN) ** 2 + (other - gain) ** 2 * (VARIANCE + noise)).sum(1)
    bayes, size = (gain * noise).sum(1), ((1 - gain) ** 2 * (VARIANCE + noise)).sum(1)
    np.testing.assert_allclose(found.lam, -np.log(LEVELS), rtol=1e-12)
    np.testing.assert_allclose(found.bayes, bayes, rtol=0.05)
    assert (np.abs(found.relative - mse / bayes) < 4 * found.stderr).all()
    assert (found.stderr < 0.03 * found.relative).all()
    np.testing.assert_allclose(found.relative, found.mse / found.bayes, rtol=1e-12)
    np.testing.assert_allclose(found.score, mse / size, rtol=0.1)


def test_the_standard_error_is_the_scatter_over_keys(x64):
    """Of 40 repeats: their ratio is within a factor of 1.5 but once in 10^4."""
    denoiser, target = wrong(SCHEDULES["ve"]), law()
    runs = [score_error(jax.random.key(i), denoiser, target, [1.0, 0.1], samples=200) for i in range(40)]
    ratio = np.std([run.relative for run in runs], axis=0, ddof=1) / np.mean([run.stderr for run in runs], axis=0)
    assert (ratio > 1 / 1.5).all() and (ratio < 1.5).all()


@pytest.mark.parametrize("name", ["vp", "flow", pytest.param("cosine", marks=pytest.mark.slow)])
def test_the_schedule_does_not_matter(name, x64):
    here, there = (score_error(KEY, wrong(SCHEDULES[s]), law(), [20.0, 1.0, 0.1], samples=50) for s in ("ve", name))
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_discrete_times_are_compared_at_trained_levels(x64):
    schedule = js.schedules.DiscreteTime(jnp.cumprod(1 - jnp.linspace(1e-4, 0.02, 1000)))
    found = score_error(KEY, wrong(schedule), law(), samples=20)
    assert np.isin(np.asarray(found.lam), np.asarray(schedule.table())).all() and len(found.lam) == 8
    exact = score_error(KEY, wrong(schedule, MEAN, VARIANCE), law(), samples=20)
    assert (exact.relative < 1e-20).all()


def test_a_constant_error_is_itself_in_batches_of_any_size():
    target, schedule = small_mixture(), SCHEDULES["vp"]
    apply = lambda law, x, t, cond: law.posterior_mean(x, schedule.at(t)) + jnp.array([3.0, 4.0])  # noqa: E731
    shifted = js.denoiser(apply, target, schedule, "x0")
    found = score_error(KEY, shifted, target, [10.0, 0.5], samples=33)
    np.testing.assert_allclose(found.mse, 25, rtol=1e-4)
    parts = score_error(KEY, shifted, target, [10.0, 0.5], samples=33, microbatch=4)
    np.testing.assert_allclose(parts.relative, found.relative, rtol=1e-5)
    assert (score_error(KEY, target.denoiser(schedule), target, [10.0, 0.5], samples=33).mse == 0).all()


def test_devices_do_not_change_the_numbers(x64):
    """50 samples, which divide neither over the four devices nor into pieces of five on each."""
    target, denoiser = law(), wrong(SCHEDULES["ve"])
    one, four = (
        score_error(KEY, denoiser, target, [20.0, 1.0, 0.1], samples=50, **options)
        for options in ({}, {"mesh": js.mesh(4), "microbatch": 5})
    )
    for name in one._fields:
        np.testing.assert_allclose(getattr(four, name), getattr(one, name), rtol=1e-12)


LAW = law()
ANY = LAW.denoiser(SCHEDULES["ve"])
BAD = [
    ({"key": 0}, TypeError, "key must be a typed key"),
    ({"denoiser": LAW}, TypeError, "denoiser must be a denoiser, .* got a GaussianMixture"),
    ({"target": ANY}, TypeError, "target must have event_shape, sample and log_prob, .*; got a TargetDenoiser"),
    ({"levels": [1.0, 0.0]}, ValueError, "levels must be a 1-D array of sigma / alpha above 0"),
    ({"levels": [[1.0]]}, ValueError, "levels must be a 1-D array"),
    ({"levels": [np.nan]}, ValueError, "levels must be finite"),
    ({"samples": 1}, ValueError, "samples must be at least 2; got 1"),
    ({"mesh": 4}, TypeError, "mesh must be a mesh of devices, jaxsamp.mesh()"),
    ({"microbatch": 0}, ValueError, "microbatch must be at least 1"),
    (
        {"denoiser": js.denoiser(lambda p, x, t, c: x / (t[:, None] > 1), None, SCHEDULES["ve"], "x0")},
        ValueError,
        "denoiser must return finite values; it did not at sigma / alpha = 0.699",
    ),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
def test_bad_input_is_one_sentence(change, error, words):
    call = {"key": KEY, "denoiser": ANY, "target": LAW, "samples": 8} | change
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(score_error)(**call)
    assert "\n" not in str(caught.value)
