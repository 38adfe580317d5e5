"""Every row of the change of variables is the same equation, and keeps its digits in float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp import calibration
from jaxsamp_kernels import frame as frames


def make(name):
    if name == "calibrated":
        return calibration.from_sigma_data(0.5).frame
    return getattr(frames, name.upper())


NAMES = ("data", "noise", "score", "localization", "rotation", "straight", "calibrated")
scale, rate, delta, advance = (
    jax.jit(lambda frame, *at, of=of: getattr(frame, of)(*at))
    for of in ("scale", "clock_rate", "clock_delta", "advance")
)


@functools.cache
def moved(name):
    """Along the flow by the chain rule, and by the clock."""
    frame = make(name)  # some choose by their own numbers what to do, so that they are no arguments

    @jax.jit
    def both(x, denoised, drift, lam):
        value, slope = jax.jvp(frame.scale, (lam,), (jnp.ones_like(lam),))
        return drift / value - x * slope / value**2, frame.integrand(x, denoised, lam) * frame.clock_rate(lam)

    return both


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lam", [-4.0, -0.3, 3.5])
def test_frame_is_the_flow_in_other_coordinates(x64, name, lam):
    # dx/dlambda = D - x along the flow, twice that along the drift of the reverse SDE.
    x, denoised = np.array([1.3, -0.7]), np.array([0.2, 0.9])
    drift = (denoised - x) * (2 if name == "localization" else 1)
    moving, expected = moved(name)(x, denoised, drift, np.float64(lam))
    np.testing.assert_allclose(moving, expected, rtol=1e-6 if name == "calibrated" else 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_clock_delta_integrates_the_clock_rate(x64, name):
    frame = make(name)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for lam0, lam1 in [(-4.0, -3.7), (-1.0, 2.0), (3.5, 3.9)]:
        lam = 0.5 * (lam1 - lam0) * nodes + 0.5 * (lam0 + lam1)
        quadrature = 0.5 * (lam1 - lam0) * weights @ np.asarray(rate(frame, lam))
        np.testing.assert_allclose(delta(frame, lam0, lam1), quadrature, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_advance_inverts_the_clock(x64, name):
    frame = make(name)
    for lam0, lam1 in [(-4.38, 3.91), (-4.0, -3.7), (3.5, 3.9)]:
        for u in (0.0, 1e-3, 0.3, 0.9, 1.0):
            passed = delta(frame, lam0, advance(frame, lam0, u, lam1))
            np.testing.assert_allclose(passed, u * delta(frame, lam0, lam1), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lam0", [-4.3, 3.8, 6.0])
def test_float32_keeps_the_digits_of_small_steps(name, lam0):
    lam0 = np.float32(lam0)
    lam1 = np.float32(lam0 + 0.05)
    single = delta(make(name), lam0, lam1)
    with jax.enable_x64(True):
        double = delta(make(name), np.float64(lam0), np.float64(lam1))
    assert (single.dtype, double.dtype) == (jnp.float32, jnp.float64)
    np.testing.assert_allclose(single, double, rtol=5e-6)


def test_calibration_of_a_gaussian_is_the_closed_form(x64):
    # a = s^2 / (s^2 + sigma^2) integrates to Phi = sqrt(s^2 + sigma^2) and kappa = asinh(s e^lambda) / s.
    frame, s = make("calibrated"), 0.5
    lam = np.array([-3.0, 0.1, 2.7])
    np.testing.assert_allclose(scale(frame, lam), np.sqrt(s**2 + np.exp(-2 * lam)), rtol=1e-8)
    kappa = np.arcsinh(s * np.exp(lam)) / s
    np.testing.assert_allclose(delta(frame, lam[0], lam[2]), kappa[2] - kappa[0], rtol=1e-8)


def test_a_linear_denoiser_is_exact_in_one_calibrated_step(x64):
    frame, s2 = make("calibrated"), 0.25
    lam0, lam1, x = np.float64(-2.0), np.float64(3.0), np.array([2.0])
    denoised = s2 / (s2 + np.exp(-2 * lam0)) * x
    step = jax.jit(lambda frame, lam0, lam1: frames.step(frame, x, frame.integrand(x, denoised, lam0), lam0, lam1))
    stepped = step(frame, lam0, lam1)
    exact = x * np.sqrt((s2 + np.exp(-2 * lam1)) / (s2 + np.exp(-2 * lam0)))
    np.testing.assert_allclose(stepped, exact, rtol=1e-6)


def test_calibration_from_a_curve_passes_through_it(x64):
    lam = np.linspace(-4, 4, 40)
    a = 1 / (1 + np.exp(-2 * lam)) * 0.9 + 0.01
    frame = calibration.from_curve(lam, a).frame
    slope = jax.jit(jax.vmap(jax.grad(lambda v: jnp.log(frame.scale(v)))))(lam[1:-1])
    np.testing.assert_allclose(slope + 1, a[1:-1], atol=1e-5)
    for bad in ((lam[::-1], a), (lam, a * 2), (lam[:3], a[:3])):
        with pytest.raises(ValueError, match="log_snr|linear"):
            calibration.from_curve(*bad)
    with pytest.raises(ValueError, match="sigma_data must be above 0"):
        calibration.from_sigma_data(0.0)
