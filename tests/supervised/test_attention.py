"""Attention heads from examples: found to the digit, the gradient, blocks, equal heads, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.supervised import AttentionLayer, attention, fit_attention, sign_matrices
from jaxsamp_kernels import attention as kernel

KEY = jax.random.key(0)
X = np.asarray(sign_matrices(2, 2))


def test_all_sign_matrices_are_there_once():
    x = np.asarray(sign_matrices(2, 3)).reshape(64, 6)
    assert set(x.flat) == {-1, 1} and len({*map(tuple, x)}) == 64


def test_two_heads_are_found_to_the_digit():
    teacher = AttentionLayer.random(jax.random.key(1), 2, 2)
    x = sign_matrices(3, 2)
    fit = fit_attention(KEY, x, teacher(x), 2, restarts=6, steps=300)
    assert fit.relative_error < 1e-11 and fit.errors.shape == (6,)
    assert fit.restarts_solved == np.sum(fit.errors < 1e-4) and max(fit.layer.distance(teacher)) < 1e-4
    np.testing.assert_allclose(fit.layer(x), teacher(x), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_two_heads_in_three_dimensions(seed):
    teacher = AttentionLayer.random(jax.random.key(seed), 2, 3)
    x = sign_matrices(3, 3)
    fit = fit_attention(jax.random.key(100 + seed), x, teacher(x), 2)
    assert fit.errors.min() < 1e-4 and fit.restarts_solved >= 1
    assert fit.relative_error < 1e-10 and max(fit.layer.distance(teacher)) < 1e-4


def test_outputs_of_another_width_with_noise_and_few_examples():
    """The layer cannot be better than least squares of the true heads, nor much worse on new inputs."""
    rng = np.random.default_rng(3)
    theta, w = rng.normal(size=(1, 4, 4)), rng.normal(size=(1, 4, 2))
    x, new = rng.choice([-1.0, 1.0], (2, 400, 3, 4))
    teacher = AttentionLayer(theta, w)
    noise = 0.3 * rng.normal(size=(400, 3, 2))
    fit = fit_attention(KEY, x, np.asarray(teacher(x)) + noise, 1, restarts=4, steps=200)
    y = np.asarray(teacher(x)) + noise
    assert fit.relative_error <= np.sum(noise**2) / np.sum(y**2)
    assert np.mean((np.asarray(fit.layer(new)) - np.asarray(teacher(new))) ** 2) < 0.01 * np.mean(y**2)


def test_the_slope_is_that_of_the_least_squares():
    """Against finite differences of errors whose W is solved anew, by NumPy in float64."""
    rng = np.random.default_rng(4)
    theta, y = rng.normal(size=(2, 2, 2)), rng.normal(size=(16, 2, 2))

    def error(theta):
        h = np.moveaxis(np.asarray(kernel.heads(jnp.asarray(X, float), jnp.asarray(theta))), 1, 2).reshape(32, 4)
        return np.sum((y.reshape(32, 2) - h @ np.linalg.lstsq(h, y.reshape(32, 2))[0]) ** 2) / np.sum(y**2)

    with jax.enable_x64(True):
        value, slope = attention._slope(jnp.asarray(theta), attention._blocks(X, y, 2, 1, jnp.float64))
        assert float(value) == pytest.approx(error(theta), abs=1e-10)
        for place in np.ndindex(theta.shape):
            step = np.zeros(theta.shape)
            step[place] = 1e-5
            assert slope[place] == pytest.approx((error(theta + step) - error(theta - step)) / 2e-5, abs=1e-8)


def test_blocks_change_nothing_but_rounding(monkeypatch):
    rng = np.random.default_rng(5)
    theta, y = jnp.asarray(rng.normal(size=(2, 2, 2)), jnp.float32), rng.normal(size=(16, 2, 3))
    whole = attention._blocks(X, y, 2, 1, jnp.float32)
    monkeypatch.setattr(attention, "NUMBERS", 100)
    parts = attention._blocks(X, y, 2, 1, jnp.float32)
    assert whole[0].shape == (1, 16, 2, 2) and parts[0].shape == (3, 6, 2, 2)
    for one, other in zip(attention._slope(theta, whole), attention._slope(theta, parts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_restarts_are_the_same_however_many_there_are():
    teacher = AttentionLayer.random(jax.random.key(2), 1, 2)
    few, more = (fit_attention(KEY, X, teacher(X), 1, restarts=n, steps=20).errors for n in (2, 5))
    np.testing.assert_allclose(few, more[:2], rtol=1e-3)


@pytest.mark.parametrize("unit", [1e-23, 1e20, 1e-200])
def test_units_of_the_outputs_do_not_change_the_fit(unit):
    teacher = AttentionLayer.random(jax.random.key(1), 1, 2)
    y = np.asarray(teacher(X), float)
    near, far = (fit_attention(KEY, X, y * u, 1, restarts=2, steps=50) for u in (1.0, unit))
    np.testing.assert_allclose(far.errors, near.errors, rtol=1e-3)
    assert near.relative_error < 1e-10 and far.relative_error == pytest.approx(near.relative_error, abs=1e-12)
    np.testing.assert_allclose(np.asarray(far.layer.w, float) / unit, near.layer.w, rtol=1e-4)


def test_equal_heads_are_one_and_heads_without_output_none():
    theta = np.arange(8.0).reshape(2, 2, 2)
    w = np.array([[[1.0, 2], [3, 4]], [[0, 0], [0, 1e-5]]])
    layer = AttentionLayer(np.stack([theta[0], theta[1], theta[0] + 1e-5]), np.concatenate([w, w[:1]]))
    fewer = layer.simplified()
    np.testing.assert_allclose(fewer.theta, theta[:1])
    np.testing.assert_allclose(fewer.w, 2 * w[:1])
    np.testing.assert_allclose(fewer(X), layer(X), atol=1e-3)
    nothing = AttentionLayer(theta, 0 * w).simplified()
    assert nothing.theta.shape == (0, 2, 2) and not np.asarray(nothing(X)).any()


def test_the_order_of_heads_does_not_count():
    layer = AttentionLayer.random(KEY, 3, 2)
    turned = AttentionLayer(layer.theta[::-1], layer.w[::-1] + 0.5)
    assert layer.distance(turned) == (0.0, pytest.approx(0.5, abs=1e-6))


def test_the_mean_of_x_and_f_is_the_sum_of_projections_for_theta_zero_alone():
    x, layer = sign_matrices(3, 3), AttentionLayer.random(jax.random.key(7), 2, 3)
    total = layer.w.sum(0)

    def mean(layer):
        return jnp.einsum("nka,nkb->ab", x, layer(x)) / len(x)

    np.testing.assert_allclose(mean(AttentionLayer(0 * layer.theta, layer.w)), total, atol=1e-5)
    assert jnp.linalg.norm(mean(layer) - total) > jnp.linalg.norm(total)


Y = np.ones((16, 2, 2))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: fit_attention(KEY, X[0], Y[0], 1), r"x must be matrices of \+1 and -1, \(n, k, d\); got shape \(2, 2"),
        (lambda: fit_attention(KEY, X / 2, Y, 1), r"x must be of \+1 and -1; got -0.5"),
        (lambda: fit_attention(KEY, X, Y[:3], 1), r"y must have shape \(16, 2, e\), a row per row of x; got \(3, 2, 2"),
        (lambda: fit_attention(KEY, X, 0 * Y, 1), "y must not be zero everywhere"),
        (lambda: fit_attention(KEY, X, Y, 0), "heads must be at least 1; got 0"),
        (lambda: fit_attention(KEY, X, Y, 1, restarts=0), "restarts must be at least 1; got 0"),
        (lambda: fit_attention(KEY, X, Y, 1, steps=0), "steps must be at least 1; got 0"),
        (lambda: fit_attention(KEY, X, Y, 1, scale=0.0), "scale must be a finite number above 0; got 0.0"),
        (lambda: sign_matrices(4, 5), "k times d must be at most 16 .* got 20, of which there are 1,048,576"),
        (
            lambda: AttentionLayer.random(KEY, 1, 2).distance(AttentionLayer.random(KEY, 2, 2)),
            r"other must have theta of shape \(1, 2, 2\), as this layer has; got \(2, 2, 2\)",
        ),
    ],
)
def test_bad_input_is_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
