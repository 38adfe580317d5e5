"""Starts at alpha = 0: schedules that end in pure noise, for networks of v."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.samplers import DDIM, DDPM, DPMSolverPP, Heun, Midpoint, ParallelMidpoint, RandomizedMidpoint, UniPC

KEY = jax.random.key(0)


def rescaled():
    """Stable Diffusion's betas, rescaled to end in pure noise; arXiv 2305.08891, algorithm 1."""
    root = np.sqrt(np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))
    return js.schedules.DiscreteTime(((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2)


def network(params, x, t, cond):
    return jnp.tanh(x) * (1 + t[:, None] / 1000)


SCHEDULE = rescaled()
DENOISER = js.denoiser(network, None, SCHEDULE, "v")
# One object, so that the tests of all samplers share what is compiled.
HALF = js.denoiser(lambda params, x, t, cond: 0.5 * x, None, js.schedules.RectifiedFlow(), "velocity")
# DDIMScheduler of diffusers 0.42 with rescale_betas_zero_snr, v_prediction and timestep_spacing="trailing", 8 steps.
TIMES = np.array([999, 874, 749, 624, 499, 374, 249, 124])
START = np.array([[0.5, -1.0], [1.5, 0.25]])
FIRST = [[0.43175859, -0.887072], [1.36496738, 0.21387197]]
LAST = [[0.02719357, -0.06426383], [0.12393108, 0.01301141]]


def grid():
    return np.exp(-SCHEDULE.lam[TIMES])


def test_samples_from_pure_noise_are_those_of_diffusers(x64):
    assert grid()[0] == np.inf
    out = js.sample(KEY, DENOISER, (2, 2), DDIM(), grid=grid(), init=START, save_every=1)
    np.testing.assert_array_equal(out.path[:, 0], START)
    np.testing.assert_allclose(out.path[:, 1], FIRST, atol=3e-6)  # their table is in float32
    np.testing.assert_allclose(out.x, LAST, atol=3e-6)
    assert set(np.asarray(out.stats["evaluations"])) == set(np.asarray(out.stats["rounds"])) == {8}
    assert out.path.shape == (2, 8, 2) and np.isfinite(out.path).all()


@pytest.mark.parametrize(
    "sampler",
    [
        DDPM(),
        UniPC(),
        RandomizedMidpoint(),
        ParallelMidpoint.blocked(4),
        *(pytest.param(s, marks=pytest.mark.slow) for s in (DDIM(eta=0.5), DPMSolverPP(order=3), Midpoint())),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_samplers_of_the_data_frame_start_at_pure_noise(sampler):
    """The same samples as from a level next to pure noise, up to the distance to it, whatever the coordinates."""
    levels = np.geomspace(4.0, 0.1, 5)
    whole = js.sample(KEY, HALF, (2, 2), sampler, grid=np.append(np.inf, levels))
    z = js.sample(KEY, HALF, (2, 2), DDIM(), grid=np.array([np.inf, 4.0, 1.0]), save_every=1).path[:, 0]
    first = HALF.schedule.level(-np.log(4.0))
    start = first.alpha * 0.5 * z + first.sigma * z  # D = x - v = x / 2 at t = 1
    rest = js.sample(KEY, HALF, (2, 2), sampler, grid=levels, init=start)
    np.testing.assert_allclose(whole.x, rest.x, rtol=1e-5)
    for count in ("evaluations", "rounds"):
        np.testing.assert_array_equal(whole.stats[count], rest.stats[count] + 1)


@pytest.mark.slow
def test_microbatches_progress_and_paths_do_not_matter():
    draw = lambda **options: js.sample(KEY, DENOISER, (5, 2), DDIM(), grid=grid(), **options)  # noqa: E731
    plain = draw()
    for options in ({"microbatch": 2}, {"progress": True}, {"save_every": 3}):
        np.testing.assert_allclose(draw(**options).x, plain.x, rtol=1e-5)
    assert draw(save_every=3).path.shape == (5, 3, 2)


def test_the_rule_in_time_starts_at_pure_noise():
    levels = js.grids.uniform(SCHEDULE, 10, sigma_max=np.inf)
    first, second = np.asarray(jax.jit(SCHEDULE.level)(-jnp.log(levels)).t)[:2]
    assert levels[0] == np.inf and first == 999
    assert second < 999  # no finite level is taken for pure noise
    with pytest.raises(ValueError, match="sigma_max must be finite, except for the rule 'uniform'; got inf"):
        js.grids.log_snr(SCHEDULE, 10, sigma_max=np.inf)
    assert np.isfinite(js.grids.log_snr(SCHEDULE, 10)).all()


def test_all_times_are_drawn_in_training():
    level, _ = js.losses.UniformTime().draw(KEY, 20000, SCHEDULE)
    assert int(level.t.max()) == 999 and float(level.alpha.min()) == 0  # P(missing) = exp(-20)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampler": Heun()}, "grid must start at a finite sigma / alpha for Heun; got infinity, pure noise"),
        ({"sampler": RandomizedMidpoint(frame="noise")}, "for RandomizedMidpoint; got infinity"),
        ({"grid": np.array([np.inf, 1.0])}, "steps must be at least 2 for a grid that starts at pure noise; got 1"),
        (
            {"denoiser": js.denoiser(network, None, SCHEDULE)},
            "prediction must be 'v', 'x0' or 'velocity'.*got 'epsilon'",
        ),
        ({"denoiser": js.clip(js.denoiser(network, None, SCHEDULE, "score"))}, "got 'score'"),
        ({"denoiser": js.denoiser(network, None, js.schedules.EDM(), "v")}, "grid must be finite; got inf"),
        (
            {"denoiser": js.posterior(DENOISER, jnp.ones(2), jnp.array([True, False]), 0.1)},
            "grid must start at a finite sigma / alpha for a PosteriorDenoiser, which divides by alpha; got infinity",
        ),
        ({"grid": np.array([np.inf, 1.0, np.inf])}, "grid must be finite; got inf"),
    ],
)
def test_others_refuse_pure_noise_in_one_sentence(change, words):
    call = {"denoiser": DENOISER, "shape": (2, 2), "sampler": DDIM(), "grid": grid()} | change
    with pytest.raises(ValueError, match=words) as caught:
        inspect.unwrap(js.sample)(KEY, **call)
    assert "\n" not in str(caught.value)


def test_densities_refuse_pure_noise():
    with pytest.raises(ValueError, match="grid must start at a finite sigma / alpha for a density; got infinity"):
        js.log_likelihood(KEY, DENOISER, jnp.zeros((1, 2)), grid=grid())
    with pytest.raises(ValueError, match="grid must start at a finite sigma / alpha for a density; got infinity"):
        js.sample_and_log_prob(KEY, DENOISER, (2, 2), grid=grid())
