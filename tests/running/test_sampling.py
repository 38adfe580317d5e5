"""The front door: what it returns, and one sentence for each thing it cannot take."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import SCHEDULES, small_mixture

DENOISER = small_mixture().denoiser(SCHEDULES["ou"])
KEY = jax.random.key(0)


def test_defaults_give_samples_and_stats():
    out = js.sample(KEY, DENOISER, (5, 2))
    assert out.x.shape == (5, 2) and out.x.dtype == jnp.float32 and out.path is None
    assert set(out.stats) == {
        "rounds", "evaluations", "evaluations_computed", "surrogate_evaluations", "converged", "residual",
        "first_bad_step",
    }  # fmt: skip
    assert all(value.shape == (5,) for value in out.stats.values())
    assert not out.stats["surrogate_evaluations"].any()
    assert int(out.stats["evaluations"][0]) == int(out.stats["rounds"][0]) == 33 and bool(out.stats["converged"].all())


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [
        (js.samplers.DDIM(), 8),
        (js.samplers.Heun(), 16),
        (js.samplers.UniPC(), 8),
        (js.samplers.RandomizedMidpoint(), 9),
        (js.samplers.RandomizedMidpoint(reuse=False), 16),
    ],
)
def test_declared_evaluations_are_the_calls_made(sampler, evaluations):
    calls = []

    def network(params, x, t, cond):
        jax.debug.callback(lambda _: calls.append(1), x.sum())
        return x

    denoiser = js.denoiser(network, None, SCHEDULES["ve"], "v")
    out = js.sample(KEY, denoiser, (1, 2), sampler, 8, final_denoise=False)
    jax.effects_barrier()
    assert len(calls) == evaluations == int(out.stats["evaluations"][0]) == int(out.stats["rounds"][0])


def test_init_is_in_the_schedules_own_scale():
    grid = jnp.array([2.0, 1.0, 0.5])
    level = SCHEDULES["ou"].level(-jnp.log(grid[0]))
    init = level.alpha * jnp.array([[1.0, -1.0]])
    out = js.sample(KEY, DENOISER, (1, 2), js.samplers.DDIM(), grid=grid, init=init, save_every=1, final_denoise=False)
    np.testing.assert_allclose(out.path[:, 0], init, rtol=1e-6)
    denoised = small_mixture().posterior_mean(init, level)
    first = SCHEDULES["ou"].level(-jnp.log(grid[1]))
    expected = first.alpha * (denoised + (init / level.alpha - denoised) * 0.5)
    np.testing.assert_allclose(out.path[:, 1], expected, rtol=1e-5)


def test_one_sample_and_events_of_any_rank():
    image = js.denoiser(lambda p, x, t, c: x * 0, None, SCHEDULES["ve"], "x0")
    assert js.sample(KEY, image, (3, 4, 4, 1), steps=2).x.shape == (3, 4, 4, 1)
    assert js.sample(KEY, image, (3,), steps=2).x.shape == (3,)


def test_calibrated_frame_reads_the_denoisers_tables(x64):
    target = js.targets.GaussianMixture([1.0], [[0.0, 0.0]], 0.25 * np.eye(2)[None])
    denoiser = target.denoiser(SCHEDULES["ou"]).with_calibration(js.calibration.from_sigma_data(0.5))
    sampler = js.samplers.RandomizedMidpoint(frame="calibrated")
    out = js.sample(KEY, denoiser, (4, 2), sampler, 1, final_denoise=False, save_every=1)
    # The denoiser of this Gaussian is linear and the tables take it out: one step is exact.
    first, last = (SCHEDULES["ou"].level(-jnp.log(s)) for s in (80.0, 0.02))
    ratio = jnp.sqrt((0.25 * last.alpha**2 + last.sigma**2) / (0.25 * first.alpha**2 + first.sigma**2))
    np.testing.assert_allclose(out.x, ratio * out.path[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    "sampler", [js.samplers.ParallelMidpoint(8, 2), js.samplers.UniPC(frame="calibrated"), js.samplers.SlidingWindow(8)]
)
def test_steps_have_the_precision_of_the_start_also_under_x64(x64, sampler):
    denoiser = js.targets.ring().denoiser(SCHEDULES["ve"])
    start = jnp.asarray(80 * jax.random.normal(KEY, (3, 2)))
    wide, narrow = (js.sample(KEY, denoiser, (3, 2), sampler, init=start.astype(d)).x for d in (float, jnp.float32))
    assert (wide.dtype, narrow.dtype) == (jnp.float64, jnp.float32)
    np.testing.assert_allclose(narrow, wide, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("wrap", [lambda sampler: sampler, js.samplers.PredictorCorrector])
def test_calibrated_frame_without_a_calibration_names_the_way_to_one(wrap):
    sampler = wrap(js.samplers.RandomizedMidpoint(frame="calibrated"))
    with pytest.raises(ValueError, match=r"needs a denoiser with a calibration.*jaxsamp\.calibrate"):
        js.sample(KEY, spoiled(5), (4, 2), sampler, 4)


def spoiled(step):
    """NaN for half of the batch once the noise is below the level of that step."""
    grid = js.grids.log_snr(SCHEDULES["ve"], 8)

    def network(params, x, t, cond):
        return jnp.where((t[:, None] < grid[step] * 1.01) & cond[:, None], jnp.nan, x * 0)

    return js.denoiser(network, None, SCHEDULES["ve"], "x0")


@pytest.mark.parametrize("progress", [False, True])
def test_non_finite_network_output_names_the_step_and_the_count(progress, capsys):
    cond = jnp.array([True, False, True, False])
    with pytest.raises(ValueError, match=r"finite.* 2 of 4 samples .* first at step 5 of 8"):
        js.sample(KEY, spoiled(5), (4, 2), js.samplers.DDIM(), 8, cond=cond, progress=progress)
    quiet = jax.jit(lambda cond: js.sample(KEY, spoiled(5), (4, 2), js.samplers.DDIM(), 8, cond=cond).stats)(cond)
    np.testing.assert_array_equal(quiet["first_bad_step"], [5, -1, 5, -1])
    np.testing.assert_array_equal(quiet["converged"], [False, True, False, True])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"key": jax.random.PRNGKey(0)}, TypeError, "key must be a typed key.*uint32"),
        ({"key": 0}, TypeError, "key must be a typed key.*int"),
        ({"key": jax.random.split(KEY, 3)}, ValueError, "single key"),
        ({"denoiser": lambda x: x}, TypeError, "denoiser must be a denoiser"),
        ({"sampler": "unipc"}, TypeError, "sampler must be one of"),
        ({"sampler": js.samplers.UniPC}, TypeError, "sampler must be one of"),
        ({"shape": (5, 3)}, ValueError, r"shape must be .*\(2,\); got \(5, 3\)"),
        ({"shape": (0, 2)}, ValueError, "at least 1; got 0"),
        ({"shape": 5}, TypeError, "shape must be a tuple"),
        ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
        ({"steps": 2.5}, TypeError, "steps must be an integer"),
        ({"grid": "log-snr"}, ValueError, "Did you mean 'log_snr'"),
        ({"grid": jnp.array([1.0, 2.0])}, ValueError, "decrease strictly"),
        ({"init": jnp.zeros((4, 2))}, ValueError, "init must have the given shape"),
        ({"cond": jnp.zeros((4, 2))}, ValueError, "cond must have leaves of shape"),
        ({"microbatch": 0}, ValueError, "microbatch must be at least 1; got 0"),
        ({"save_every": -1}, ValueError, "save_every must be at least 0"),
        ({"sampler": js.samplers.RandomizedMidpoint(frame="dta")}, ValueError, "Did you mean 'data'"),
        ({"sampler": js.samplers.RandomizedMidpoint(clock="uniform")}, ValueError, "clock must be one of"),
        ({"sampler": js.samplers.UniPC(order=4)}, ValueError, "order must be 1, 2 or 3; got 4"),
        ({"sampler": js.samplers.UniPC(variant="bh3")}, ValueError, "variant must be one of"),
        ({"sampler": js.samplers.DDIM(eta=1.5)}, ValueError, r"eta must be None or a number in \[0, 1\]; got 1.5"),
    ],
)
def test_bad_input_is_one_sentence(change, error, words):
    call = {"key": KEY, "denoiser": DENOISER, "shape": (5, 2)} | change
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(js.sample)(**call)  # as users call it, without the tests' type checker
    assert "\n" not in str(caught.value)


def test_settings_are_checked_inside_jit_too():
    sampler = js.samplers.RandomizedMidpoint(frame="dta")
    with pytest.raises(ValueError, match="Did you mean 'data'"):
        jax.jit(lambda key: js.sample(key, DENOISER, (5, 2), sampler, 4).x)(KEY)
    noisy = jax.jit(lambda eta: js.sample(KEY, DENOISER, (5, 2), js.samplers.DDIM(eta=eta), 4).x)(0.5)
    np.testing.assert_allclose(noisy, js.sample(KEY, DENOISER, (5, 2), js.samplers.DDIM(eta=0.5), 4).x, rtol=1e-4)


def test_samplers_by_name():
    assert js.samplers.by_name("heun") == js.samplers.Heun()
    with pytest.raises(ValueError, match="Did you mean 'unipc'"):
        js.samplers.by_name("unipcc")


def test_ddim_with_full_noise_is_ddpm(x64):
    a, b = (js.sample(KEY, DENOISER, (6, 2), s, 12).x for s in (js.samplers.DDIM(eta=1.0), js.samplers.DDPM()))
    np.testing.assert_allclose(a, b, rtol=1e-9)
    a, b = (js.sample(KEY, DENOISER, (6, 2), js.samplers.DDIM(eta=eta), 12).x for eta in (0.0, None))
    np.testing.assert_allclose(a, b, rtol=1e-9)
