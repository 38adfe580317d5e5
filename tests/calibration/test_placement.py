"""Where grid="calibrated" puts its levels: the sizes of errors it reads, the rule, and what it is worth."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import jaxsamp as js
from jaxsamp.calibration import from_sigma_data, placement
from jaxsamp.calibration.placement import Placement
from jaxsamp.samplers import DDIM, UniPC
from jaxsamp_kernels import frame as frames
from tests.cases import SCHEDULES, network, run, small_mixture

V = 0.6  # variance of a Gaussian, whose flow is x = sqrt(V + s^2) z


def closed(lam):
    """State and posterior mean on the flow of the Gaussian."""
    s2 = np.exp(-2 * lam)
    return np.sqrt(V + s2), V / np.sqrt(V + s2)


def test_derivatives_along_the_flow_are_those_of_its_solution(x64):
    lam, h = 0.3, 1e-3
    x, d = closed(lam)
    denoise = lambda x, lam: V / (V + jnp.exp(-2 * lam)) * x  # noqa: E731
    found = jax.jit(lambda x, lam: placement.along_the_flow(denoise, x, lam))(jnp.float64(x), jnp.float64(lam))
    before, after = closed(lam - h)[1], closed(lam + h)[1]
    np.testing.assert_allclose(found, [d, (after - before) / (2 * h), (after - 2 * d + before) / h**2], rtol=1e-5)


@pytest.mark.parametrize("name", frames.FLOW)
def test_sizes_are_the_errors_of_a_frozen_and_of_a_trapezoidal_step(x64, name):
    """Over one short step of known f: h^2 / 2 e_1 with f at the start, h^3 / 12 e_2 with the mean of both ends."""
    frame, lam, h = frames.FLOW[name], 0.4, 1e-2
    (x0, d0), (x1, d1) = closed(lam - h / 2), closed(lam + h / 2)

    @jax.jit
    def both(lam):
        path = lambda u: jnp.sqrt(V + jnp.exp(-2 * (lam + u))), lambda u: V / jnp.sqrt(V + jnp.exp(-2 * (lam + u)))  # noqa: E731
        return placement.local_errors(frame, path, lam)

    first, second = both(jnp.float64(lam))
    f0, f1 = frame.integrand(x0, d0, lam - h / 2), frame.integrand(x1, d1, lam + h / 2)
    scale, delta = frame.scale(lam + h / 2), frame.clock_delta(lam - h / 2, lam + h / 2)
    exact = x1 / scale - x0 / frame.scale(lam - h / 2)
    np.testing.assert_allclose(abs(scale * (exact - delta * f0)), h**2 / 2 * abs(first), rtol=0.02)
    np.testing.assert_allclose(abs(scale * (exact - delta * (f0 + f1) / 2)), h**3 / 12 * abs(second), rtol=0.02)


def held(lam, first):
    """A calibration with e_1 = `first` and e_2 = 3 `first` in the rotation and data frames, and 0 in the others."""
    sizes = np.zeros((len(placement.NAMES), 2, len(lam)))
    sizes[[placement.NAMES.index(name) for name in ("rotation", "data")]] = first, 3 * first
    return replace(from_sigma_data(1.0), placement=Placement(jnp.asarray(lam), jnp.asarray(sizes)))


@pytest.mark.parametrize(("order", "power"), [(1.0, (0.5, 0.0)), (3.0, (0.0, 5 / 12))])
def test_every_step_has_the_same_share_of_the_density(order, power):
    lam = np.linspace(-5.0, 5.0, 400)
    bump = np.exp(-((lam - 1) ** 2)) + 1e-3
    levels = js.grids.calibrated(SCHEDULES["ve"], 7, held(lam, bump), frame="rotation", order=order)
    first, second = power
    rho = lambda v: (np.exp(-((v - 1) ** 2)) + 1e-3) ** first * (4 * (np.exp(-((v - 1) ** 2)) + 1e-3)) ** second  # noqa: E731
    whole = quad(rho, -5, 5)[0]
    density = lambda v: 0.9 * rho(v) / whole + 0.1 / 10  # noqa: E731
    ends = -np.log(np.asarray(levels, float))
    shares = [quad(density, a, b)[0] for a, b in zip(ends[:-1], ends[1:], strict=True)]
    np.testing.assert_allclose(shares, np.mean(shares), rtol=1e-2)
    assert np.isclose(levels[0], 80) and np.isclose(levels[-1], 0.02)
    with pytest.raises(ValueError, match="frame must be"):
        js.grids.calibrated(SCHEDULES["ve"], 7, held(lam, bump), frame="velocity")


@pytest.mark.parametrize("sampler", [UniPC(), pytest.param(DDIM(), marks=pytest.mark.slow)])
def test_few_steps_err_less_on_calibrated_levels(x64, sampler):
    """Median distance to the flow of 8 steps: less than .6 of that on even levels (about .3)."""
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    init = 80 * jax.random.normal(jax.random.key(1), (128, 2))
    end = run(UniPC(order=3), denoiser, 128, 400, init=init)

    def error(grid):
        x = run(sampler, denoiser, 128, 8, init=init, grid=grid)
        return float(jnp.median(jnp.linalg.norm(x - end, axis=1)))

    assert error("calibrated") < 0.6 * error("log_snr")


def test_calibrate_measures_sizes_and_files_keep_them(tmp_path):
    target, denoiser = small_mixture(), network("ve")
    plain = js.calibrate(jax.random.key(0), denoiser, target, levels=8, samples=64)
    found = js.calibrate(jax.random.key(0), denoiser, target, levels=8, samples=64, grid=True)
    assert plain.placement is None and (plain.frame.curves.slope == found.frame.curves.slope).all()
    assert found.placement.sizes.shape == (6, 2, 8) and (found.placement.sizes > 0).all()
    again = js.calibration.load(found.save(tmp_path / "with"))
    assert (again.placement.sizes == found.placement.sizes).all()
    assert js.calibration.load(plain.save(tmp_path / "without")).placement is None
    x = [js.sample(jax.random.key(1), denoiser.with_calibration(c), (3, 2), steps=4, grid="calibrated").x
         for c in (found, again)]  # fmt: skip
    assert (x[0] == x[1]).all()


def test_without_sizes_one_sentence_says_how_to_measure_them():
    for denoiser in (network(), network().with_calibration(from_sigma_data(1.0))):
        with pytest.raises(ValueError, match=r"jaxsamp.calibrate\(key, denoiser, data, grid=True\)"):
            js.sample(jax.random.key(0), denoiser, (3, 2), steps=4, grid="calibrated")
    trained = js.schedules.DiscreteTime(np.linspace(0.99, 0.1, 20))
    discrete = js.denoiser(lambda params, x, t, cond: x, None, trained, "x0")
    with pytest.raises(ValueError, match="grid must be False"):
        js.calibrate(jax.random.key(0), discrete, small_mixture(), grid=True)
    levels = js.grids.calibrated(trained, 4, held(np.linspace(-5.0, 5.0, 9), np.ones(9)))
    assert np.isclose(levels[:, None], np.exp(-trained.lam), rtol=1e-5).any(1).all()
