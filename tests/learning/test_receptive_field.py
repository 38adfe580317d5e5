"""What a denoiser looks at is what its derivatives say, and a network with a local branch looks at its neighborhood."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.learning import measure_receptive_field
from tests.learning.test_context import textures

SIGMA = [0.02, 0.3, 4.0]


def test_it_is_that_of_the_matrix_of_a_linear_denoiser():
    x = textures(4.0, 2000, 8).astype(np.float32)
    flat = x.reshape(len(x), -1)
    gaussian = js.targets.GaussianMixture([1.0], flat.mean(0)[None], np.cov(flat.T)[None])
    schedule = js.schedules.VarianceExploding()
    denoiser = gaussian.denoiser(schedule)

    def of_images(params, x, t, cond):
        return denoiser(x.reshape(len(x), -1), schedule.at(t)).reshape(x.shape)

    wrapped = js.denoiser(of_images, None, schedule, "x0")
    found = measure_receptive_field(jax.random.key(0), wrapped, x[:2], SIGMA)
    middle = [27, 28, 35, 36]
    for s, size in zip(SIGMA, found.size, strict=True):
        covariance = np.cov(flat.T)
        rows = (covariance @ np.linalg.inv(covariance + s**2 * np.eye(64)))[middle].reshape(4, 8, 8)
        shares = {n: (rows[:, 4 - n // 2 : 4 + n // 2, 4 - n // 2 : 4 + n // 2] ** 2).sum() for n in (2, 4, 6, 8)}
        assert size == min(n for n in shares if shares[n] >= 0.95 * shares[8])
    assert found.size[0] == 2 < found.size[-1]


@pytest.mark.slow
def test_a_local_network_looks_at_its_neighborhood_where_the_noise_is_small():
    network = js.models.LocalMLP(channels=8, layers=2, width=16, depth=1, crossover=0.5)
    model = js.models.Model(network, js.schedules.VarianceExploding(), "x0")
    x = np.asarray(jax.random.normal(jax.random.key(0), (3, 12, 12)))
    params = model.init(jax.random.key(1), jnp.asarray(x))
    moved = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    found = measure_receptive_field(jax.random.key(3), model.denoiser(moved), x, [1e-3, 50.0], 0.999)
    assert found.size[0] <= 2 + 2 * network.layers and found.size[1] == 12


def test_a_share_of_all_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\); got 1.0"):
        inspect.unwrap(measure_receptive_field)(jax.random.key(0), None, np.zeros((2, 8, 8)), SIGMA, 1.0)
