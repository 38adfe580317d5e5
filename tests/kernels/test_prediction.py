"""The conversion table against the definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp_kernels import prediction


def truth(name, x0, noise, alpha, sigma, alpha_dot, sigma_dot):
    return {
        "x0": x0,
        "epsilon": noise,
        "score": -noise / sigma,
        "v": (alpha * noise - sigma * x0) / np.hypot(alpha, sigma),
        "velocity": alpha_dot * x0 + sigma_dot * noise,
    }[name]


@pytest.mark.parametrize("name", prediction.NAMES)
@pytest.mark.parametrize(("alpha", "sigma"), [(0.99, 0.02), (1.0, 30.0), (0.3, 0.95)])
def test_both_directions_match_the_definition(x64, name, alpha, sigma):
    x0, noise = np.random.default_rng(0).normal(size=(2, 5))
    x, rates = alpha * x0 + sigma * noise, (-0.4, 0.7)
    out = truth(name, x0, noise, alpha, sigma, *rates)
    args = [jnp.asarray(v) for v in (x, alpha, sigma, *rates)]
    np.testing.assert_allclose(prediction.to_x0(name, jnp.asarray(out), *args), x0, rtol=1e-9)
    np.testing.assert_allclose(prediction.from_x0(name, jnp.asarray(x0), *args), out, rtol=1e-9, atol=1e-12)


def test_v_and_velocity_stay_accurate_in_float32_where_epsilon_does_not():
    x0, noise = np.random.default_rng(1).normal(size=(2, 1000))
    alpha, sigma = 1 / 1000.0, 1.0

    def error(name):
        out = truth(name, x0, noise, alpha, sigma, -1.0, 1.0).astype(np.float32)
        args = [jnp.float32(v) for v in (alpha, sigma, -1.0, 1.0)]
        x = jnp.asarray((alpha * x0 + sigma * noise).astype(np.float32))
        return float(jnp.abs(prediction.to_x0(name, jnp.asarray(out), x, *args) - x0.astype(np.float32)).max())

    assert error("v") < 1e-5 and error("velocity") < 1e-5 < error("epsilon")


def test_conversion_differentiates():
    gradient = jax.grad(lambda out: prediction.to_x0("v", out, 1.0, jnp.array(0.6), jnp.array(0.8)))(0.3)
    np.testing.assert_allclose(gradient, -0.8, rtol=1e-6)
