"""The exact denoiser of a mixture that is seen through operators, against other routes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room

LAW = js.targets.GaussianMixture.random(jax.random.key(3), 4, 6)
S = js.schedules.VariancePreserving()


@pytest.mark.parametrize("law", [room.Mask(0.5), room.CompressedSensing(3)])
def test_it_is_the_mean_of_the_conditioned_mixture(x64, law):
    """`GaussianMixture.condition` of A x_t / alpha = A x_0 + s n, on the rows that are independent."""
    target = js.targets.GaussianMixture.random(jax.random.key(3), 4, 6)
    level = S.level(jnp.log(jnp.asarray(1.3)))
    operators = jax.jit(lambda key: law.draw(key, 5, (6,), further=0.2))(jax.random.key(1))
    x = target.sample(jax.random.key(0), 5)
    denoise = jax.jit(lambda operators: target.corrupted_denoiser(S)(x, level, operators))
    got, projectors = np.asarray(denoise(operators)), jax.jit(jax.vmap(lambda a: jax.vmap(a.projector)(jnp.eye(6))))
    alpha, sigma = float(level.alpha), float(level.sigma)
    for found, event, p in zip(got[:2], np.asarray(x), np.asarray(projectors(operators)), strict=False):
        values, vectors = np.linalg.eigh(p)
        rows = vectors[:, values > 0.5].T
        posterior = target.condition(rows @ (event / alpha), rows, sigma / alpha)
        np.testing.assert_allclose(found, np.asarray(posterior.weights) @ np.asarray(posterior.means), rtol=1e-7)
    if isinstance(law, room.Mask):
        whole = denoise(room.MaskOperator(jnp.ones((5, 6), bool)))
        np.testing.assert_allclose(whole, jax.jit(lambda: target.denoiser(S)(x, level))(), rtol=1e-9)


def test_it_agrees_with_importance_sampling():
    """100,000 draws of x_0 weighted by the likelihood of what is seen: normalized mean square error below 2e-3."""

    @jax.jit
    def both():
        operators = room.Mask(0.5).draw(jax.random.key(1), 16, (6,))
        level = S.level(jnp.log(jnp.asarray(0.8)))
        x0 = LAW.sample(jax.random.key(0), 16)
        x = level.alpha * x0 + level.sigma * jax.random.normal(jax.random.key(2), x0.shape)
        drawn = LAW.sample(jax.random.key(4), 100_000)

        @jax.vmap
        def estimate(x, mask):
            log = -0.5 * jnp.sum(jnp.where(mask, (x - level.alpha * drawn) / level.sigma, 0) ** 2, 1)
            return jax.nn.softmax(log) @ drawn

        return LAW.corrupted_denoiser(S)(x, level, operators), estimate(x, operators.mask)

    got, expected = map(np.asarray, both())
    assert np.sum((got - expected) ** 2) / np.sum(expected**2) < 2e-3


def test_what_is_not_seen_does_not_matter_and_float32_is_near_float64(x64):
    target = js.targets.GaussianMixture.random(jax.random.key(3), 4, 6)
    operators = jax.jit(lambda key: room.Mask(0.5).draw(key, 5, (6,)))(jax.random.key(1))
    x, level = target.sample(jax.random.key(0), 5), S.level(jnp.log(jnp.asarray(20.0)))
    denoise = jax.jit(lambda *given: target.corrupted_denoiser(S)(*given))
    other = np.where(operators.mask, x, 99.0)
    np.testing.assert_array_equal(denoise(x, level, operators), denoise(other, level, operators))
    single = denoise(x.astype(jnp.float32), level, operators)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, denoise(x, level, operators), atol=2e-4)


def test_without_operators_it_is_a_sentence():
    with pytest.raises(TypeError, match="cond must have the operator of each sample, .* got None"):
        js.sample(jax.random.key(0), LAW.corrupted_denoiser(S), (3, 6), steps=2)
