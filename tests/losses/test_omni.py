"""Samples that train only under noise teach the posterior mean of their law, under every schedule and prediction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import losses
from jaxsamp_kernels import prediction as predictions
from tests.cases import SCHEDULES

S, OWN, N = 0.9, 0.5, 40_000  # sigma / alpha of the level, sigma_n, draws


def law():
    return js.targets.GaussianMixture([0.3, 0.7], [[-1.0], [0.8]], [[[0.1]], [[0.3]]])


@pytest.mark.parametrize("way", ["ambient", "x0", "without the correction"])
def test_the_posterior_mean_of_the_law_of_the_samples_is_where_the_gradient_vanishes(way):
    """In five directions, each within 4.5 standard errors; the noised sample itself as target is found 20 away."""
    target, schedule = law(), SCHEDULES["vp"]
    denoiser, level = target.denoiser(schedule), schedule.level(-jnp.log(jnp.full(N, S)))
    for_x, for_own, for_noise = jax.random.split(jax.random.key(0), 3)
    x, own = target.sample(for_x, N), jax.random.normal(for_own, (N, 1))

    def off(params, noisy, t, cond):
        directions = jnp.concatenate([jnp.ones_like(noisy), noisy, noisy**2, jnp.sin(3 * noisy), jnp.abs(noisy)], -1)
        return denoiser(noisy, schedule.at(t)) + (directions * params).sum(-1, keepdims=True)

    def loss(params):
        options = {"weighting": losses.UnitWeighting()}
        if way == "without the correction":
            rest = jnp.sqrt(1 - (OWN / S) ** 2)
            noise = OWN / S * own + rest * jax.random.normal(for_noise, x.shape)
            return losses.at_level(off, params, x, noise, level, schedule, "x0", shift=OWN * own, **options)
        options |= {"level": level, "sigma_n": OWN, "own": own, "target": "x0" if way == "x0" else "x_tn"}
        return losses.ambient_omni(for_noise, off, params, x, schedule, "x0", **options)

    gradients = np.asarray(jax.jit(lambda params: jax.vjp(loss, params)[1](jnp.ones(N))[0])(jnp.zeros((N, 5))), float)
    z = gradients.mean(0) / gradients.std(0) * np.sqrt(N)
    assert (np.abs(z).max() > 20) if way == "without the correction" else (np.abs(z).max() < 4.5), z


def affine(schedule, prediction):
    """A network whose posterior mean is 0.6 x_t + 0.1."""

    def apply(params, x, t, cond):
        level = schedule.at(t[0])
        rates = schedule.rates(t[0]) if prediction == "velocity" else ()
        return predictions.from_x0(prediction, 0.6 * x + 0.1, x, level.alpha, level.sigma, *rates)

    return apply


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_and_prediction_has_the_same_loss(x64, schedule):
    """As it is written in the docstring for x_t / alpha, with the same noises."""
    schedule, weighting = SCHEDULES[schedule], losses.EDMWeighting()
    x, own = np.random.default_rng(0).normal(size=(2, 6, 1))
    fresh = np.asarray(jax.random.normal(jax.random.key(1), x.shape))

    @jax.jit
    def of_all(x, own, lam):
        level = schedule.level(lam)
        options = {"level": level, "sigma_n": OWN, "own": own, "weighting": weighting}
        one = lambda name: losses.ambient_omni(  # noqa: E731
            jax.random.key(1), affine(schedule, name), None, x, schedule, name, **options
        )
        return level.alpha, [one(name) for name in predictions.NAMES]

    for s in (0.55, 3.0):
        alpha, by_prediction = of_all(x, own, -np.log(np.full(6, s)))
        r, given = (OWN / s) ** 2, x + OWN * own
        noisy = given + np.sqrt(s**2 - OWN**2) * fresh
        found = 0.6 * np.asarray(alpha)[0] * noisy + 0.1
        as_given = (1 - r) * found + r * noisy
        expected = (s**-2 + 4) / (1 - r) ** 2 * ((as_given - given) ** 2)[:, 0]
        assert len(by_prediction) == len(predictions.NAMES)
        for loss in by_prediction:
            np.testing.assert_allclose(loss, expected, rtol=1e-9)


def test_the_formula_for_variance_preserving_noise_is_the_same_number(x64):
    """With sigma and sigma_n of x_t and x_tn at unit variance, and a^2 and b^2 the law of x_t given x_tn."""
    schedule, s_own = SCHEDULES["vp"], 0.4
    x, own, fresh = np.random.default_rng(0).normal(size=(3, 6, 1))
    sigma = 0.7
    a = np.sqrt((1 - sigma**2) / (1 - s_own**2))
    b = np.sqrt(sigma**2 - a**2 * s_own**2)
    given = np.sqrt(1 - s_own**2) * x + s_own * own
    noisy = a * given + b * fresh
    denoised = 0.6 * noisy + 0.1
    as_given = (noisy + (b / sigma) ** 2 * (np.sqrt(1 - sigma**2) * denoised - noisy)) / a
    per_denoised = (b / sigma) ** 2 * np.sqrt(1 - sigma**2) / a
    expected = ((as_given - given) / per_denoised) ** 2
    level = schedule.level(jnp.full(6, 0.5 * np.log(1 / sigma**2 - 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.random, "normal", lambda *_: jnp.asarray(fresh))
        options = {"weighting": losses.UnitWeighting()}
        options |= {"level": level, "sigma_n": s_own / np.sqrt(1 - s_own**2)}
        loss = lambda x, own: losses.ambient_omni(  # noqa: E731
            jax.random.key(0), affine(schedule, "v"), None, x, schedule, "v", own=own, **options
        )
        found = jax.jit(loss)(x, own)
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-9)


@pytest.mark.parametrize("target", ["x_tn", "x0"])
def test_clean_samples_have_the_plain_loss_to_the_bit(target):
    schedule, x = SCHEDULES["cosine"], jax.random.normal(jax.random.key(0), (6, 3))
    level, own = schedule.level(jnp.linspace(-3, 3, 6)), jax.random.normal(jax.random.key(2), x.shape)
    apply = affine(schedule, "v")
    plain = losses.at_level(apply, None, x, jax.random.normal(jax.random.key(1), x.shape), level, schedule, "v")
    for sigma_n in (0.0, jnp.zeros(6)):
        options = {"level": level, "sigma_n": sigma_n, "own": own, "target": target}
        found = losses.ambient_omni(jax.random.key(1), apply, None, x, schedule, "v", **options)
        np.testing.assert_array_equal(found, plain)


def test_noise_below_that_of_the_sample_is_refused():
    schedule, x = SCHEDULES["ve"], jnp.zeros((2, 1))
    options = {"level": schedule.level(-jnp.log(jnp.array([0.6, 0.4]))), "sigma_n": 0.5, "own": x}
    with pytest.raises(ValueError, match="sigma_n must be below sigma / alpha, 0.4; got 0.5"):
        losses.ambient_omni(jax.random.key(0), affine(schedule, "x0"), None, x, schedule, "x0", **options)
    with pytest.raises(ValueError, match="target must be one of 'x_tn', 'x0'; got 'xtn'. Did you mean 'x_tn'"):
        losses.ambient_omni(jax.random.key(0), affine(schedule, "x0"), None, x, schedule, "x0", **options, target="xtn")
