"""Steps in the straight and in the rotation frame are those of flow matching and of v prediction, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.samplers import DDIM, ExponentialEuler, Heun


def network(params, x, t, cond):
    """Any prediction, as a function that NumPy computes too."""
    return np.cos(1.3) * x / (1 + x * x) - 0.4 * x * t[:, None]


def predicted(x, t):
    return network(None, x, np.full(len(x), t), None)


def drawn(sampler, schedule, prediction, times, init):
    denoiser = js.denoiser(network, None, schedule, prediction)
    grid = np.exp(-np.asarray(schedule.at(jnp.asarray(times)).log_snr))
    options = {"grid": grid, "init": init, "final_denoise": False}
    return js.sample(jax.random.key(0), denoiser, init.shape, sampler, **options).x


@pytest.mark.parametrize("heun", [False, True])
def test_the_straight_frame_is_flow_matching_in_its_time(x64, heun):
    times, x = np.linspace(0.98, 0.03, 6), np.random.default_rng(0).normal(size=(4, 3))
    sampler = Heun(frame="straight") if heun else ExponentialEuler("straight")
    ours = drawn(sampler, js.schedules.RectifiedFlow(), "velocity", times, x)
    for t0, t1 in zip(times[:-1], times[1:], strict=True):
        slope = predicted(x, t0)
        if heun:
            slope = (slope + predicted(x + (t1 - t0) * slope, t1)) / 2
        x = x + (t1 - t0) * slope
    np.testing.assert_allclose(ours, x, rtol=1e-10)


@pytest.mark.parametrize("name", ["euler", "heun", "ddim"])
def test_the_rotation_frame_is_v_prediction_in_the_angle(x64, name):
    times, x = np.linspace(0.95, 0.05, 6), np.random.default_rng(1).normal(size=(4, 3))
    sampler = {"euler": ExponentialEuler("rotation"), "heun": Heun(frame="rotation"), "ddim": DDIM()}[name]
    ours = drawn(sampler, js.schedules.Cosine(), "v", times, x)
    for t0, t1 in zip(times[:-1], times[1:], strict=True):
        turn, v = (t1 - t0) * np.pi / 2, predicted(x, t0)
        if name == "ddim":  # x and v turn together while D and epsilon are frozen
            x = np.cos(turn) * x + np.sin(turn) * v
            continue
        if name == "heun":
            v = (v + predicted(x + turn * v, t1)) / 2
        x = x + turn * v
    np.testing.assert_allclose(ours, x, rtol=1e-10)


def test_heun_takes_a_known_frame_alone():
    with pytest.raises(ValueError, match="frame must be"):
        Heun(frame="velocity").check()
