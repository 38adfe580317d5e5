"""The law of a data set as a target: any event shape, any level, checked at the door."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.core.types import CLEAN, Level
from jaxsamp.schedules import VariancePreserving
from jaxsamp.targets.base import TargetDenoiser, per_event
from jaxsamp.targets.empirical import Empirical
from jaxsamp.targets.gaussian_mixture import GaussianMixture

LEVEL, SCHEDULE = Level(0.8, 0.6), VariancePreserving()


def images(n=30, shape=(3, 2, 2), seed=0):
    return np.float32(np.random.default_rng(seed).normal(size=(n, *shape)))


def test_events_keep_their_shape(key):
    data = images()
    target, flat = (Empirical(y, chunk=8, refine=0) for y in (data, data.reshape(30, -1)))
    x = target.sample(key, 5) + 0.5
    assert target.event_shape == (3, 2, 2) and x.shape == (5, 3, 2, 2)
    for name in ("posterior_mean", "score", "log_prob", "effective_sample_size"):
        got, expected = getattr(target, name)(x, LEVEL), getattr(flat, name)(x.reshape(5, -1), LEVEL)
        np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
        assert got.shape[1:] in ((), (3, 2, 2))


def test_equals_the_mixture_with_tiny_components(x64):
    data = images(shape=(3,)).astype(float)
    target, narrow = Empirical(data, refine=0), GaussianMixture.spherical(np.full(30, 1 / 30), data, 1e-12)
    x = jnp.asarray(images(n=6, shape=(3,), seed=1), float)
    level = Level(jnp.linspace(0.5, 1, 6), jnp.linspace(0.1, 2, 6))

    @jax.jit
    def mean_and_score(target, x):
        return target.posterior_mean(x, level), jax.grad(lambda x: target.log_prob(x, level).sum())(x)

    for got_and_expected in zip(mean_and_score(target, x), mean_and_score(narrow, x), strict=True):
        np.testing.assert_allclose(*got_and_expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(target.score(x, level), mean_and_score(target, x)[1], rtol=1e-9, atol=1e-9)


def test_near_duplicates_are_told_apart_at_small_noise():
    rng = np.random.default_rng(0)
    base = 30 * rng.normal(size=(1, 16)) + np.array([[1.0], [-1.0]]) * 100
    data = np.float32((base[:, None] + 0.01 * rng.normal(size=(2, 20, 16))).reshape(-1, 16))
    x = jnp.asarray(data[:5] + 1e-3 * rng.normal(size=(5, 16)), jnp.float32)
    one = jax.jit(jax.vmap(lambda target, x: target.posterior_mean(x[None], Level(1.0, 2e-3))[0], (None, 0)))
    assert np.abs(one(Empirical(data, refine=0), x) - data[:5]).max() > 1e-3
    np.testing.assert_allclose(one(Empirical(data, refine=32), x), data[:5], atol=1e-5)


def test_samples_are_data_points_each_equally_likely(key):
    drawn = Empirical(np.arange(4).reshape(4, 1)).sample(key, 4000)
    assert drawn.dtype == jnp.float32
    counts = np.bincount(np.asarray(drawn[:, 0], int), minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 21.1  # chi-square, 3 degrees: exceeded once in 10^4


def test_a_pytree_whose_data_can_change_without_compiling_again():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def mean(denoiser, x):
        return denoiser(x, LEVEL)

    x = jnp.zeros((2, 3, 2, 2))
    first, second = (mean(Empirical(images(seed=seed), refine=0).denoiser(SCHEDULE), x) for seed in (0, 1))
    assert not np.allclose(first, second)
    bad = jax.tree.map(lambda leaf: leaf * jnp.nan, Empirical(images()))  # a gradient may look like this
    assert bad.chunk == 1024 and jnp.isnan(bad.data).all()


def test_denoiser_is_the_posterior_mean_and_knows_its_law(key):
    target = Empirical(images(), chunk=8, refine=0)
    denoiser = target.denoiser(SCHEDULE)
    assert isinstance(denoiser, TargetDenoiser) and denoiser.event_shape == target.event_shape
    assert denoiser.schedule is SCHEDULE
    x = target.sample(key, 5)
    np.testing.assert_array_equal(denoiser(x, LEVEL), target.posterior_mean(x, LEVEL))


def test_wrong_data_levels_and_shapes_are_told_in_a_sentence():
    with pytest.raises(ValueError, match=r"data must have shape \(n, \*event\)"):
        Empirical(np.zeros(3))
    with pytest.raises(ValueError, match=r"data must be finite; got nan at index \(1, 0\)"):
        Empirical(np.array([[0.0], [np.nan]]))
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        Empirical(np.zeros((2, 1)), chunk=0)
    target = Empirical(images())
    with pytest.raises(ValueError, match="level must be given, with sigma > 0"):
        target.log_prob(jnp.zeros((2, 3, 2, 2)))
    with pytest.raises(ValueError, match="level.sigma must be positive"):
        target.score(jnp.zeros((2, 3, 2, 2)), CLEAN)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 3, 2, 2\) for this target; got \(2, 12\)"):
        target.posterior_mean(jnp.zeros((2, 12)), LEVEL)
    with pytest.raises(ValueError, match=r"level.alpha must be a scalar or of shape \(2,\); got \(3,\)"):
        target.posterior_mean(jnp.zeros((2, 3, 2, 2)), Level(jnp.ones(3), 1.0))


def test_coefficients_line_up_with_samples():
    x = jnp.zeros((4, 3, 2))
    assert per_event(jnp.ones(4), x).shape == (4, 1, 1) and per_event(2.0, x).shape == ()
