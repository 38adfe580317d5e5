"""Observations that are not linear: the operators, and denoisers that linearize them, against exact answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.corruptions import ClipOperator, MagnitudeOperator, SaturationOperator
from jaxsamp.denoisers import Observed, dps, posterior
from jaxsamp.samplers import DDPM
from tests.cases import SCHEDULES, quick, small_mixture

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(4, 3))
NOISE, Y = 0.2, jnp.array([0.6, -0.4])


@pytest.mark.parametrize(
    "operator, expected",
    [
        (MagnitudeOperator(), np.abs(np.fft.fft2(np.pad(IMAGE, ((0, 4), (0, 3))))) / np.sqrt(48)),
        (MagnitudeOperator(1), np.abs(np.fft.fft2(IMAGE)) / np.sqrt(12)),
        (ClipOperator(2.0, -0.5, 1.0), np.clip(2 * IMAGE, -0.5, 1)),
        (SaturationOperator(3.0, 0.5), 0.5 * np.tanh(6 * IMAGE)),
        (SaturationOperator(np.abs(IMAGE), 0.5), 0.5 * np.tanh(2 * np.abs(IMAGE) * IMAGE)),
    ],
    ids=["magnitude", "magnitude without padding", "clip", "saturation", "saturation of its own gains"],
)
def test_operators_have_the_values_and_slopes_of_their_formula(x64, operator, expected):
    """Slopes against central differences of the values."""
    x, v, h = jnp.asarray(IMAGE), jnp.asarray(RNG.normal(size=IMAGE.shape)), 1e-6
    value, slope = jax.jit(lambda x: jax.jvp(operator, (x,), (v,)))(x)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope, (operator(x + h * v) - operator(x - h * v)) / (2 * h), rtol=1e-6, atol=1e-8)


def test_magnitudes_do_not_know_the_sign_and_the_turn_and_are_flat_at_zero():
    operator, x = MagnitudeOperator(), jnp.asarray(IMAGE, jnp.float32)
    for other in (-x, x[::-1, ::-1]):
        np.testing.assert_allclose(operator(other), operator(x), atol=1e-5)
    assert operator(x[..., None]).shape == (8, 6, 1)
    np.testing.assert_array_equal(jax.grad(lambda x: operator(x).sum())(jnp.zeros((4, 3))), np.zeros((4, 3)))


def test_operators_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match=r"x must be an image \(h, w\) or \(h, w, c\), without a batch; got \(3,\)"):
        MagnitudeOperator()(jnp.ones(3))
    with pytest.raises(ValueError, match="oversampling must be at least 1; got 0"):
        MagnitudeOperator(0)
    with pytest.raises(ValueError, match=r"limit must be a number or of the event's shape \(3,\); got shape \(2,\)"):
        SaturationOperator(1.0, jnp.ones(2))(jnp.ones(3))


def states(target, level, n=4):
    """Rng of x_t under a schedule of alpha = 1."""
    clean = target.sample(jax.random.key(0), n)
    return clean + level.sigma * jax.random.normal(jax.random.key(1), clean.shape)


@pytest.mark.parametrize("covariance", ["full", "row_sums"])
def test_the_operator_is_linearized_at_the_posterior_mean(x64, covariance):
    """With dense matrices: the mixture's own covariance, and the slopes of tanh by hand."""
    target, level = small_mixture(), js.Level(1.0, 0.8)
    x, gain, limit = states(target, level), 1.5, 1.2
    known = posterior(
        target.denoiser(SCHEDULES["ve"]), Y, SaturationOperator(gain, limit), NOISE, covariance=covariance
    )
    found = jax.jit(lambda x: known(x, level))(x)
    mean, v = (np.asarray(jax.jit(f)(x, level)) for f in (target.posterior_mean, target.posterior_covariance))
    for each, m, c in zip(found, mean, v, strict=True):
        predicted, jacobian = limit * np.tanh(gain * m / limit), np.diag(gain / np.cosh(gain * m / limit) ** 2)
        spread = jacobian @ c @ jacobian.T
        if covariance == "row_sums":
            spread = np.diag(np.maximum(spread.sum(1), 0))
        expected = m + c @ jacobian.T @ np.linalg.solve(spread + NOISE**2 * np.eye(2), Y - predicted)
        np.testing.assert_allclose(each, expected, rtol=1e-9)


