"""Grids: the rules' formulas, their ends, and the sentences for bad ones."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import SCHEDULES, small_mixture

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
    angles = np.arctan(js.grids.sech(ou, 9, power=1.0))  # the time of the cosine schedule
    np.testing.assert_allclose(np.diff(angles, 2), 0, atol=1e-5)


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
    with pytest.raises(
        ValueError, match="steps must be at most 9, the number of intervals between trained times; got 40"
    ):
        js.grids.log_snr(few, 40)
    with pytest.raises(ValueError, match="overlap"):
        js.grids.log_snr(few, 2, sigma_max=1e-4, sigma_min=1e-5)


STABLE = js.schedules.DiscreteTime(np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))


@pytest.mark.parametrize("rule", js.grids.RULES)
@pytest.mark.parametrize("schedule", [DISCRETE, STABLE], ids=["linear betas", "betas of Stable Diffusion"])
def test_any_number_of_steps_runs_with_discrete_times(rule, schedule):
    """32 steps were refused for Stable Diffusion's betas, and 100 for linear ones."""
    for steps in (1, 32, 100, 999):
        grid = js.grids.resolve(rule, schedule, steps)
        times = np.asarray(schedule.level(-np.log(grid)).t)
        assert times.shape == (steps + 1,) and (np.diff(times) < 0).all()
        np.testing.assert_allclose(grid, np.exp(-np.asarray(schedule.lam))[times], rtol=1e-6)
    assert times[0] == 999 and times[-1] == 0


def test_trained_times_move_only_where_they_repeat():
    moved = js.schedules.distinct_times
    assert moved(np.array([9, 4, 2, 0]), 10).tolist() == [9, 4, 2, 0]
    assert moved(np.array([9, 5, 5, 5, 0]), 10).tolist() == [9, 7, 6, 5, 0]
    assert moved(np.array([9, 2, 0, 0, 0]), 10).tolist() == [9, 3, 2, 1, 0]
    assert moved(np.array([9, 9, 9, 0]), 10).tolist() == [9, 8, 7, 0]
    assert moved(np.array([6, 5, 4, 4, 4]), 10).tolist() == [6, 5, 4, 3, 2]  # beyond the range, to the clean end first
    assert moved(np.array([2, 1, 1, 1, 1]), 10).tolist() == [4, 3, 2, 1, 0]


def function(levels):
    return lambda schedule, steps: levels


@pytest.mark.parametrize(
    ("levels", "schedule", "words"),
    [
        (np.array([0.02, 0.5, 80.0]), "ve", "decrease strictly and stay above 0"),
        (np.array([80.0, 1.0, 0.0]), "ve", "decrease strictly and stay above 0"),
        (np.array([80.0, 1.0, np.nan]), "ve", "finite"),
        (np.array([1.0, 1.0 - 1e-9, 0.5]), "ve", "decrease strictly"),  # one level in float32
        (np.array([300.0, 1.0, 0.02]), "vp", "inside the schedule's own range of sigma / alpha, 0 to 152"),
        (np.ones((2, 2)), "ve", "1-D array of at least 2 levels of sigma / alpha; got shape"),
        ("a word", "ve", "1-D array"),
        (None, "ve", "1-D array"),
    ],
)
def test_grids_are_checked_alike_whatever_they_come_from(levels, schedule, words):
    """A function that increased gave values of 1e-2 with converged=True; one that ended at 0 a ring of radius .01."""
    schedule = SCHEDULES[schedule]
    with pytest.raises(ValueError, match=f"^what grid returns must.*{words}") as caught:
        js.grids.resolve(function(levels), schedule, 2)
    assert "\n" not in str(caught.value)
    if not isinstance(levels, str | None):
        with pytest.raises(ValueError, match=f"^grid must.*{words}"):
            js.grids.resolve(levels, schedule, 2)


def test_a_function_returns_one_level_more_than_steps():
    levels = np.array([4.0, 2.0, 1.0])
    with pytest.raises(ValueError, match=r"what grid returns must be steps \+ 1 = 4 levels; got 3"):
        js.grids.resolve(function(levels), SCHEDULES["ve"], 3)
    np.testing.assert_array_equal(js.grids.resolve(function(levels.tolist()), SCHEDULES["ve"], 2), levels)


