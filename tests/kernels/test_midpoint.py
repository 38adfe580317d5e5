"""Randomized midpoint nodes are unbiased, and the paper's form is the paper's code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp import calibration
from jaxsamp_kernels import frame as frames
from jaxsamp_kernels import midpoint

FRAMES = {"data": frames.DATA, "noise": frames.NOISE, "score": frames.SCORE, "localization": frames.LOCALIZATION}


@pytest.mark.parametrize("draws", midpoint.DRAWS)
@pytest.mark.parametrize("name", [*FRAMES, "calibrated"])
@pytest.mark.parametrize(("lam0", "lam1"), [(-3.0, -2.2), (1.0, 1.7)])
def test_weighted_node_is_unbiased_for_the_clock_integral(x64, draws, name, lam0, lam1):
    frame = FRAMES.get(name) or calibration.from_sigma_data(0.5).frame
    smooth = lambda lam: jnp.cos(lam) + lam**2  # noqa: E731
    nodes, weights = np.polynomial.legendre.leggauss(40)

    @jax.jit
    def integrals(lam0, lam1):
        lam, weight = jax.vmap(lambda u: midpoint.node(frame, draws, u, lam0, lam1))(0.5 * (nodes + 1))
        mean = 0.5 * weights @ (weight * smooth(lam))
        lam = 0.5 * ((lam1 - lam0) * nodes + lam0 + lam1)
        return mean, 0.5 * (lam1 - lam0) * weights @ (smooth(lam) * jax.vmap(frame.clock_rate)(lam))

    mean, exact = integrals(lam0, lam1)
    np.testing.assert_allclose(mean, exact, rtol=1e-7)


def test_paper_step_is_the_published_update_in_ou_coordinates(x64):
    # x_half = e^(ah) x + (e^(ah) - 1) s_t(x);  x' = e^h x + h e^((1-a)h) s_(t-ah)(x_half), with dx = x + s.
    variance, t, h, a, x = 0.3, 1.1, 0.25, 0.37, 0.8
    score = lambda x, t: -x / (variance * np.exp(-2 * t) - np.expm1(-2 * t))  # noqa: E731
    half = np.exp(a * h) * x + np.expm1(a * h) * score(x, t)
    published = np.exp(h) * x + h * np.exp((1 - a) * h) * score(half, t - a * h)

    lam = lambda t: jnp.float64(-0.5 * np.log(np.expm1(2 * t)))  # noqa: E731
    denoise = lambda y, lam: variance / (variance + jnp.exp(-2 * lam)) * y  # noqa: E731
    lam0, lam1 = lam(t), lam(t - h)
    lam_mid, weight = midpoint.node(frames.SCORE, "uniform_ou", jnp.float64(a), lam0, lam1)
    y = jnp.float64(x / np.exp(-t))
    slope = frames.SCORE.integrand(y, denoise(y, lam0), lam0)
    stepped, _ = midpoint.midpoint_step(frames.SCORE, denoise, y, slope, lam0, lam1, lam_mid, weight)
    np.testing.assert_allclose(stepped * np.exp(-(t - h)), published, rtol=1e-12)
