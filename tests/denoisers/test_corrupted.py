"""Denoisers that see x_t through operators, with the exact one of a mixture inside."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room

LAW = js.targets.GaussianMixture.random(jax.random.key(3), 3, 4)
S = js.schedules.VariancePreserving()
EXACT = LAW.corrupted_denoiser(S)
LEVEL = S.level(jnp.log(jnp.asarray(1.2)))
X = LAW.sample(jax.random.key(0), 6)
MASKS = jax.jit(lambda key: room.Mask(0.5).draw(key, 12, (4,)))(jax.random.key(1))
PAIRS = jax.tree.map(lambda leaf: leaf.reshape(6, 2, 4), MASKS)


def test_an_operator_that_hides_nothing_gives_the_ordinary_denoiser():
    full = js.denoisers.with_operator(EXACT, room.Mask(0.5).full((4,)))
    found, plain = jax.jit(lambda x: (full(x, LEVEL), LAW.denoiser(S)(x, LEVEL)))(X)
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)


def test_samples_through_an_operator_of_their_own_do_not_depend_on_the_batch():
    sampler = js.samplers.ParallelMidpoint.blocked(2, 2)

    def run(n):
        cond = jax.tree.map(lambda leaf: np.asarray(leaf)[:n], MASKS)
        return js.sample(jax.random.key(0), EXACT, (n, 4), sampler, 4, cond=cond).x

    np.testing.assert_allclose(run(6)[:2], run(2), rtol=1e-4, atol=1e-5)


def test_guidance_is_the_gradient_of_the_disagreement(x64):
    """Against central differences in float64; with scale 0 it is D_1; one sample's does not depend on the others."""
    exact = js.targets.GaussianMixture.random(jax.random.key(3), 3, 4).corrupted_denoiser(S)
    level = S.level(jnp.log(jnp.asarray(1.2, float)))
    guided, none = (js.denoisers.guide_reconstruction(exact, 2, scale) for scale in (0.7, 0.0))

    @jax.jit
    def run(x):
        def through(k, step=0.0):
            return exact(x + step, level, jax.tree.map(lambda leaf: leaf[:, k], PAIRS))

        def slope(step):
            ends = (0.5 * jnp.sum((through(0, e) - through(1, e)) ** 2, 1) for e in (step, -step))
            return next(ends) - next(ends)

        slopes = jax.lax.map(slope, 1e-5 * jnp.eye(4)).T / 2e-5
        alone = guided(x[:2], level, jax.tree.map(lambda leaf: leaf[:2], PAIRS))
        return through(0), slopes, guided(x, level, PAIRS), none(x, level, PAIRS), alone

    unguided, slope, got, without, alone = run(jnp.asarray(X, float))
    unguided, slope, got, sigma, alpha = map(np.asarray, (unguided, slope, got, level.sigma, level.alpha))
    expected = unguided - 0.7 * (sigma / alpha) ** 2 * alpha * slope
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
    assert np.abs(got - unguided).max() > 1e-3
    np.testing.assert_allclose(alone, got[:2], rtol=1e-9)
    np.testing.assert_allclose(without, unguided, rtol=1e-12)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_restoration_is_the_mean_given_what_was_measured(noise):
    """Against the conditioned mixture of each sample."""
    measured = room.corrupt(jax.random.key(5), X, room.Mask(0.4, noise=noise))
    restored = js.denoisers.restore(EXACT, measured, sigma=0.002)
    for i in range(3):
        rows = np.eye(4)[np.asarray(measured.operator.mask[i])]
        if len(rows):
            given = LAW.condition(rows @ measured.y[i], rows, max(noise, 0.002))
            np.testing.assert_allclose(restored[i], np.asarray(given.weights) @ np.asarray(given.means), atol=2e-3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: d.with_operator(EXACT, jnp.ones(4)), TypeError, "operator must be one of jaxsamp.corruptions"),
        (lambda d: d.guide_reconstruction(EXACT, 1), ValueError, "operators must be at least 2; got 1"),
        (
            lambda d: d.restore(EXACT, room.corrupt(jax.random.key(5), X, room.Mask(0.4)), sigma=0.0),
            ValueError,
            "got 0.0",
        ),
        (lambda d: d.guide_reconstruction(EXACT, 2, -1.0), ValueError, "scale must be at least 0; got -1.0"),
        (
            lambda d: d.guide_reconstruction(EXACT, 3)(X, LEVEL, PAIRS),
            ValueError,
            r"operators whose arrays have leading axes \(6, 3\), .* got shape \(6, 2, 4\)",
        ),
        (
            lambda d: d.with_operator(EXACT, room.Mask(0.5).full((4,))).check_cond(MASKS, 12),
            ValueError,
            "cond must not have operators",
        ),
        (lambda d: inspect.unwrap(d.restore)(EXACT, X), TypeError, "measured must be jaxsamp.corruptions.Measurements"),
    ],
)
def test_what_does_not_fit_is_a_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call(js.denoisers)
