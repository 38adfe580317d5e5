"""Drafts: what they learn from, that a trial tells good from bad ones, and that they are kept like other networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.learning.distillation import DistillationLoss, Lesson, Lessons
from jaxsamp.losses import UniformLogSNR
from jaxsamp.training import data as data_of
from tests.cases import SCHEDULES, small_mixture

LAW = small_mixture()
DENOISER = LAW.denoiser(SCHEDULES["vp"])
LEVELS = UniformLogSNR(0.05, 20.0)


def lessons(data, cond=None, denoiser=DENOISER):
    return Lessons(data_of.batches(data, cond, jax.random.key(1)), denoiser, jax.random.key(2), LEVELS)


def test_a_lesson_is_the_denoisers_own_answer_at_a_noised_sample():
    batches = lessons(np.asarray(LAW.sample(jax.random.key(0), 64)))
    x, lesson = batches.batch(3, 32)
    level = DENOISER.schedule.level(lesson.lam)
    np.testing.assert_allclose(lesson.answer, DENOISER(level.alpha[:, None] * x, level), rtol=1e-5, atol=1e-5)
    s = np.exp(-np.asarray(lesson.lam))
    assert s.min() >= 0.0499 and s.max() <= 20.01 and np.log(s).std() > 1.2  # uniform over log 400 has 1.73
    again, other = batches.batch(3, 32)[0], batches.batch(4, 32)[0]
    np.testing.assert_array_equal(x, again)
    assert not np.allclose(x, other)


class Shrinking:
    """w times the denoiser of N(0, I), as a model: its loss is known in closed form."""

    prediction, schedule, sigma_data = "x0", SCHEDULES["flow"], 0.7

    def __call__(self, params, x, t, cond):
        level = self.schedule.at(t)
        alpha, sigma = level.alpha[:, None], level.sigma[:, None]
        return params * alpha * x / (alpha**2 + sigma**2)


def test_the_loss_is_the_squared_distance_in_units_of_the_preconditioning():
    rng = np.random.default_rng(0)
    lam, x, answer = rng.uniform(-3, 3, 5), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    s = np.exp(-lam)[:, None]
    student = 0.8 * x / (1 + s**2)  # in the scale of x_0 + s z, whatever the schedules
    wanted = np.mean((student - answer) ** 2, 1) * (s[:, 0] ** 2 + 0.7**2) / (s[:, 0] * 0.7) ** 2
    lesson = Lesson(jnp.asarray(lam), jnp.asarray(answer), None)
    found = DistillationLoss()(jax.random.key(0), Shrinking(), 0.8, jnp.asarray(x), lesson)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_a_trial_keeps_a_good_surrogate_and_refuses_a_bad_one():
    lost = js.targets.GaussianMixture([1.0], [[-1.0, 0.5]], 0.04 * np.eye(2)[None]).denoiser(SCHEDULES["vp"])
    options = {"midpoints": 12, "rounds": 2}
    good, bad = (
        js.learning.try_surrogate(jax.random.key(0), DENOISER, surrogate, (2,), **options)
        for surrogate in (DENOISER, lost)
    )
    assert good.kept and good.error < 0.5 * good.error_without and good.median < good.median_without
    assert not bad.kept and bad.error > bad.error_without == good.error_without


def test_distill_trains_keeps_and_tries(tmp_path):
    data, model = np.asarray(LAW.sample(jax.random.key(0), 256)), js.models.MLP(16, 1)
    options = {"batch_size": 64, "midpoints": 12, "rounds": 2}
    found = js.distill(jax.random.key(1), DENOISER, data, model, 40, checkpoint=tmp_path / "draft", **options)
    loaded = js.training.load_denoiser(tmp_path / "draft")
    jax.tree.map(np.testing.assert_array_equal, found.draft.params, loaded.params)
    assert found.surrogate is (found.draft if found.trial.kept else None)
    x, lesson = lessons(data).batch(0, 256)
    level = loaded.schedule.level(lesson.lam)
    near = lambda answer: float(np.mean(np.abs(answer - lesson.answer)))  # noqa: E731
    assert near(loaded(level.alpha[:, None] * x, level)) < near(np.zeros_like(x))


def test_a_denoiser_without_a_calibration_is_refused():
    network = js.denoiser(lambda params, x, t, cond: params * x, jnp.ones(()), SCHEDULES["vp"], "x0")
    with pytest.raises(ValueError, match="denoiser must have a calibration"):
        js.distill(jax.random.key(0), network, np.ones((4, 2)))
