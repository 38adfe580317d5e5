"""Densities over devices are those of one."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js
from tests.cases import SCHEDULES, small_mixture

KEY, DENOISER = jax.random.key(0), small_mixture().denoiser(SCHEDULES["vp"])


def test_samples_with_their_density(x64):
    options = {"shape": 6, "sampler": js.samplers.Heun(), "steps": 4}
    one = js.sample_and_log_prob(KEY, DENOISER, **options)
    many = js.sample_and_log_prob(KEY, DENOISER, **options, mesh=js.mesh(4, devices=jax.devices()[:4]), microbatch=1)
    np.testing.assert_allclose(many.x, one.x, rtol=1e-10)
    np.testing.assert_allclose(many.log_prob, one.log_prob, rtol=1e-10)
    assert many.stats.keys() == one.stats.keys()


def test_the_density_of_data(x64):
    x = jnp.linspace(-1.0, 1.0, 12).reshape(6, 2)
    mesh = js.mesh(2, 2, devices=jax.devices()[:4])
    for probes in (0, 2):
        one = js.log_likelihood(KEY, DENOISER, x, 4, probes=probes)
        many = js.log_likelihood(KEY, DENOISER, x, 4, probes=probes, mesh=mesh)
        np.testing.assert_allclose(many.log_prob, one.log_prob, rtol=1e-10)
