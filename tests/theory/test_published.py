"""The published schemes: their grids, their sizes, and the law that they reach when run to the letter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import theory
from jaxsamp.core.random import Rng, sample_keys
from tests.cases import SCHEDULES

DIM, L = 16, 4.0
SIZES = {"total_time": 3.5, "early_stop": 1e-3}


def times(scheme):
    return 0.5 * np.log1p(scheme.grid**2)


def test_windows_and_tail():
    scheme = theory.gcc(L, 0.3, DIM, predictor_step=1 / 8, **SIZES)
    t = times(scheme)
    assert scheme.predictor_step == 1 / 8 and scheme.total_time == 14 / L + 1 / 8
    np.testing.assert_allclose(np.diff(t[:29]), -1 / 8, rtol=1e-9)
    np.testing.assert_allclose(t[28:], 1 / 8 / 2.0 ** np.arange(7), rtol=1e-9)
    assert t[-1] == pytest.approx(scheme.early_stop) and 1e-3 <= scheme.early_stop < 2e-3
    assert scheme.sampler.every == (*range(2, 29, 2), 34)


def test_sizes_follow_the_formulas():
    dpom, dpum, gcc = (make(L, 0.2, DIM, second_moment=40) for make in (theory.dpom, theory.dpum, theory.gcc))
    for scheme in (dpom, dpum, gcc):
        assert scheme.total_time == pytest.approx(
            np.ceil(L * 0.5 * np.log(40 / 0.04)) / L + scheme.predictor_step, rel=1e-9
        )
    close = lambda got, want: got == pytest.approx(want, rel=0.1)  # noqa: E731  (whole steps in a window)
    assert close(dpom.predictor_step, 0.2 / (16 * 4)) and close(dpom.corrector_step, 0.04 / (64 * 16))
    assert dpom.corrector_time == 1 / L and dpom.friction == 0
    assert close(dpum.corrector_step, 0.2 / (8 * 4)) and dpum.corrector_time == 0.5 and dpum.friction == 4
    assert close(gcc.predictor_step, 0.2 / (L ** (5 / 3) * DIM ** (5 / 12)))
    assert close(gcc.corrector_step, 0.2 / (2 * DIM ** (17 / 36)))


def test_predictor_steps_are_the_published_ones(x64):
    """x' = e^h x + (e^h - 1) s_t(x), and the randomized midpoint, written out in Ornstein-Uhlenbeck time."""
    target = js.targets.GaussianMixture.random(jax.random.key(0), 3, 2)
    denoiser = target.denoiser(SCHEDULES["ou"])
    score = jax.jit(lambda x, t: target.score(x, denoiser.schedule.at(t)))
    inner_score = jax.jit(jax.vmap(lambda y, t: target.score(y[None], denoiser.schedule.at(t))[0]))
    keys = sample_keys(jax.random.key(1), 4)
    start = np.asarray(jax.jit(jax.vmap(lambda key: Rng(key, (2,), jnp.float64).prior()))(keys))

    plain = theory.dpum(2.0, 0.5, 2, corrector=False)
    t, x = times(plain), start
    for now, then in zip(t[:-1], t[1:], strict=True):
        h = now - then
        x = np.exp(h) * x + np.expm1(h) * np.asarray(score(x, now))
    np.testing.assert_allclose(plain.sample(jax.random.key(1), denoiser, (4, 2)).x, x, rtol=1e-8)

    uniform = jax.jit(lambda i: jax.vmap(lambda key: Rng(key, (2,), jnp.float64).uniform(i))(keys))
    midpoint = theory.gcc(2.0, 0.5, 2, corrector=False)
    t, x = times(midpoint), start
    for i, (now, then) in enumerate(zip(t[:-1], t[1:], strict=True)):
        h, a = now - then, np.asarray(uniform(i))
        grow = np.exp(a * h)[:, None]
        half = grow * x + (grow - 1) * np.asarray(score(x, now))
        inner = np.asarray(inner_score(half, now - a * h))
        x = np.exp(h) * x + h * np.exp((1 - a) * h)[:, None] * inner
    np.testing.assert_allclose(midpoint.sample(jax.random.key(1), denoiser, (4, 2)).x, x, rtol=1e-8)


@pytest.mark.slow
def test_log_density_gaps_of_the_literal_schemes():
    """Five modes in 16 dimensions: Euler is off by 0.7 nats, randomized midpoint by less than can be seen.

    The standard error of a gap is 0.09; 0 is rejected at 0.69 - 3.7 s.e. and accepted within 3.7 s.e. (2e-4).
    """
    means = 1.5 * np.random.default_rng(12).standard_normal((5, DIM))
    target = js.targets.GaussianMixture.spherical([0.2] * 5, means, 0.25)
    denoiser = target.denoiser(SCHEDULES["ou"])

    def gap(scheme):
        level = denoiser.schedule.level(-jnp.log(scheme.grid[-1]))
        x = scheme.sample(jax.random.key(0), denoiser, (1024, DIM)).x
        found = js.evaluate(x, target, jax.random.key(1), metrics="log_density", level=level)["log_density"]
        return -found.value, found.stderr

    euler = theory.dpum(L, 0.3, DIM, predictor_step=1 / 16, corrector=False, **SIZES)
    midpoint = theory.gcc(L, 0.3, DIM, predictor_step=1 / 8, corrector_time=0.2, corrector_step=0.05, **SIZES)
    assert (euler.evaluations, midpoint.evaluations) == (61, 128)
    value, error = gap(euler)
    assert value > 3.7 * error and abs(value - 0.69) < 3.7 * error
    value, error = gap(midpoint)
    assert abs(value) < 3.7 * error


@pytest.mark.parametrize(
    ("arguments", "sizes", "message"),
    [
        ((0.5, 0.1, 4), {}, "lipschitz must be"),
        ((4.0, 1.5, 4), {}, "epsilon must be in"),
        ((4.0, 0.1, 0), {}, "dim must be at least 1"),
        ((4.0, 0.1, 4), {"step": 0.1}, "sizes must be among"),
        ((4.0, 0.1, 4), {"total_time": -1.0}, "total_time must be positive"),
        ((4.0, 0.1, 4), {"early_stop": 0.3}, "early_stop must be below"),
    ],
)
def test_bad_arguments_are_named(arguments, sizes, message):
    with pytest.raises(ValueError, match=message):
        theory.gcc(*arguments, **sizes)


@pytest.mark.slow
def test_the_parallel_scheme_takes_few_rounds_and_reaches_the_law(x64):
    target = js.targets.GaussianMixture.spherical([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], 0.25)
    denoiser = target.denoiser(SCHEDULES["ou"])
    scheme = theory.gcc_parallel(L, 0.3, 2, midpoints=8, iterations=4, **SIZES)
    one_window, one_visit = 1 + 4, 1 + 4
    visits = len(scheme.sampler.every)
    assert scheme.rounds == (len(scheme.grid) - 1) * one_window + visits * one_visit < theory.gcc(L, 0.05, 2).rounds
    assert theory.gcc_parallel(L, 0.5, 16).sampler.predictor.midpoints == 8
    x = scheme.sample(jax.random.key(2), denoiser, (2000, 2)).x
    level = denoiser.schedule.level(-jnp.log(scheme.grid[-1]))
    weight = float(target.responsibilities(x, level)[:, 0].mean())
    assert abs(weight - 0.3) < 4.5 * np.sqrt(0.21 / 2000)  # false alarms: 7e-6
    gap = target.log_prob(x, level).mean() - target.log_prob(target.sample(jax.random.key(3), 20000), level).mean()
    assert abs(float(gap)) < 0.15
