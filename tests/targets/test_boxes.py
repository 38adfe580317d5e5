"""Uniform boxes against truncated normals integrated in float64, near and far, wide and narrow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from jaxsamp.core.types import CLEAN, Level
from jaxsamp.targets.boxes import UniformBoxes
from jaxsamp_kernels.boxes import boxes_posterior

WEIGHTS = np.float32([0.1, 0.2, 0.3, 0.4])
LOWS = np.float32([[-2, -1.5], [-0.5, 0.25], [0.5, -2], [1, 1]])
HIGHS = LOWS + np.float32([[1, 0.5], [1, 1], [0.75, 1], [0.5, 0.6]])
RATIOS = [1e-2, 0.1, 0.5, 1.0, 3.0, 10.0, 80.0]


def integrated(x, alpha, sigma):
    """Posterior mean and log density of one point by the trapezoidal rule in float64, after y -> u below."""
    x, lows, highs = (np.asarray(value, float) for value in (x, LOWS, HIGHS))
    center, width = x / alpha, sigma / alpha
    near = np.clip(center, lows, highs)
    # y = near + offset; logistic(2 sinh u) crowds the nodes at both ends, where a cut normal is steepest.
    down = np.minimum(near - lows, 40 * width)[..., None]
    up = np.minimum(highs - near, 40 * width)[..., None]
    u = np.linspace(-6, 6, 4001)
    left, right = expit(2 * np.sinh(u)), expit(-2 * np.sinh(u))
    offset = up * left - down * right
    exponent = -offset * (offset + 2 * (near - center)[..., None]) / (2 * width**2)
    p = np.exp(exponent) * 2 * np.cosh(u) * left * right * (u[1] - u[0]) * (up + down)
    mass = p.sum(-1)
    means = near + (p * offset).sum(-1) / mass
    peak = norm.logpdf(x, alpha * near, sigma)
    logits = np.log(WEIGHTS.astype(float)) + (peak + np.log(mass / (highs - lows))).sum(-1)
    w = np.exp(logits - logits.max())
    return w @ means / w.sum(), logits.max() + np.log(w.sum())


def points(ratio, alpha, count=60, seed=0):
    rng = np.random.default_rng(seed)
    clean = rng.uniform(-2, 2, (count, 2)) * rng.choice([1, 5], (count, 1))
    return np.float32(alpha * (clean + ratio * rng.normal(size=(count, 2)) * rng.choice([0, 1], (count, 1))))


@pytest.mark.parametrize("ratio", RATIOS)
def test_float32_posterior_equals_the_integral(ratio):
    alpha = np.float32(0.7)
    sigma = np.float32(ratio * alpha)
    x = points(ratio, alpha)
    kernel = jax.vmap(boxes_posterior, (0, None, None, None, None, None))
    got = kernel(x, alpha, sigma, WEIGHTS, LOWS, HIGHS)
    mean, log_prob = zip(*(integrated(row, float(alpha), float(sigma)) for row in x), strict=True)
    assert got.mean.dtype == jnp.float32
    np.testing.assert_allclose(got.mean, mean, atol=2e-6)
    np.testing.assert_allclose(got.log_prob, log_prob, rtol=2e-6, atol=1e-5)


def test_float64_posterior_equals_the_integral_and_truncated_normals(x64):
    law = [jnp.asarray(value, float) for value in (WEIGHTS, LOWS, HIGHS)]
    for ratio in RATIOS:
        for x in points(ratio, 0.7, count=8):
            got = boxes_posterior(jnp.asarray(x, float), 0.7, 0.7 * ratio, *law)
            mean, log_prob = integrated(x, 0.7, 0.7 * ratio)
            np.testing.assert_allclose(got.mean, mean, atol=1e-11)
            np.testing.assert_allclose(got.log_prob, log_prob, rtol=1e-9)
    low, high = (np.array([0.2]) - 0.35) / 0.5, (np.array([1.4]) - 0.35) / 0.5
    expected = 0.5 * (0.7 + (norm.pdf(low) - norm.pdf(high)) / (norm.cdf(high) - norm.cdf(low)))
    one = boxes_posterior(jnp.array([0.35]), 1.0, 0.5, jnp.ones(1), jnp.array([[0.2]]), jnp.array([[1.4]]))
    np.testing.assert_allclose(one.mean, expected, rtol=1e-12)


def test_a_point_a_thousand_sigma_from_two_boxes_weighs_them_rightly():
    lows, highs = jnp.array([[-11.0, 0.0], [10.0, 0.0]]), jnp.array([[-10.0, 1.0], [11.0, 1.0]])
    x = jnp.array([3e-6, 10.0])
    got = boxes_posterior(x, 1.0, 0.01, jnp.array([0.5, 0.5]), lows, highs)
    log_odds = 2 * 10 * 3e-6 / 0.01**2  # half of |x + 10|^2 - |x - 10|^2, whatever the height
    np.testing.assert_allclose(got.mean[0], 10 * np.tanh(log_odds / 2), rtol=1e-5)


def test_score_is_the_gradient_of_the_log_density(x64):
    target = UniformBoxes(WEIGHTS / WEIGHTS.sum(), LOWS, HIGHS)
    ratios = np.repeat([0.05, 0.6, 20.0], 20)
    x = jnp.asarray(np.concatenate([points(ratio, 0.7, count=20) for ratio in ratios[::20]]), float)
    level = Level(0.7, jnp.asarray(0.7 * ratios))
    gradient = jax.jit(jax.grad(lambda x: target.log_prob(x, level).sum()))(x)
    np.testing.assert_allclose(gradient, target.score(x, level), rtol=1e-7, atol=1e-7)


def test_clean_density_is_flat_inside_and_minus_infinite_outside(key):
    target = UniformBoxes([0.25, 0.75], [[0.0, 0.0], [2.0, 2.0]], [[1.0, 2.0], [3.0, 3.0]])
    got = target.log_prob(jnp.array([[0.5, 0.5], [2.5, 2.5], [1.5, 0.5]]))
    np.testing.assert_allclose(np.exp(got), [0.125, 0.75, 0.0], rtol=1e-6)
    x = target.sample(key, 4000)
    assert jnp.isfinite(target.log_prob(x)).all()
    assert abs((x[:, 0] > 1.5).mean() - 0.75) < 0.03  # 4.4 standard errors


def test_wrong_boxes_and_levels_are_told_in_a_sentence():
    law = dict(weights=[1.0], lows=[[0.0]], highs=[[1.0]])
    with pytest.raises(ValueError, match=r"must have shapes \(K,\), \(K, d\) and \(K, d\)"):
        UniformBoxes(**{**law, "highs": [[1.0, 2.0]]})
    with pytest.raises(ValueError, match="highs must lie above lows; got .* in box 0"):
        UniformBoxes(**{**law, "highs": [[0.0]]})
    with pytest.raises(ValueError, match="weights must be positive and sum to one"):
        UniformBoxes(**{**law, "weights": [0.5]})
    with pytest.raises(ValueError, match="lows must be finite"):
        UniformBoxes(**{**law, "lows": [[np.nan]]})
    with pytest.raises(ValueError, match="sigma must be positive"):
        UniformBoxes(**law).log_prob(jnp.zeros((2, 1)), CLEAN)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 1\) for this target; got \(3, 2\)"):
        UniformBoxes(**law).log_prob(jnp.zeros((3, 2)))


def test_densities_in_many_dimensions_are_finite():
    for d, half in ((200, 1.0), (64, 0.05)):
        law = UniformBoxes([1.0], np.full((1, d), -half), np.full((1, d), half))
        x = np.zeros((2, d), np.float32)
        x[1, 0] = 2
        np.testing.assert_allclose(law.log_prob(jnp.asarray(x)), [-d * np.log(2 * half), -np.inf], rtol=1e-5)


def test_pure_noise_says_nothing_about_the_boxes(x64):
    boxes = UniformBoxes([0.25, 0.75], [[0.0, -1.0], [1.0, 2.0]], [[1.0, 1.0], [4.0, 3.0]])
    x, noise = jnp.asarray([[0.0, 0.0], [-30.0, 4.0]]), Level(0.0, 2.0)
    mean = 0.25 * np.array([0.5, 0.0]) + 0.75 * np.array([2.5, 2.5])
    np.testing.assert_allclose(boxes.posterior_mean(x, noise), np.tile(mean, (2, 1)), rtol=1e-12)
    np.testing.assert_allclose(boxes.log_prob(x, noise), norm.logpdf(x, scale=2).sum(-1), rtol=1e-12)
    slope = jax.grad(lambda x: boxes.log_prob(x, noise).sum())(x)
    np.testing.assert_allclose(slope, -x / 4, rtol=1e-12, atol=1e-12)
    nearly = boxes.posterior_mean(x, Level(1e-9, 2.0))
    np.testing.assert_allclose(nearly, np.tile(mean, (2, 1)), rtol=1e-7)