def test_the_error_of_the_linearization_falls_faster_than_the_noise(x64):
    """To the exact mean given x_t and y: 4 times less noise, 50 times less error, and ever less of the whole move."""
    target, operator = small_mixture(), SaturationOperator(1.5, 1.2)
    law = js.targets.condition_plane(target, Y, operator, NOISE, nodes=64)
    known = posterior(target.denoiser(SCHEDULES["ve"]), Y, operator, NOISE)

    @jax.jit
    def means(sigma):
        level = js.Level(1.0, sigma)
        x = states(law, level, 16)
        return law.posterior_mean(x, level), known(x, level), target.posterior_mean(x, level)

    errors, shares = [], []
    for sigma in (0.2, 0.05):
        exact, found, plain = means(sigma)
        errors.append(jnp.abs(found - exact).mean())
        shares.append(errors[-1] / jnp.abs(plain - exact).mean())
    assert errors[1] < errors[0] / 50 and shares[0] < 0.3 and shares[1] < 0.03


def test_dps_follows_the_gradient_of_the_distance_through_any_operator(x64):
    target, level, operator = small_mixture(), js.Level(1.0, 0.8), ClipOperator(2.0, -1.0, 1.0)
    x = states(target, level)
    found = jax.jit(lambda x: dps(target.denoiser(SCHEDULES["ve"]), Y, operator, 0.5)(x, level))(x)

    def distance(x):
        return jnp.sqrt(jnp.sum((Y - jnp.clip(2 * target.posterior_mean(x[None], level)[0], -1, 1)) ** 2))

    slope = jax.jit(jax.vmap(jax.grad(distance)))(x)
    np.testing.assert_allclose(found, target.posterior_mean(x, level) - 0.5 * 0.8 * slope, rtol=1e-9)


class Squares:
    """An operator of a user's own, without an adjoint: the squares, times a gain."""

    def __init__(self, gain):
        self.gain = jnp.asarray(gain)

    def __call__(self, x):
        return self.gain * jnp.square(x)


@pytest.mark.parametrize("made", quick([SaturationOperator, Squares], Squares), ids=lambda made: made.__name__)
def test_each_sample_may_have_an_operator_of_its_own(x64, made):
    inner, gains = small_mixture().denoiser(SCHEDULES["ve"]), np.linspace(0.5, 1.5, 3)
    y = np.linspace(0.1, 0.9, 6).reshape(3, 2)
    operator = made(gains) if made is Squares else made(gains, np.full(3, 1.2))

    def draw(denoiser, n, **options):
        return js.sample(jax.random.key(0), denoiser, (n, 2), DDPM(), 4, **options).x

    together = draw(posterior(inner, noise=NOISE), 3, cond=Observed(y, operator), microbatch=2)
    of_one = [made(gain) if made is Squares else made(gain, 1.2) for gain in gains]
    alone = [draw(posterior(inner, y[i], of_one[i], NOISE), 1, first=i) for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-9, atol=1e-9)
    assert np.ptp(together, 0).min() > 0.05


def test_row_sums_cost_two_passes_and_pass_over_what_is_not_seen():
    inner = small_mixture().denoiser(SCHEDULES["ve"])
    known = posterior(inner, jnp.array([0.6, jnp.nan]), np.array([True, False]), 0.0, covariance="row_sums")
    drawn = js.sample(jax.random.key(0), known, (4, 2), DDPM(), 3)
    assert np.isfinite(drawn.x).all() and int(drawn.stats["evaluations"][0]) == 4 * 3
    with pytest.raises(ValueError, match="covariance must be one of 'full', 'row_sums'; got 'rows'"):
        posterior(inner, Y, np.ones(2, bool), 0.1, covariance="rows")
    with pytest.raises(ValueError, match="covariance must be 'full' with a variance"):
        posterior(inner, Y, np.ones(2, bool), 0.1, variance=1.0, covariance="row_sums")
