"""The piecewise-polynomial learner: what it learns, between levels, under every schedule, and its sentences."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.core.types import Level

Score = js.learning.PiecewisePolynomialScore
LAW = js.targets.GaussianMixture.random(jax.random.key(0), 3, 2, separation=4.0)
X = np.asarray(LAW.sample(jax.random.key(1), 2304), float)
SCHEDULE = js.schedules.VarianceExploding()


@pytest.fixture(scope="module")
def crude():
    """On cells that are too wide, so that there is something to correct."""
    return Score(3, iterations=0, floor=0.1, random_state=0).fit(X)


@pytest.fixture(scope="module")
def sharp(crude):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # three cells are enough
        return Score(3, random_state=0).fit(X)


@jax.jit
def answer(denoiser, x, alpha, sigma):
    return denoiser(x, Level(alpha, sigma))


def denoised(denoiser, x, alpha, sigma):
    return np.asarray(answer(denoiser, x, *(np.asarray(v, np.float32) for v in (alpha, sigma))))


TEST = np.asarray(LAW.sample(jax.random.key(2), 1024))
NOISE = np.asarray(jax.random.normal(jax.random.key(4), TEST.shape))


def relative(denoiser, levels):
    """E|D - D*|^2 / E|x_0 - D*|^2 at each level, on 1,024 samples."""
    found = []
    for sigma in levels:
        noisy = TEST + np.float32(sigma) * NOISE
        one, other = (denoised(d, noisy, 1.0, sigma) for d in (denoiser, LAW.denoiser(SCHEDULE)))
        found.append(np.sum((one - other) ** 2) / np.sum((TEST - other) ** 2))
    return np.array(found)


def test_polynomials_repair_wide_cells_and_levels_between_are_as_good(crude):
    levels = crude.levels_
    found = relative(crude.denoiser(SCHEDULE), levels)
    assert found.mean() < 0.4 * relative(crude.crude_.denoiser(SCHEDULE), levels).mean()
    between = relative(crude.denoiser(SCHEDULE), np.sqrt(levels[1:] * levels[:-1]))
    assert between.mean() < 1.5 * found.mean()
    assert (crude.losses_ <= crude.crude_losses_).all() and 0 < crude.degrees_.max() <= 2


def test_cells_that_are_the_law_need_no_correction():
    found = Score(LAW, random_state=0).fit(X)
    assert relative(found.denoiser(SCHEDULE), found.levels_).max() < 0.004


def test_levels_are_the_same_under_every_schedule_and_stay_sound_beyond_those_of_the_fit(crude):
    own, other = crude.denoiser(SCHEDULE), crude.denoiser(js.schedules.VariancePreserving())
    sigma = np.linspace(0.1, 3.0, 1024, dtype=np.float32)
    found = denoised(own, TEST, np.ones(1024), sigma)
    for i in (0, 500):
        s, alpha = sigma[i], 1 / np.sqrt(1 + sigma[i] ** 2)
        for each in (denoised(own, TEST, 1.0, s), denoised(other, alpha * TEST, alpha, alpha * s)):
            np.testing.assert_allclose(each[i], found[i], rtol=1e-4, atol=1e-4)
    large = np.float32(1e4) * NOISE
    bare = jax.jit(crude.crude_.posterior_mean)(large, Level(1.0, 1e4))
    assert np.abs(denoised(own, large, 1.0, 1e4) - bare).max() < 0.01
    np.testing.assert_allclose(denoised(own, TEST, 1.0, 1e-3), TEST, atol=1e-3)


def test_samples_have_the_law(sharp):
    x, log_prob = sharp.sample(jax.random.key(3), 500), jax.jit(LAW.log_prob)
    found, exact = np.asarray(log_prob(x)), np.asarray(log_prob(X))
    assert abs(found.mean() - exact.mean()) < 5 * np.std(found) / 500**0.5
    (first, cells), (again, _) = sharp.sample(500), sharp.sample(500)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(cells, sharp.predict(first))
    assert not np.isin(first, np.asarray(x)).any()


@pytest.mark.slow
def test_samples_do_not_depend_on_their_number(sharp):
    key = jax.random.key(3)
    np.testing.assert_allclose(sharp.sample(key, 20), sharp.sample(key, 500)[:20], atol=1e-4)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e5), (1e12, 0.0), (1e-12, 0.0)])
def test_units_and_origin_of_the_data_do_not_matter(scale, offset):
    """In float32, with the same polynomials at the same levels."""
    options = {"degree": 1, "levels": 4, "iterations": 0, "floor": 0.1, "random_state": 0}
    one, other = Score(2, **options).fit(X[:600]), Score(2, **options).fit(scale * X[:600] + offset)
    assert (one.degrees_ == other.degrees_).all() and one.degrees_.max() > 0
    there = other.score_samples(scale * X[:64] + offset) + X.shape[1] * np.log(scale)
    np.testing.assert_allclose(there, one.score_samples(X[:64]), atol=2e-3)
    np.testing.assert_allclose(other.predict_proba(scale * X + offset), one.predict_proba(X), atol=1e-3)
    drawn = (np.asarray(other.sample(200)[0], float) - offset) / scale
    np.testing.assert_allclose(drawn, one.sample(200)[0], atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("components", [3, None])
def test_total_variation_is_at_most_twice_that_of_maximum_likelihood(components, optimized):
    """20,000 samples; the standard error of each distance is below 4 % of it."""
    law = js.targets.GaussianMixture.random(jax.random.key(230), 3, 2)
    x = np.asarray(law.sample(jax.random.key(7), 20_000), float)
    best = js.learning.fit_gaussian_mixture(x, 3, tol=1e-4, n_init=3)
    drawn = best.sample(jax.random.key(1), 20_000)
    bound = 2 * float(jnp.mean(jnp.maximum(0, 1 - jnp.exp(law.log_prob(drawn) - best.log_prob(drawn)))))
    found = Score(components, random_state=0).fit(x)
    grid = js.grids.log_snr(SCHEDULE, 48, sigma_max=1000.0, sigma_min=found.levels_[-1])
    flow = js.sample_and_log_prob(jax.random.key(2), found.denoiser(SCHEDULE), 2000, grid=grid)
    assert js.metrics.flow_tv(flow, law, SCHEDULE.level(-jnp.log(grid[-1]))).value < bound


EXCEPTIONS = {
    "check_methods_subset_invariance": "log densities are float32, whose rounding depends on the size of the batch",
    "check_methods_sample_order_invariance": "the same",
}


@pytest.mark.slow
def test_it_is_an_estimator_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    found = check_estimator(
        Score(1, degree=1, levels=3, random_state=0), on_fail=None, expected_failed_checks=EXCEPTIONS
    )
    failed = {one["check_name"]: str(one["exception"])[:200] for one in found if one["status"] == "failed"}
    assert not failed


@pytest.mark.slow
def test_log_density_is_that_of_the_law(sharp):
    found, exact = sharp.score_samples(X[:64]), np.asarray(LAW.log_prob(jnp.asarray(X[:64])))
    assert np.abs(found - exact).mean() < 0.1
    np.testing.assert_allclose(sharp.score(X[:64]), found.mean(), rtol=1e-5)


def test_cells_have_their_weights(sharp):
    np.testing.assert_allclose(sharp.predict_proba(X).mean(0), sharp.crude_.weights, atol=0.01)
    np.testing.assert_array_equal(np.unique(sharp.predict(X)), [0, 1, 2])


def test_fewer_cells_than_components_are_said():
    with pytest.warns(UserWarning, match="components = 1 are fewer than the law has, which no degree repairs"):
        Score(1, random_state=0).fit(X)


@pytest.mark.slow
def test_hard_cells_sample_and_have_no_density():
    found = Score(3, cells="hard", random_state=0).fit(X)
    assert np.isfinite(found.sample(jax.random.key(0), 8)).all()
    with pytest.raises(ValueError, match="cells must be 'soft' for a log density"):
        found.score_samples(X)


BAD = {
    "nan": (Score(2), np.where(np.arange(8)[:, None] == 3, np.nan, X[:8]), "contains NaN"),
    "few samples": (Score(9), X[:8], "X must have at least components = 9 samples; got 8"),
    "fewer than features": (Score(1), X[:8].reshape(2, 8), "more samples than features"),
    "dependent": (Score(1), X[:50, [0, 0]], "so that data can be whitened"),
    "cells": (Score(1, cells="sharp"), X, "cells must be one of 'soft', 'hard'; got 'sharp'"),
    "degree": (Score(1, degree=-1), X, "degree must be at least 0"),
    "levels": (Score(1, levels=1), X, "levels must be at least 2"),
    "floor": (Score(1, floor=-0.1), X, "floor must be at least 0; got -0.1"),
    "law": (Score(LAW), X[:, :1], r"components must be a law of samples \(1,\); got one of \(2,\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_learned_is_a_sentence(case):
    learner, x, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence):
        inspect.unwrap(Score.fit)(learner, x)
