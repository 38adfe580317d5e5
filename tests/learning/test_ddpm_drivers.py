"""Descent on the DDPM objective finds the centers of mixtures, as accurately as expectation-maximization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.learning import ddpm_drivers as drivers
from jaxsamp.learning.ddpm_gradients import Blocks, in_blocks

N, D = 2000, 8
RNG = np.random.default_rng(0)
MU = np.eye(D)[0] + np.eye(D)[1] / 2
X = RNG.choice([-1, 1], N)[:, None] * MU + RNG.normal(size=(N, D))
CENTERS = 4 * np.eye(3, D)
LABELS = RNG.choice(3, N, p=[0.5, 0.3, 0.2])
Y = CENTERS[LABELS] + RNG.normal(size=(N, D))
LOG_WEIGHTS = jnp.log(jnp.asarray([0.5, 0.3, 0.2]))


def symmetric_em(x, mu):
    for _ in range(100):
        mu = (np.tanh(x @ mu)[:, None] * x).mean(0)
    return mu


def em(x, means, weights):
    for _ in range(100):
        logits = np.log(weights) + x @ means.T - 0.5 * np.square(means).sum(1)
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        means = p.T @ x / p.sum(0)[:, None]
    return means


@pytest.mark.parametrize(("gradient", "steps", "gap"), [("exact", 400, 0.02), ("fresh", 100, 0.05)])
def test_two_gaussians_are_found_from_any_start(gradient, steps, gap):
    """Where EM from the truth ends, up to a gap that is a part of the error of both, 0.06."""
    best = symmetric_em(X, MU)
    assert np.linalg.norm(best - MU) < 0.12
    blocks = in_blocks(X)
    for seed in range(5 if gradient == "exact" else 1):
        found, eigenvalue = drivers.two_gaussians(jax.random.key(seed), blocks, gradient, steps, 1e-6)
        mu = np.asarray(found.means)
        assert min(np.linalg.norm(mu - best), np.linalg.norm(mu + best)) < gap
        assert found.converged is None or bool(found.converged)
        assert (int(found.steps) == 2 * steps) == (gradient == "fresh")
    np.testing.assert_allclose(eigenvalue, np.linalg.eigvalsh(X.T @ X / N)[-1], rtol=1e-3)


def test_k_gaussians_are_found_from_starts_near_them():
    best = em(Y, CENTERS, np.asarray([0.5, 0.3, 0.2]))
    start = jnp.asarray(CENTERS + RNG.normal(size=CENTERS.shape) / 2)
    found, _ = drivers.gaussians(jax.random.key(0), in_blocks(Y), LOG_WEIGHTS, start, "stein", 80)
    np.testing.assert_allclose(found.means, best, atol=0.03)  # errors of both are 0.1
    shares, variance = drivers.fit_of(in_blocks(Y), found.means, LOG_WEIGHTS)
    np.testing.assert_allclose(shares, 1, atol=0.1)
    np.testing.assert_allclose(variance, 1, atol=5 * np.sqrt(2 / (N * D)))
    _, shifted = drivers.fit_of(in_blocks(Y), found.means + 0.25, LOG_WEIGHTS)  # which the centers are not asked for
    np.testing.assert_allclose(shifted, variance, atol=0.02)


def test_the_same_key_gives_the_same_bits_and_another_one_the_same_center(key):
    blocks = in_blocks(X)
    one, again, other = (drivers.two_gaussians(k, blocks, "exact", 400, 1e-6)[0] for k in (key, key, jax.random.key(9)))
    np.testing.assert_array_equal(one.means, again.means)
    np.testing.assert_allclose(np.abs(one.means), np.abs(other.means), atol=1e-4)


def test_nothing_is_found_in_double_precision_that_is_not_in_single(x64):
    found, _ = drivers.two_gaussians(jax.random.key(0), in_blocks(X), "exact", 400, 1e-10)
    assert found.means.dtype == jnp.float64 and bool(found.converged)
    best = symmetric_em(X, MU)
    assert min(np.linalg.norm(found.means - best), np.linalg.norm(found.means + best)) < 0.02


def test_memory_beside_the_data_does_not_grow_with_them():
    """256 dimensions and 100,000 samples, 100 MB; nothing of their size is made, by the gradient that needs most."""
    blocks = Blocks(jax.ShapeDtypeStruct((98, 1021, 256), jnp.float32), jax.ShapeDtypeStruct((98, 1021), jnp.float32))
    key = jax.eval_shape(lambda: jax.random.key(0))
    program = drivers.two_gaussians.lower(key, blocks, "fresh", 10, 1e-6).compile()
    assert program.memory_analysis().temp_size_in_bytes < 16e6
