"""Steps of a surrogate through a window: their weights against quadrature, their order, and their limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp import calibration
from jaxsamp_kernels import frame as frames
from jaxsamp_kernels import march, window
from tests.kernels.test_window import LAM0, LAM1, curves, integral

FRAMES = {"data": lambda: frames.DATA, "per_coordinate": curves}


@pytest.mark.parametrize("name", ["data", pytest.param("per_coordinate", marks=pytest.mark.slow)])
def test_steps_integrate_parabolas(x64, name):
    """Step i adds the integral over itself, scaled; the first two know too few places for a parabola."""
    frame, parabola = FRAMES[name](), lambda lam: 1 - lam + 0.3 * lam**2

    @jax.jit
    def found(frame, lam0, lam1):
        lam = window.gauss_window(frame, lam0, lam1, 6).lam
        table, still = march.steps(frame, lam0, lam, lam1), jnp.zeros((6, 2))
        change = lambda x, at: (jnp.full(2, parabola(at)), None)  # noqa: E731
        states, _, end = march.march(table, change, still, still[0], lam, jnp.full(2, parabola(lam0)))
        return lam, jnp.concatenate([states, end[None]]), jnp.broadcast_to(table.ratio.T, (2, 7)).T

    lam, states, ratio = map(np.asarray, found(frame, np.float64(LAM0), np.float64(LAM1)))
    places = [*lam, LAM1]
    for c in (0, 1):
        exact = np.array([integral(frame, parabola, at, c) for at in places])
        np.testing.assert_allclose(np.diff(states[:, c])[1:], (exact[1:] - exact[:-1] * ratio[1:, c] + (
            ratio[1:, c] - 1) * states[:-1, c])[1:], rtol=1e-6)  # fmt: skip


@jax.jit
def logistic(nodes):
    """Distance of the marched end of dx/dlambda = x (1 - x) in the data frame, x' = g - x, to the known one."""
    lam = 0.5 * (LAM0 + LAM1) + 0.5 * (LAM1 - LAM0) * nodes
    table = march.steps(frames.DATA, jnp.float64(LAM0), lam, jnp.float64(LAM1))
    slope = lambda x, at: (x * (1 - x) + x, None)  # noqa: E731
    start = jnp.array([0.1])
    ratio = jnp.exp(LAM0 - lam)[:, None] * start
    end = march.march(table, slope, ratio, jnp.exp(LAM0 - LAM1) * start, lam, slope(start, LAM0)[0])[2]
    return jnp.abs(end[0] - 1 / (1 + 9 * jnp.exp(LAM0 - LAM1)))


def test_the_error_of_a_march_falls_at_its_order(x64):
    counts = [16, 32, 64]
    errors = [float(logistic(jnp.asarray(np.polynomial.legendre.leggauss(n)[0]))) for n in counts]
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(slope - march.ORDER) < 0.4, slope


def test_a_frame_of_one_curve_gives_the_same_steps_as_equal_curves(x64):
    one, lam = calibration.from_sigma_data(0.5).frame, jnp.linspace(-1.5, 2.0, 4)
    curves = frames.Calibrated(one.start, one.spacing, *(jnp.stack([v] * 2, 1) for v in (one.log_scale, one.slope)))
    both = frames.PerCoordinate(curves, one)
    plain, each = (jax.jit(march.steps)(f, jnp.float64(LAM0), lam, jnp.float64(LAM1)) for f in (one, both))
    np.testing.assert_allclose(each.ratio, np.stack([plain.ratio] * 2, 1), rtol=1e-12)
    np.testing.assert_allclose(each.weights, np.stack([plain.weights] * 2, 2), rtol=1e-9, atol=1e-12)
