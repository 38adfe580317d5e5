"""What must not change a sample: the schedule, the batch, the microbatch, the progress bar, the age of the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import ADAPTIVE, EVERY, SAMPLERS, SCHEDULES, g64, network, quick, run, small_mixture

EVERYWHERE = ("ddpm", "unipc3", "randomized")


@pytest.mark.parametrize("name", quick(SAMPLERS, "ddpm", "unipc2", "randomized"))
def test_same_lambda_grid_gives_same_samples_under_every_schedule(x64, name):
    target, grid = small_mixture(), jnp.geomspace(60.0, 0.03, 13)
    names = SCHEDULES if name in EVERYWHERE else ("ve", "flow")
    samples = {}
    for schedule in names:
        denoiser = target.denoiser(SCHEDULES[schedule])
        alpha = denoiser.schedule.level(-jnp.log(grid[-1])).alpha
        samples[schedule] = run(SAMPLERS[name], denoiser, 32, None, grid=grid) / alpha
    for schedule in names:
        np.testing.assert_allclose(samples[schedule], samples["ve"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_batch_size_does_not_change_a_sample(name):
    adaptive = name in ADAPTIVE
    with jax.enable_x64(adaptive):
        denoiser = g64().denoiser(SCHEDULES["ou"])
        few, many = (run(SAMPLERS[name], denoiser, n, 8) for n in (7, 512 if adaptive else 4096))
        close = np.isclose(few, many[:7], *((1e-10, 1e-10) if adaptive else (1e-5, 1e-5))).all(1)
    assert close.mean() >= 0.999


@pytest.mark.parametrize("name", quick(["ddpm", "unipc2", "randomized"], "ddpm"))
def test_microbatch_is_exact_in_float64(x64, name):
    whole, pieces = (run(SAMPLERS[name], network(), 10, 6, event=(2,), microbatch=m) for m in (None, 4))
    np.testing.assert_allclose(whole, pieces, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", quick(EVERYWHERE, "randomized"))
def test_progress_and_saved_path_do_not_change_a_sample(name, capsys):
    denoiser = network("vp")
    options = {"final_denoise": False, "save_every": 10}
    saved, shown = (
        js.sample(jax.random.key(0), denoiser, (10, 2), SAMPLERS[name], 42, **options, **how)
        for how in ({}, {"progress": True, "microbatch": 4})
    )
    plain = run(SAMPLERS[name], denoiser, 10, 42, event=(2,))
    assert saved.path.shape == (10, 5, 2)
    for a, b in ((saved.x, plain), (shown.x, plain), (shown.path, saved.path)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_path_holds_the_states_at_the_grid():
    denoiser = network("flow")
    grid = np.asarray(js.grids.log_snr(denoiser.schedule, 12))
    options = {"final_denoise": False}
    whole = js.sample(jax.random.key(0), denoiser, (5, 2), SAMPLERS["ddim"], grid=grid, save_every=4, **options)
    for k in (1, 2, 3):
        short = js.sample(jax.random.key(0), denoiser, (5, 2), SAMPLERS["ddim"], grid=grid[: 4 * k + 1], **options)
        np.testing.assert_allclose(whole.path[:, k], short.x, rtol=1e-5, atol=1e-6)
    first = denoiser.schedule.level(-jnp.log(grid[0])).sigma
    prior = jax.jit(jax.vmap(lambda key: js.core.random.Rng(key, (2,), "float32").prior()))
    start = prior(js.core.random.sample_keys(jax.random.key(0), 5))
    np.testing.assert_allclose(whole.path[:, 0], first * start, rtol=1e-5)


def linear(params, x, t, cond):
    """A network of a scale and a shift."""
    shift = 0.0 if cond is None else cond[:, None]
    return params["w"] * x / (1 + t[:, None]) + params["b"] + shift


@pytest.mark.parametrize("name", EVERY)
def test_new_weights_keys_and_grids_do_not_recompile(name):
    schedule = SCHEDULES["ou"]

    def go(seed, w, sigma_min):
        denoiser = js.denoiser(linear, {"w": jnp.float32(w), "b": jnp.ones(3)}, schedule, "x0")
        denoiser = denoiser.with_calibration(js.calibration.from_sigma_data(1.0 + w))
        grid = js.grids.log_snr(schedule, 6, sigma_min=sigma_min)
        return js.sample(jax.random.key(seed), denoiser, (4, 3), SAMPLERS[name], grid=grid).x

    first = go(0, 0.5, 0.02)
    with jax.no_tracing(True):
        second = go(1, 0.7, 0.05)
    assert not np.allclose(first, second)


def test_new_guidance_scale_and_eta_do_not_recompile():
    def go(scale, eta):
        inner = js.denoiser(linear, {"w": jnp.float32(0.5), "b": jnp.ones(3)}, SCHEDULES["ve"], "x0")
        guided = js.guide(inner, scale, null=0.0)
        return js.sample(jax.random.key(0), guided, (4, 3), js.samplers.DDIM(eta=eta), 6, cond=jnp.ones(4)).x

    first = go(1.0, 0.2)
    with jax.no_tracing(True):
        others = go(3.0, 0.2), go(1.0, 0.9)
    assert not any(np.allclose(first, other) for other in others)


def test_memory_does_not_grow_with_steps():
    def temporary(steps):
        call = lambda key: js.sample(key, network(), (256, 64), SAMPLERS["unipc2"], steps).x  # noqa: E731
        return jax.jit(call).lower(jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

    assert temporary(400) < temporary(8) + 400 * 64


def test_compile_size_does_not_grow_with_steps():
    def lines(steps):
        call = lambda key: js.sample(key, network(), (8, 64), SAMPLERS["unipc3"], steps).x  # noqa: E731
        return len(jax.jit(call).lower(jax.random.key(0)).as_text().splitlines())

    assert lines(500) == lines(10)


@pytest.mark.parametrize(
    "name", quick(["ddpm", "heun", "unipc2", "randomized", "randomized_paper"], "ddpm", "unipc2", "randomized")
)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_dtype_and_shape_of_the_start_are_kept(x64, name, dtype):
    init = jnp.asarray(80 * np.random.default_rng(0).normal(size=(6, 2)), dtype)
    x = run(SAMPLERS[name], network("ve"), 6, 5, event=(2,), init=init)
    assert x.dtype == init.dtype and x.shape == init.shape
    assert run(SAMPLERS[name], network("ve"), 6, 5, event=(2,)).dtype == jnp.float64


def test_inside_jit_vmap_and_grad():
    denoiser, sampler = network(), SAMPLERS["randomized"]
    draw = lambda key: js.sample(key, denoiser, (6, 2), sampler, 8).x  # noqa: E731
    keys = jax.random.split(jax.random.key(5), 2)
    np.testing.assert_allclose(jax.jit(draw)(keys[0]), draw(keys[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(draw))(keys)[1], draw(keys[1]), rtol=1e-4, atol=1e-5)
    flow = lambda init: js.sample(keys[0], denoiser, (1, 2), SAMPLERS["heun"], 8, init=init).x.sum()  # noqa: E731
    start, shift = np.float32([[0.4, -0.8]]), np.float32([[1e-2, 0.0]])
    numeric = (flow(start + shift) - flow(start - shift)) / 2e-2
    np.testing.assert_allclose(jax.jit(jax.grad(flow))(start)[0, 0], numeric, rtol=2e-2)