def test_levels_stay_in_the_range_of_trained_times():
    least, most = DISCRETE.limits()
    assert js.grids.resolve(np.array([most, least], np.float32), DISCRETE, None).shape == (2,)
    for levels in ([80.0, 0.002], [160.0, 0.02]):
        with pytest.raises(ValueError, match="inside the schedule's own range of sigma / alpha, 0.0100005 to 157.407"):
            js.grids.resolve(np.array(levels), DISCRETE, None)


@pytest.mark.parametrize("door", ["sample", "sample_and_log_prob", "log_likelihood", "sample_shards", "noise_levels"])
def test_every_door_checks_its_grid(door, tmp_path):
    """log_likelihood gave -1388 for a grid that increases."""
    key, denoiser = jax.random.key(0), small_mixture().denoiser(SCHEDULES["ve"])
    rising = function(np.array([0.02, 1.0, 80.0]))
    calls = {
        "sample": lambda: js.sample(key, denoiser, (2, 2), steps=2, grid=rising),
        "sample_and_log_prob": lambda: js.sample_and_log_prob(key, denoiser, 2, steps=2, grid=rising),
        "log_likelihood": lambda: js.log_likelihood(key, denoiser, jnp.zeros((1, 2)), 2, grid=rising),
        "sample_shards": lambda: js.sample_shards(tmp_path, key, denoiser, (2, 2), steps=2, grid=rising),
        "noise_levels": lambda: js.recipes.noise_levels(denoiser.schedule, 2, "rising"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(js.grids.RULES, "rising", lambda schedule, steps, **_: np.array([0.02, 1.0, 80.0]))
        with pytest.raises(
            ValueError, match="what grid returns must hold levels of sigma / alpha that decrease strictly"
        ):
            calls[door]()


def test_the_times_of_diffusers():
    times = lambda *words, **options: DISCRETE.level(-jnp.log(js.grids.diffusers(DISCRETE, *words, **options))).t  # noqa: E731
    assert times(4).tolist() == [750, 500, 250, 0]
    assert times(4, "UniPCMultistepScheduler").tolist() == [999, 749, 500, 250]
    assert times(4, spacing="trailing").tolist() == [999, 749, 499, 249]
    assert times(4, steps_offset=1).tolist() == [751, 501, 251, 1]
    assert times(4, steps_offset=1, end="sigma_min").tolist() == [751, 501, 251, 1, 0]
    assert times(4, end="sigma_min").tolist() == [750, 500, 250, 0]  # there already


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ({"schedule": js.schedules.EDM()}, "schedule must be DiscreteTime .*; got a VarianceExploding"),
        ({"evaluations": 1}, "evaluations must be at least 2"),
        ({"evaluations": 1001}, "evaluations must be at most 1000, for 1000 trained times; got 1001"),
        ({"scheduler": "UniPCMultistepScheduler", "evaluations": 1000}, "evaluations must be at most 999"),
        ({"scheduler": "UniPC"}, "scheduler must be one of .* 'UniPCMultistepScheduler'; got 'UniPC'"),
        ({"spacing": "leeding"}, "spacing must be one of .* Did you mean 'leading'"),
        ({"steps_offset": 500}, "steps_offset must keep times below 1000, .*; got 500"),
        ({"end": "one"}, "end must be one of 'zero', 'sigma_min'; got 'one'"),
    ],
)
def test_bad_grids_of_diffusers_are_one_sentence(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        inspect.unwrap(js.grids.diffusers)(**{"schedule": DISCRETE, "evaluations": 4} | call)


def test_the_time_of_pure_noise_is_a_level_where_there_is_one():
    for schedule in (js.schedules.Cosine(), js.schedules.RectifiedFlow()):
        levels = np.asarray(js.grids.uniform(schedule, 4, sigma_max=np.inf))
        assert levels[0] == np.inf and (np.diff(levels[1:]) < 0).all() and schedule.at(1.0).alpha == 0
    with pytest.raises(ValueError, match="sigma_max must be finite for VarianceExploding, which has no time of pure"):
        js.grids.uniform(js.schedules.VarianceExploding(), 4, sigma_max=np.inf)
