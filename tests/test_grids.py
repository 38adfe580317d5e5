"""Grids: the rules' formulas, their ends, and the sentences for bad ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import SCHEDULES

DISCRETE = js.schedules.DiscreteTime(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)))


@pytest.mark.parametrize("rule", ["log_snr", "karras", "uniform"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rules_start_and_end_where_they_say(x64, rule, schedule):
    grid = js.grids.RULES[rule](SCHEDULES[schedule], 10, sigma_max=50.0, sigma_min=0.01)
    assert grid.shape == (11,) and (np.diff(grid) < 0).all()
    np.testing.assert_allclose(grid[jnp.array([0, -1])], [50.0, 0.01], rtol=1e-6)


def test_rules_are_uniform_in_their_own_variable(x64):
    ou = SCHEDULES["ou"]
    np.testing.assert_allclose(np.diff(np.log(js.grids.log_snr(ou, 9)), 2), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(np.asarray(js.grids.karras(ou, 9, rho=5.0)) ** 0.2, 2), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(ou.level(-jnp.log(js.grids.uniform(ou, 9))).t, 2), 0, atol=1e-9)


def test_limited_schedules_clip_the_range():
    vp = js.schedules.VariancePreserving(0.1, 5.0)
    np.testing.assert_allclose(js.grids.log_snr(vp, 4)[0], vp.limits()[1], rtol=1e-5)
    for rule in js.grids.RULES.values():
        grid = np.asarray(rule(DISCRETE, 20))
        trained = np.exp(-np.asarray(DISCRETE.table()))
        assert all(np.isclose(trained, level, rtol=1e-4).any() for level in grid)


def test_resolve_takes_rules_functions_and_arrays():
    ve = SCHEDULES["ve"]
    assert js.grids.resolve("karras", ve, 5).shape == (6,)
    assert js.grids.resolve(lambda schedule, steps: jnp.geomspace(9.0, 1.0, steps + 1), ve, 5).shape == (6,)
    levels = np.array([9.0, 3.0, 1.0])
    assert js.grids.resolve(levels, ve, None) is levels and js.grids.resolve(levels, ve, 2) is levels


def test_rules_work_inside_jit_with_traced_schedule_settings():
    make = jax.jit(lambda beta: js.grids.log_snr(js.schedules.VariancePreserving(0.1, beta), 4))
    np.testing.assert_allclose(make(20.0), js.grids.log_snr(SCHEDULES["vp"], 4), rtol=1e-6)
    with pytest.raises(TypeError, match="grid must be an array"):
        jax.jit(lambda beta: js.grids.uniform(js.schedules.VariancePreserving(0.1, beta), 4))(20.0)


@pytest.mark.parametrize(
    ("grid", "steps", "words"),
    [
        ("log_snr", 0, "steps must be at least 1; got 0"),
        ("karas", 8, "Did you mean 'karras'"),
        (np.array([1.0, 2.0]), None, "decrease strictly"),
        (np.array([1.0, 1.0]), None, "decrease strictly"),
        (np.array([1.0, 0.0]), None, "stay above 0"),
        (np.array([1.0, np.nan]), None, "finite"),
        (np.array([2.0, 1.0]), 5, "steps must be the number of intervals"),
        (np.ones((2, 2)), None, "1-D"),
    ],
)
def test_bad_grids_are_one_sentence(grid, steps, words):
    with pytest.raises(ValueError, match=words):
        js.grids.resolve(grid, SCHEDULES["ou"], steps)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sigma_min": 0.0}, "sigma_min must be above 0"),
        ({"sigma_min": -1.0}, "sigma_min must be above 0"),
        ({"sigma_max": 0.01}, "sigma_max must be above sigma_min"),
    ],
)
def test_bad_ranges_are_one_sentence(options, words):
    for rule in js.grids.RULES.values():
        with pytest.raises(ValueError, match=words):
            rule(SCHEDULES["ou"], 8, **options)
    with pytest.raises(ValueError, match="rho"):
        js.grids.karras(SCHEDULES["ou"], 8, rho=0.0)


def test_too_many_steps_for_discrete_times():
    few = js.schedules.DiscreteTime(np.linspace(0.99, 0.01, 10))
    with pytest.raises(ValueError, match="steps must leave every level its own trained time"):
        js.grids.log_snr(few, 40)
    with pytest.raises(ValueError, match="overlap"):
        js.grids.log_snr(few, 2, sigma_max=1e-4, sigma_min=1e-5)
