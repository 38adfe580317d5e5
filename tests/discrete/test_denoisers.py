"""Diffusion samplers of spins: exact and TAP denoisers, and the law of what is rounded."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.core.types import Level
from tests.discrete import instances

SCHEDULE = js.schedules.VarianceExploding()
LEVEL = Level(0.8, 0.6)
SMALL = js.discrete.Ising(np.asarray(instances.r1().couplings)[:8, :8], np.asarray(instances.r1().fields)[:8])


def tilted(y):
    """The x_t whose tilt alpha x_t / sigma^2 is y."""
    return (y * 0.6**2 / 0.8)[None]


def frequencies(x):
    """The share of each state among spins (m, n)."""
    states = ((np.asarray(x) > 0) @ 2 ** np.arange(x.shape[1])).astype(int)
    return np.bincount(states, minlength=2 ** x.shape[1]) / len(x)


def distance(x, law):
    """Total variation between the draws and the law."""
    return np.abs(frequencies(x) - np.asarray(law.probabilities())).sum() / 2


def test_the_tilted_mean_is_that_of_the_reference(x64):
    y = 0.5 * np.cos(np.arange(10))
    got = jax.jit(lambda x: instances.r1().denoiser(SCHEDULE)(x, LEVEL))(tilted(y))
    np.testing.assert_allclose(got[0, :4], [0.57280679, 0.51991322, 0.01286340, -0.08697409], atol=1e-8)


def test_tap_is_near_the_mean_where_couplings_are_weak_and_reports_its_residual(x64):
    law, x = instances.r1(0.4, 0.0), tilted(0.7 * np.sin(1 + np.arange(10)))
    denoiser, answer = law.denoiser(SCHEDULE, method="tap"), jax.jit(lambda denoiser, x: denoiser(x, LEVEL))
    residual = jax.jit(lambda denoiser, x: denoiser.residual(x, LEVEL))
    mean = np.asarray(answer(denoiser, x))
    error = np.abs(mean - answer(law.denoiser(SCHEDULE), x)).max()
    assert error == pytest.approx(0.0032, abs=5e-5)
    assert residual(denoiser, x).shape == (1,) and residual(denoiser, x)[0] < 1e-12
    with pytest.warns(UserWarning, match="not solved"):
        one = law.denoiser(SCHEDULE, method="tap", iterations=1)  # tanh(y) alone
    m = np.tanh(0.7 * np.sin(1 + np.arange(10)))
    np.testing.assert_allclose(answer(one, x)[0], m)
    j = np.asarray(law.couplings)
    left = m - np.tanh(j @ m + 0.7 * np.sin(1 + np.arange(10)) - (j**2 @ (1 - m**2)) * m)
    assert residual(one, x)[0] == pytest.approx(np.sqrt(np.mean(left**2)))
    rows = Level(jnp.array([0.8, 1.6]), jnp.array([0.6, 0.6]))
    together = jax.jit(lambda x: denoiser(x, rows))(np.concatenate([x, x / 2]))
    np.testing.assert_allclose(together, np.tile(mean, (2, 1)))


@pytest.mark.parametrize(("beta", "solved"), [(0.9, True), (1.3, False)])
def test_a_glass_whose_tap_equations_are_not_solved_gets_a_warning(key, beta, solved):
    law = js.discrete.sk(key, 64, beta)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        law.denoiser(SCHEDULE, method="tap")
    said = [str(one.message) for one in caught]
    assert solved == (not said)
    assert solved or (said[0].startswith("The TAP equations are not solved for this Ising") and len(said) == 1)


@pytest.mark.parametrize(
    ("law", "draws"), [(SMALL, 4000), pytest.param(instances.r1(), 20_000, marks=pytest.mark.slow)]
)
def test_spins_of_a_diffusion_sampler_have_the_law(optimized, key, law, draws):
    """Total variation of independent draws: 0.08 on average, with a standard deviation of 0.002 to 0.005."""
    for_samples, for_rounding, for_iid = jax.random.split(key, 3)
    found = js.sample(for_samples, law.denoiser(SCHEDULE), (draws, law.sites), steps=32).x
    assert np.abs(np.abs(np.asarray(found)) - 1).mean() < 0.01
    x = js.discrete.round_spins(for_rounding, found)
    assert x.dtype == jnp.int8
    assert distance(x, law) < 1.25 * distance(law.sample(for_iid, draws), law)


@pytest.mark.parametrize(
    ("sampler", "draws"),
    [
        (js.samplers.SlidingWindow(), 1000),
        pytest.param(js.samplers.SlidingWindow(), 20_000, marks=pytest.mark.slow),
        pytest.param(js.samplers.ParallelMidpoint(iterations=8), 20_000, marks=pytest.mark.slow),
    ],
)
def test_a_parallel_sampler_draws_spins_of_the_same_law_in_a_third_of_the_rounds(key, sampler, draws):
    """Means and second moments within 5 of their standard errors, 36 numbers: false alarm 2e-5."""
    steps = 1 if isinstance(sampler, js.samplers.ParallelMidpoint) else 32
    found = js.sample(key, SMALL.denoiser(SCHEDULE), (draws, 8), sampler, steps)
    x = np.asarray(js.discrete.round_spins(jax.random.key(1), found.x), float)
    moments = SMALL.enumerate()
    assert (np.abs(x.mean(0) - moments.mean) < 5 / np.sqrt(draws)).all()
    assert (np.abs(x.T @ x / draws - moments.second) < 5 / np.sqrt(draws)).all()
    assert found.stats["rounds"].mean() < 33 / 3


def test_rounding_is_a_draw_per_row_of_the_given_means(key):
    """The mean of 40,000 draws within 5 standard errors: false alarm 2e-6."""
    m = jnp.full((20_000, 2), jnp.array([0.3, -0.9]))
    x = js.discrete.round_spins(key, m)
    assert set(np.unique(x)) == {-1, 1}
    np.testing.assert_allclose(x.mean(0, dtype=float), [0.3, -0.9], atol=5 / np.sqrt(20_000))
    np.testing.assert_array_equal(js.discrete.round_spins(key, m[:7]), x[:7])
    assert np.asarray(js.discrete.round_spins(key, jnp.array([[1.7, -1.0, 1.0]]))).tolist() == [[1, -1, 1]]


def test_what_does_not_fit_is_a_sentence(key):
    law, big = instances.r1(), js.discrete.lattice(5, 2, 0.1)
    made, rounds = inspect.unwrap(law.denoiser.__func__), inspect.unwrap(js.discrete.round_spins)
    with pytest.raises(ValueError, match="^method must be one of 'exact', 'tap'; got 'TAP'"):
        made(law, SCHEDULE, "TAP")
    with pytest.raises(ValueError, match="^method must be 'tap' for more than 22 spins; got 'exact' for n = 25"):
        made(big, SCHEDULE)
    with pytest.raises(ValueError, match="^method must be 'exact' for MRF, because the TAP"):
        made(instances.r2(), SCHEDULE, "tap")
    with pytest.raises(ValueError, match="^iterations must be at least 1; got 0"):
        made(law, SCHEDULE, "tap", 0)
    with pytest.raises(ValueError, match=r"^m must be finite; got nan at index \(0, 1\)"):
        rounds(key, np.array([[0.0, np.nan]]))
    with pytest.raises(ValueError, match=r"^m must have shape \(n, \*event\)"):
        rounds(key, 0.5)
    assert big.denoiser(SCHEDULE, "tap").event_shape == (25,)
