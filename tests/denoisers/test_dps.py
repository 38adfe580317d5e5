"""DPS is its formula for each sample alone, ends at the observation, and finds what belongs to it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.denoisers import Observed, dps

SCHEDULE = js.schedules.VarianceExploding()
# What is seen of x is its first number; the second one follows from it, up to 0.1.
TARGET = js.targets.GaussianMixture.spherical([0.5, 0.5], [[-1.0, 2.0], [1.0, -2.0]], 0.01)
MASK, Y = jnp.array([True, False]), jnp.array([1.05, 0.0])


def test_it_is_the_gradient_of_the_distance_of_each_sample(x64):
    x, level = np.array([[0.3, 0.5], [2.0, -1.0], [-4.0, 0.1]]), SCHEDULE.level(jnp.asarray(-np.log(0.7)))
    denoiser = TARGET.denoiser(SCHEDULE)
    matrix = np.array([[1.0, 2.0]])
    held = dps(denoiser, np.array([0.4]), js.corruptions.DenseOperator(matrix), 3.0)
    found, mean = jax.jit(lambda x: (held(x, level), denoiser(x, level)))(x)

    @jax.jit
    @jax.vmap
    def distance(point):
        return jnp.linalg.norm(0.4 - matrix @ denoiser(point[None], level)[0])

    slope = [(distance(x + step) - distance(x - step)) / 2e-5 for step in 1e-5 * np.eye(2)]
    np.testing.assert_allclose(found, mean - 3 * 0.7 * np.transpose(slope), rtol=1e-6, atol=1e-8)


def test_most_samples_end_near_the_observation_and_at_what_belongs_to_it_whatever_the_batch():
    """Half of them belong to it without the pull, and it is a heuristic: 86 % with this scale."""
    key = jax.random.key(0)
    held = dps(TARGET.denoiser(SCHEDULE), Y, MASK, 3.0)
    x = np.asarray(js.sample(key, held, (64, 2), steps=60).x)
    assert np.median(np.abs(x[:, 0] - Y[0])) < 0.1 and np.mean(x[:, 1] < 0) > 0.75
    np.testing.assert_array_equal(js.sample(key, held, (64, 2), steps=60, microbatch=16).x, x)
    # The observation of one sample does not move another one, and is the same in cond.
    own = np.tile(Y, (64, 1)) * np.where(np.arange(64) < 32, 1, -1)[:, None]
    cond = Observed(own, np.tile(MASK, (64, 1)))
    both = js.sample(key, dps(TARGET.denoiser(SCHEDULE), scale=3.0), (64, 2), steps=60, cond=cond).x
    np.testing.assert_allclose(both[:32], x[:32], atol=1e-5)
    assert np.mean(both[32:, 1] > 0) > 0.75


@pytest.mark.parametrize(
    "options, phrase",
    [
        ({"y": Y}, "operator must be given with y"),
        ({"y": Y, "operator": MASK, "scale": -1.0}, "scale must be at least 0; got -1.0"),
        ({"y": Y * jnp.nan, "operator": MASK}, "y must be finite"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(options, phrase):
    with pytest.raises(ValueError, match=phrase):
        inspect.unwrap(dps)(TARGET.denoiser(SCHEDULE), **options)


def test_a_noise_is_refused_because_it_would_not_be_used():
    cond = Observed(np.zeros((3, 2)), np.ones((3, 2), bool), np.ones(3))
    with pytest.raises(ValueError, match="Observed.noise must be None for dps"):
        dps(TARGET.denoiser(SCHEDULE)).check_cond(cond, 3)
