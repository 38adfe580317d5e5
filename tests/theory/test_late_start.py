"""Starting late: what it costs, and that samples have the law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import jaxsamp as js
from jaxsamp.theory import late_start

KEY, OU = jax.random.key(0), js.schedules.OrnsteinUhlenbeck()
LAW = js.targets.GaussianMixture([0.3, 0.7], [[-4.0], [4.0]], np.full((2, 1, 1), 0.5))


def test_the_cost_is_the_total_variation_by_quadrature():
    """Within 4.5 standard errors: a false-alarm rate of 7e-6 each."""
    x = np.linspace(-12, 12, 4001)
    for time in (0.5, 1.5, 2.5):
        alpha, sigma, _ = OU.at(time)
        p = norm.pdf(x[:, None], alpha * np.array([-4.0, 4.0]), np.sqrt(alpha**2 * 0.5 + sigma**2)) @ [0.3, 0.7]
        q = norm.pdf(x, alpha * 1.6, np.sqrt(alpha**2 * (0.5 + 16 - 1.6**2) + sigma**2))
        got = late_start(KEY, LAW, OU, time, 2)
        error = (got.tv.high - got.tv.low) / (2 * 1.96)
        assert abs(got.tv.point - np.trapezoid(np.abs(p - q), x) / 2) < 4.5 * error
        assert got.sigma_max == pytest.approx(float(sigma / alpha))


def test_samples_from_a_late_start_have_the_weights_of_the_law():
    """The share of the first mode is within 4 standard errors and what the start costs; too late, many are between."""
    denoiser, share, between = LAW.denoiser(OU), {}, {}
    for time in (0.1, 3.0):
        start = late_start(KEY, LAW, OU, time, 4096)
        grid = js.grids.log_snr(OU, 16, sigma_max=start.sigma_max)
        x = js.sample(KEY, denoiser, (4096, 1), grid=grid, init=start.init).x
        share[time], between[time] = float((x < 0).mean()), float((abs(x) < 1.5).mean())
    assert abs(share[3.0] - 0.3) < 4 * np.sqrt(0.21 / 4096) + start.tv.high < 0.06
    assert between[3.0] < 0.01 < 0.1 < between[0.1]


def test_data_give_their_moments_and_no_cost():
    data = np.random.default_rng(0).normal([1.0, -2.0], [0.5, 2.0], (500, 2)).reshape(500, 2, 1)
    start = late_start(KEY, data, OU, 0.2, 20_000)
    alpha, sigma, _ = OU.at(0.2)
    want = alpha**2 * np.cov(data[..., 0].T) + sigma**2 * np.eye(2)
    np.testing.assert_allclose(jnp.cov(start.init[..., 0].T), want, atol=0.12)
    np.testing.assert_allclose(start.init.mean(0), alpha * data.mean(0), atol=0.06)
    assert start.tv is None and start.init.shape == (20_000, 2, 1)
    with pytest.raises(ValueError, match=r"at least two samples, \(m, \*event\); got shape \(1, 3\)"):
        late_start(KEY, np.zeros((1, 3)), OU, 1.0, 2)
    with pytest.raises(ValueError, match="time must have noise, sigma > 0; got 0.0"):
        late_start(KEY, LAW, OU, 0.0, 2)
