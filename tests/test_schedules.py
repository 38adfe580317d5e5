"""Schedules invert themselves, differentiate themselves, and round to trained times where times are discrete."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import SCHEDULES, quick

BETAS = np.linspace(1e-4, 0.02, 1000)


@pytest.fixture
def discrete():
    return js.schedules.DiscreteTime(np.cumprod(1 - BETAS))


@pytest.mark.parametrize("name", SCHEDULES)
def test_lambda_to_level_and_back(x64, name):
    schedule, lam = SCHEDULES[name], jnp.linspace(-6.0, 6.0, 41)
    level = schedule.level(lam)
    np.testing.assert_allclose(level.log_snr, lam, atol=1e-10)
    again = schedule.at(level.t)
    np.testing.assert_allclose(again.alpha, level.alpha, rtol=1e-9)
    np.testing.assert_allclose(again.sigma, level.sigma, rtol=1e-9)
    assert (np.diff(level.t) < 0).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_float32_levels_are_accurate(name):
    lam = np.linspace(-6, 6, 41).astype(np.float32)
    single = SCHEDULES[name].level(jnp.asarray(lam))
    with jax.enable_x64(True):
        double = SCHEDULES[name].level(jnp.asarray(lam, float))
    for a, b in zip(single, double, strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_the_derivatives(x64, name):
    schedule, t, step = SCHEDULES[name], 0.4, 1e-5
    above, below = schedule.at(t + step), schedule.at(t - step)
    np.testing.assert_allclose(schedule.rates(t)[0], (above.alpha - below.alpha) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(schedule.rates(t)[1], (above.sigma - below.sigma) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("wide", [False, True])
def test_the_cosine_schedule_ends_at_pure_noise_and_moves_there(wide):
    with jax.enable_x64(wide):
        cosine = js.schedules.Cosine()
        grid = js.grids.uniform(cosine, 8, sigma_max=np.inf)
        assert cosine.at(1.0).alpha == 0 and np.isinf(grid[0])
        np.testing.assert_allclose(cosine.rates(1.0), (-np.pi / 2, 0), atol=1e-6)
        exact = js.targets.ring().denoiser(cosine)

        def velocity(_, x, t, cond):
            """alpha' D + sigma' (x - alpha D) / sigma."""
            rates, level = jax.vmap(cosine.rates)(t), jax.vmap(cosine.at)(t)
            (a, s), (alpha, sigma) = ([part[:, None] for part in pair] for pair in (rates, level[:2]))
            x_0 = jax.vmap(lambda x, level: exact(x[None], level)[0])(x, level)
            return a * x_0 + s * (x - alpha * x_0) / sigma

        network = js.denoiser(velocity, None, cosine, prediction="velocity")
        ends = [js.sample(jax.random.key(0), one, (8, 2), js.samplers.DDIM(), grid=grid).x for one in (network, exact)]
        np.testing.assert_allclose(*ends, atol=1e-4)


def test_discrete_shows_the_network_trained_times_only(x64, discrete):
    table = np.asarray(discrete.table())
    for lam in (-4.0, -1.234, 0.7, 3.0):
        nearest = int(np.abs(table - lam).argmin())
        assert int(discrete.level(lam).t) == nearest
        np.testing.assert_allclose(discrete.trained(jnp.float64(lam)), table[nearest])
    level = discrete.at(jnp.array([0, 500, 999]))
    np.testing.assert_allclose(level.alpha**2, np.cumprod(1 - BETAS)[[0, 500, 999]])
    np.testing.assert_allclose(discrete.level(level.log_snr).alpha, level.alpha, rtol=1e-10)


def test_randomized_midpoint_nodes_are_trained_times(discrete):
    seen = []

    def network(params, x, t, cond):
        jax.debug.callback(lambda t: seen.extend(np.ravel(t)), t)
        assert jnp.issubdtype(t.dtype, jnp.integer)
        return params * x

    denoiser = js.denoiser(network, 0.0, discrete, "epsilon")
    js.sample(jax.random.key(0), denoiser, (3, 2), js.samplers.RandomizedMidpoint(), 10)
    jax.effects_barrier()
    # One node a step for each of 3 samples; the shared first and last levels are seen once.
    assert len(seen) == 3 * 10 + 2 and set(seen) <= set(range(1000)) and len(set(seen)) > 20


@pytest.mark.slow
def test_discrete_randomized_midpoint_still_converges_to_the_flow(x64, discrete):
    # Node times are rounded, so the error stops falling at the spacing of the trained times; it must get there.
    from tests.cases import g64, run

    target, grid = g64(), js.grids.log_snr(discrete, 40)
    start = 60.0 * jax.random.normal(jax.random.key(0), (32, 64))
    samples = []
    for schedule, sampler in (
        (discrete, js.samplers.RandomizedMidpoint()),
        (SCHEDULES["ou"], js.samplers.UniPC(order=3)),
    ):
        denoiser = target.denoiser(schedule)
        first, last = schedule.level(-jnp.log(grid[0])), schedule.level(-jnp.log(grid[-1]))
        x = run(sampler, denoiser, 32, None, grid=grid, init=first.alpha * start)
        samples.append(x / last.alpha)
    assert jnp.median(jnp.sqrt(jnp.mean((samples[0] - samples[1]) ** 2, 1))) < 1e-2


@pytest.mark.parametrize("sliding", quick([False, True], False))
def test_nodes_of_the_sde_stay_in_their_steps_between_trained_levels(discrete, sliding):
    """The trained level nearest to a node was outside of its step: NaN, and a sentence that blamed the denoiser."""
    from tests.cases import gaussian, run

    sampler = js.samplers.RandomizedMidpointSDE()
    sampler = js.samplers.ParaDiGMS(sampler, window=32) if sliding else sampler
    target, grid = gaussian(), np.geomspace(50.0, 0.02, 151)
    x = run(sampler, target.denoiser(discrete), 512, None, grid=grid)
    level = discrete.level(-jnp.log(grid[-1]))
    spread = level.alpha**2 * np.array([[1.0, 0.6], [0.6, 0.5]]) + level.sigma**2 * np.eye(2)
    whitened = np.linalg.solve(np.linalg.cholesky(spread), (x - level.alpha * np.array([0.5, -1.0])).T)
    # 1024 standard normal numbers: 4 deviations of their mean and of their mean square, false alarms 1e-4 each.
    assert abs(whitened.mean()) < 0.125 and abs((whitened**2).mean() - 1) < 0.18


@pytest.mark.parametrize(
    ("schedule", "argument"),
    [
        (lambda: js.schedules.VariancePreserving(2.0, 1.0), "beta_min"),
        (lambda: js.schedules.VariancePreserving(beta_max=-3), "0 <= beta_min < beta_max; got 0.1 and -3"),
        (lambda: js.schedules.VariancePreserving(-1.0), "0 <= beta_min < beta_max; got -1.0 and 20.0"),
        (lambda: js.schedules.VariancePreserving(0.1, np.inf), "0 <= beta_min < beta_max; got 0.1 and inf"),
        (lambda: js.schedules.VariancePreserving(0.1, np.nan), "0 <= beta_min < beta_max; got 0.1 and nan"),
        (lambda: js.schedules.DiscreteTime(np.ones(10)), "alphas_cumprod"),
        (lambda: js.schedules.DiscreteTime(np.linspace(0.1, 0.9, 10)), "alphas_cumprod"),
        (lambda: js.schedules.DiscreteTime(np.array([0.9, np.nan, 0.1])), "alphas_cumprod"),
        (lambda: js.schedules.DiscreteTime(BETAS), r"For betas, which increase, give numpy.cumprod\(1 - betas\)"),
    ],
)
def test_bad_settings_are_one_sentence_when_a_schedule_is_made(schedule, argument):
    with pytest.raises(ValueError, match=argument) as caught:
        schedule()
    assert "\n" not in str(caught.value)


def test_schedules_of_tracers_are_not_checked():
    of = jax.jit(lambda beta: js.schedules.VariancePreserving(0.1, beta).at(0.5).alpha)
    np.testing.assert_allclose(of(20.0), SCHEDULES["vp"].at(0.5).alpha, rtol=1e-6)
    of = jax.jit(lambda table: js.schedules.DiscreteTime(table).at(1).alpha)
    np.testing.assert_allclose(of(jnp.array([0.9, 0.25, 0.1])), 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("t", "error", "words"),
    [
        (1000, ValueError, "t must be from 0 to 999, the last trained time; got 1000"),
        (-1, ValueError, "t must be from 0 to 999, the last trained time; got -1"),
        (np.array([3, 1000]), ValueError, "got 1000"),
        (0.5, TypeError, "t must be integers for DiscreteTime.*; got dtype float32"),
    ],
)
def test_times_that_are_not_trained_are_one_sentence(discrete, t, error, words):
    with pytest.raises(error, match=words):
        discrete.at(t)


def test_the_table_of_discrete_times_has_the_digits_of_float64(discrete):
    for t in (0, 1, 10, 999):
        alpha2 = np.cumprod(1 - BETAS)[t]
        np.testing.assert_allclose(discrete.at(t).sigma, np.sqrt(1 - alpha2), rtol=1e-6)
        np.testing.assert_allclose(discrete.at(t).alpha, np.sqrt(alpha2), rtol=1e-6)
    np.testing.assert_allclose(discrete.limits()[0], np.sqrt(1e-4 / (1 - 1e-4)), rtol=1e-9)


def test_velocity_needs_a_derivative(discrete):
    with pytest.raises(TypeError, match="velocity"):
        js.denoiser(lambda params, x, t, cond: x, None, discrete, "velocity")


FROM_DIFFUSERS = js.schedules.DiscreteTime.from_diffusers


def test_configs_of_diffusers_say_what_the_network_predicts():
    words = {"epsilon": "epsilon", "sample": "x0", "v_prediction": "v"}
    assert {name: FROM_DIFFUSERS({"prediction_type": name})[1] for name in words} == words
    schedule, prediction = FROM_DIFFUSERS({})  # their defaults
    assert prediction == "epsilon"
    np.testing.assert_allclose(schedule.alphas_cumprod, np.cumprod(1 - BETAS), rtol=1e-12)


@pytest.mark.parametrize("name", ["DDIMScheduler", "UniPCMultistepScheduler"])
def test_only_one_step_schedulers_of_diffusers_reach_pure_noise(name):
    latent = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    schedule, _ = FROM_DIFFUSERS({"_class_name": name, "rescale_betas_zero_snr": True, **latent})
    assert schedule.alphas_cumprod[-1] == (0 if name == "DDIMScheduler" else 2**-24)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"beta_schedule": "sigmoid"}, "beta_schedule must be one of 'linear', .*; got 'sigmoid'"),
        ({"prediction_type": "v"}, "prediction_type must be one of 'epsilon', 'sample', 'v_prediction'; got 'v'"),
        (
            {"prediction_type": "flow_prediction"},
            "betas; got 'flow_prediction': use .*RectifiedFlow[(][)] and 'velocity'",
        ),
        (
            {"_class_name": "UniPCMultistepScheduler", "rescale_betas_zero_snr": True},
            "rescale_betas_zero_snr of UniPCMultistepScheduler puts 2.-24 .* below the one before it, 4.2e-09",
        ),
        ({"use_flow_sigmas": True}, "betas; got 'use_flow_sigmas': use .*RectifiedFlow[(][)]"),
        ({"beta_strat": 0.1}, "config must hold known settings .* got 'beta_strat'. Did you mean 'beta_start'?"),
        ({"shift": 3.0}, "config must hold known settings .* got 'shift'"),
        ({"use_karras_sigmas": True}, "config must not set use_karras_sigmas, which is not supported, to True"),
        ({"thresholding": True}, "config must not set thresholding, .* to True; it may be False"),
        ({"variance_type": "learned_range"}, "config must not set variance_type, .* to 'learned_range'"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "got 'FlowMatch.*: use jaxsamp.schedules.RectifiedFlow"),
        ({"_class_name": "LCMScheduler", "beta_end": 0.1}, "config of LCMScheduler must hold num_train_timesteps, "),
        ({"trained_betas": [0.1, 1.5]}, "trained_betas must be at least 2 numbers between 0 and 1; got .0.1 1.5"),
        ({"beta_end": None}, "beta_start and beta_end must be numbers between 0 and 1; got 0.0001 and None"),
        ({"trained_betas": [0.1, 0.2], "num_train_timesteps": 3}, "num_train_timesteps must be .*, 2; got 3"),
        ("nowhere/scheduler_config.json", "config must be a dict, a JSON file or a folder .*; got nowhere"),
        ([], "config must be a dict, a JSON file or a folder .*; got a list"),
    ],
)
def test_configs_that_are_not_understood_are_one_sentence(config, sentence):
    make = inspect.unwrap(js.schedules.DiscreteTime.from_diffusers.__func__)
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        make(js.schedules.DiscreteTime, config)
    assert "\n" not in str(caught.value)
