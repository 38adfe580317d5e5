"""Quantum splitting, its inverse, and the two-stage scheme."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js

q = js.quantum
module = sys.modules[q.two_stage.__module__]


@pytest.mark.parametrize("p", [(0.9, 0.1), (0.75, 0.2, 0.05), (0.94, 0.02, 0.02, 0.02), (0.25,) * 4])
def test_splitting_comes_back_and_makes_eigenvalues_small(p, x64, key):
    crude, d = q.random_state(key, len(p), p), len(p)
    split = q.splitting(crude)
    rng = np.random.default_rng(0)
    any_one = rng.normal(size=(d, d)) + 1j * rng.normal(size=(d, d))
    np.testing.assert_allclose(split.inverse(split(any_one)), any_one, atol=1e-12)
    values = np.linalg.eigvalsh(np.asarray(split(crude)))
    assert values[-1] <= 1 / d + 1e-9 and values[0] > 0 and values.sum() == pytest.approx(1)
    assert d <= split.size <= 3 * d


def test_splitting_is_the_mean_of_its_isometries(x64, key):
    crude, rho = q.random_state(key, 3, (0.75, 0.2, 0.05)), q.random_state(jax.random.key(1), 3)
    split = q.splitting(crude)
    places = np.cumsum([0, *split.copies])
    want = 0
    for s in range(split.copies.max()):
        v = np.zeros((split.size, 3), complex)
        for i, b in enumerate(split.copies):
            v[places[i] + s % b] = split.basis[:, i].conj()
        want = want + v @ np.asarray(rho) @ v.conj().T / split.copies.max()
    np.testing.assert_allclose(split(rho), want, atol=1e-12)


def test_what_is_measured_is_a_state_near_the_mixed_one(x64, key):
    rho, crude = (q.random_state(jax.random.key(i), 3, (0.75, 0.2, 0.05)) for i in range(2))
    split = q.splitting(crude)
    share, sigma = module._near_mixed(np.asarray(split(rho)), np.asarray(split(crude)))
    np.testing.assert_allclose(sigma, np.eye(split.size) / split.size + share * split(rho - crude), atol=1e-12)
    filling = (sigma - share * np.asarray(split(rho))) / (1 - share)
    assert 0 < share <= 0.5 and np.linalg.eigvalsh(filling)[0] > -1e-12


def test_the_two_stages_find_a_qubit(key, optimized):
    # The trace distance at so many copies is 0.03 on average: five times as much is no chance.
    rho = q.random_state(key, 2, (0.9, 0.1))
    est = q.two_stage(jax.random.key(1), rho, 21_333)
    assert q.trace_distance(est.rho, rho) < 0.15 and est.batches.shape == (4000, 2, 2)
    assert jnp.abs(jnp.trace(est.rho) - 1) < 1e-5 and jnp.abs(est.rho - est.rho.conj().T).max() < 1e-5


@pytest.mark.slow
def test_more_copies_help(optimized):
    # From 2,000 to 32,000 copies the mean error over 16 states falls by 2.4, with a relative standard error of 0.15.
    errors = []
    for copies in (2000, 32_000):
        each = []
        for seed in range(16):
            rho = q.random_state(jax.random.key(seed), 2, (0.9, 0.1))
            each.append(q.trace_distance(q.two_stage(jax.random.key(100 + seed), rho, copies).rho, rho))
        errors.append(np.mean(each))
    assert errors[0] > 1.7 * errors[1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"per_measurement": 41}, "per_measurement must be at most 40; got 41"),
        ({"per_measurement": 0}, "per_measurement must be at least 1; got 0"),
        ({"crude": 1.5}, "crude must be between 0 and 1, the share of the first stage; got 1.5"),
        ({"copies": 0}, "copies must be at least 1; got 0"),
        ({"copies": 2}, "copies must suffice for both stages; got 2, of which 0 are for the first"),
    ],
)
def test_bad_arguments(settings, sentence, key):
    with pytest.raises(ValueError, match=sentence):
        q.two_stage(key, np.eye(2) / 2, **settings)
