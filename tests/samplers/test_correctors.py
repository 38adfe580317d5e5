"""Correctors keep the law at their level, pull a wrong one toward it, and cost what they say."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.core.random import Rng, sample_keys
from jaxsamp.samplers import (
    DDIM,
    Heun,
    OverdampedCorrector,
    ParallelCorrector,
    ParallelMidpoint,
    PredictorCorrector,
    RandomizedMidpoint,
    SplitGibbs,
    UnderdampedCorrector,
    UniPC,
)
from jaxsamp.samplers.base import Problem
from tests.cases import SCHEDULES, gaussian, quick, run, small_mixture

SIGMA, N = 0.5, 16_384
CORRECTORS = {
    "overdamped": OverdampedCorrector(0.05, steps=30),
    "underdamped": UnderdampedCorrector(0.1, steps=20),
    "midpoint": UnderdampedCorrector(0.3, steps=10, midpoint=True),
    "ou": UnderdampedCorrector(0.03, steps=40, units="ou"),
    "parallel": ParallelCorrector(steps=2),
}


@jax.jit
def corrected(corrector, x):
    """`x`, in units of alpha, after one visit at sigma / alpha = SIGMA."""
    denoiser = gaussian().denoiser(SCHEDULES["ve"])
    evaluate = lambda x, lam: denoiser(x[None], denoiser.schedule.level(lam))[0]  # noqa: E731
    lam = -jnp.log(jnp.array([1.0, SIGMA]))
    problem = Problem(evaluate, jax.vmap(evaluate), lam, None, lambda lam: lam, None)
    one = lambda x, key: corrector.correct(problem, x, lam[1], jnp.array(0), Rng(key, (2,), x.dtype))  # noqa: E731
    return jax.vmap(one)(x, sample_keys(jax.random.key(5), len(x)))


def second_moments(x):
    """Covariance in the coordinates in which the noised law is standard normal, less the identity, over its s.e."""
    covariance = np.array([[1.0, 0.6], [0.6, 0.5]]) + SIGMA**2 * np.eye(2)
    white = np.linalg.solve(np.linalg.cholesky(covariance), (np.asarray(x, float) - [0.5, -1.0]).T)
    return (np.cov(white) - np.eye(2)) * np.sqrt(len(x) / np.array([[2, 1], [1, 2]]))


@pytest.mark.parametrize("name", quick(CORRECTORS, "overdamped", "midpoint"))
def test_corrector_keeps_the_law_and_mends_a_wrong_one(name):
    """The bias of these steps is below 3 % of a variance; 1.25 times the spread is 56 % above it."""
    k_law, k_noise = jax.random.split(jax.random.key(6))
    x = gaussian().sample(k_law, N) + SIGMA * jax.random.normal(k_noise, (N, 2))
    right = second_moments(corrected(CORRECTORS[name], x))
    wrong = jnp.array([0.5, -1.0]) + 1.25 * (x - jnp.array([0.5, -1.0]))
    before, after = second_moments(wrong), second_moments(corrected(CORRECTORS[name], wrong))
    # 4.5 standard errors for chance (rate 2e-5 in three numbers) and 3 for the bias.
    assert np.abs(right).max() < 4.5 + 0.03 * np.sqrt(N / 2)
    assert np.abs(after).max() < 0.75 * np.abs(before).max()


def test_corrected_sampler_uses_what_it_declares(x64):
    calls = []

    def network(params, x, t, cond):
        jax.debug.callback(lambda x: calls.append(len(x)), x)
        return x / (1 + t[:, None] ** 2)

    denoiser = js.denoiser(network, None, js.schedules.EDM(), "x0")
    for every, visits in ((1, 6), (4, 1), ((2, 6), 2)):
        sampler = PredictorCorrector(DDIM(), UnderdampedCorrector(steps=2, midpoint=True), every)
        calls.clear()
        drawn = js.sample(jax.random.key(0), denoiser, (1, 2), sampler, 6, final_denoise=False)
        jax.effects_barrier()
        assert len(calls) == sampler.evaluations(6) == 6 + 4 * visits == int(drawn.stats["evaluations"][0])
    windows = ParallelMidpoint.blocked(midpoints=4, iterations=2)
    sampler = PredictorCorrector(windows, ParallelCorrector(midpoints=4, iterations=3, steps=2), every=3)
    calls.clear()
    drawn = js.sample(jax.random.key(0), denoiser, (1, 2), sampler, 6, final_denoise=False)
    jax.effects_barrier()
    rounds, evaluations = windows.rounds(6) + 2 * (1 + 2 * 3), windows.evaluations(6) + 2 * (1 + 2 * 4 * 3)
    assert len(calls) == sampler.rounds(6) == rounds == int(drawn.stats["rounds"][0])
    assert sum(calls) == sampler.evaluations(6) == evaluations == int(drawn.stats["evaluations"][0])


@pytest.mark.slow
def test_corrector_between_few_steps_improves_the_law():
    """The spread of DDIM with few steps is too large; Langevin steps between them mend a good part of it."""
    target = gaussian()
    denoiser = target.denoiser(SCHEDULES["ve"])
    level = denoiser.schedule.level(-jnp.log(0.02))

    def gap(sampler, steps):
        x = run(sampler, denoiser, 8192, steps)
        return abs(js.evaluate(x, target, jax.random.key(1), metrics="log_density", level=level)["log_density"].value)

    assert gap(PredictorCorrector(DDIM(), UnderdampedCorrector(0.5)), 20) < 0.75 * gap(DDIM(), 20)


def test_draws_of_predictor_and_corrector_are_independent():
    draws = Rng(jax.random.key(0), (20_000,), jnp.float32)
    a, b = draws.normal(3), draws.of(js.core.random.CORRECTOR).normal(3)
    assert abs(float(jnp.mean(a * b))) < 4 / np.sqrt(20_000)


def test_a_corrector_around_another_has_random_numbers_of_its_own():
    """From 1 to 0.5 in 20 levels the law of N(0, 1) goes to variance 1.25; two visits are those of two steps. With the
    same noise twice the variance would be 2.4. 4,096 samples: 6 standard errors of a difference of variances.
    """
    denoiser = js.targets.GaussianMixture([1.0], [[0.0]], np.ones((1, 1, 1))).denoiser(SCHEDULES["ve"])
    start = np.sqrt(2) * jax.random.normal(jax.random.key(1), (4096, 1))

    def variance(sampler):
        grid = np.geomspace(1, 0.5, 20)
        drawn = js.sample(jax.random.key(0), denoiser, start.shape, sampler, grid=grid, init=start, final_denoise=False)
        return float(drawn.x.var())

    once = OverdampedCorrector(0.1)
    nested = variance(PredictorCorrector(PredictorCorrector(DDIM(), once), once))
    assert abs(nested - variance(PredictorCorrector(DDIM(), OverdampedCorrector(0.1, steps=2)))) < 0.24
    twice = PredictorCorrector(DDIM(), once, every=(2, 2))
    assert twice.evaluations(4) == twice.rounds(4) == 5


@pytest.mark.parametrize("sampler", [DDIM(0.0), Heun(churn=2.0, churn_min=0.05, churn_max=50.0)])
def test_where_no_noise_is_added_there_is_a_gradient(sampler):
    denoiser, grid = small_mixture().denoiser(SCHEDULES["ve"]), jnp.geomspace(80, 0.02, 6)

    def total(sampler, grid):
        return js.sample(jax.random.key(0), denoiser, (3, 2), sampler, grid=grid).x.sum()

    slopes = jax.tree.leaves(jax.grad(total, (0, 1))(sampler, grid))
    assert all(np.isfinite(slope).all() for slope in slopes) and np.abs(slopes[0]).max() > 0


def test_step_size_and_friction_do_not_recompile():
    denoiser = js.denoiser(lambda params, x, t, cond: x / 2, None, js.schedules.EDM(), "x0")

    def draw(h, friction):
        sampler = PredictorCorrector(RandomizedMidpoint(), UnderdampedCorrector(h, friction))
        return js.sample(jax.random.key(0), denoiser, (2, 2), sampler, 4).x

    first = draw(0.1, 2.0)
    with jax.no_tracing(True):
        second = draw(0.2, 1.0)
    assert not np.allclose(first, second)


def test_a_predictor_that_stops_by_itself_says_so_and_has_no_gradient():
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    sampler = PredictorCorrector(ParallelMidpoint(2, 1, tolerance=1e-6))
    with pytest.warns(UserWarning, match="4 of 4 samples have not converged: .* Give it more midpoints than 2"):
        js.sample(jax.random.key(0), denoiser, (4, 2), sampler)
    with pytest.raises(TypeError, match="sampler must be differentiable for jax.grad"):
        jax.grad(lambda x: js.sample(jax.random.key(0), denoiser, (1, 2), sampler, init=x[None]).x.sum())(jnp.ones(2))


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (PredictorCorrector(UnderdampedCorrector()), "predictor must be one of"),
        (PredictorCorrector(SplitGibbs()), "predictor must not use an observation itself; SplitGibbs does"),
        (PredictorCorrector(UniPC(), DDIM()), "corrector must be one of"),
        (PredictorCorrector(UniPC(), every=0), "every must be at least 1"),
        (PredictorCorrector(UniPC(order=5)), "order must be 1, 2 or 3"),
        (PredictorCorrector(UniPC(), UnderdampedCorrector(-0.1)), "step_size must be positive"),
        (PredictorCorrector(UniPC(), ParallelCorrector(midpoints=0)), "midpoints must be at least 1"),
        (PredictorCorrector(UniPC(), UnderdampedCorrector(steps=0)), "steps of a corrector must be at least 1"),
        (PredictorCorrector(UniPC(), OverdampedCorrector(units="sigm")), "Did you mean 'sigma'"),
    ],
)
def test_bad_settings_are_named(sampler, message):
    with pytest.raises((ValueError, TypeError), match=message):
        js.sample(jax.random.key(0), small_mixture().denoiser(SCHEDULES["ou"]), (2, 2), sampler, 4)


def test_a_predictor_in_one_loop_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Whole(DDIM):
        stepwise = False

    with pytest.raises(ValueError, match="predictor must go step by step"):
        PredictorCorrector(Whole()).check()


def test_corrector_is_off_by_default():
    assert not any(isinstance(f, UnderdampedCorrector) for f in dataclasses.astuple(UniPC()))
