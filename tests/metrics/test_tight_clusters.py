"""Distances between tight clusters far apart, in single precision: differences, where expanded squares would cancel."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxsamp import metrics
from jaxsamp.metrics.pairs import row_sums


def clusters(seed, n, d=2, std=1e-4, shift=0.0):
    """Two clusters at +-50 along the diagonal."""
    rng = np.random.default_rng(seed)
    return (50 * rng.choice([-1.0, 1.0], (n, 1)) + std * rng.normal(size=(n, d)) + shift).astype(np.float32)


def means(function, x, y):
    x, y = x.astype(float), y.astype(float)
    n, m = len(x), len(y)
    within = [function(cdist(z, z))[~np.eye(len(z), dtype=bool)].sum() for z in (x, y)]
    return function(cdist(x, y)).mean(), within[0] / n / (n - 1), within[1] / m / (m - 1)


@pytest.mark.parametrize("n", [60, 300])
def test_energy_distance_of_tight_clusters_is_the_sum_over_pairs(n):
    x, y = clusters(0, n, shift=0.01), clusters(1, n)
    between, of_x, of_y = means(lambda r: r, x, y)
    assert metrics.energy_distance(x, y, 64) == pytest.approx(2 * between - of_x - of_y, abs=2e-4)


def test_mmd_of_tight_clusters_is_the_sum_over_pairs():
    x, y = clusters(0, 90, std=1e-3, shift=1e-3), clusters(1, 80, std=1e-3)
    between, of_x, of_y = means(lambda r: np.exp(-(r**2) / 2e-6), x, y)
    assert metrics.mmd_distance(x, y, 1e-3, 32) == pytest.approx(of_x + of_y - 2 * between, abs=1e-5)


@pytest.mark.parametrize("unit", [1e-14, 1.0, 1e12])
def test_mmd_does_not_depend_on_the_unit(unit):
    x, y = (unit * np.random.default_rng(seed).normal(size=(50, 2)).astype(np.float32) for seed in (0, 1))
    assert metrics.mmd_distance(x, y) == pytest.approx(metrics.mmd_distance(x / unit, y / unit), abs=1e-5)


def test_sliced_w2_is_that_of_float64_far_from_the_origin():
    x, y = (np.float32(3e4 + 0.1 * np.random.default_rng(seed).normal(size=(60, 64))) for seed in (0, 1))
    theta = np.random.default_rng(2).normal(size=(8, 64)).astype(np.float32)
    theta /= np.linalg.norm(theta, axis=1, keepdims=True)
    one, two = (np.sort(theta.astype(float) @ z.astype(float).T, axis=1) for z in (x, y))
    assert metrics.sliced_wasserstein(x, y, theta) == pytest.approx(np.square(one - two).mean(), rel=1e-3)


@pytest.mark.parametrize("n", [40, 300])
def test_nearest_neighbors_in_tight_clusters_are_exact(n):
    """Copies whose nearest point is hidden by the rounding of products among many others; and points that are none."""
    training = clusters(0, 400)
    copied = training[:n] + np.where(np.arange(n) % 2, np.float32(4e-6), np.float32(6e-5))[:, None]
    distances = np.sort(cdist(copied.astype(float), training.astype(float)))
    expected = np.mean((distances[:, 0] < 0.5 * distances[:, 1]) | (distances[:, 0] == 0))
    found = metrics.memorization(copied, training, held_out=clusters(1, 50))
    assert found.value == pytest.approx(expected) and 0.1 < expected < 0.9


def test_differences_hold_no_more_than_a_block():
    points = jnp.zeros((2048, 64))
    compiled = row_sums.lower(jnp.sqrt, points, points, 128, True).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 2048 * 2048 * 2


def test_frechet_distance_of_tight_clusters_keeps_the_small_spread():
    x, y = clusters(0, 500, 6), clusters(0, 500, 6, shift=0.01)
    assert metrics.frechet_distance(x, y) == pytest.approx(6e-4, rel=0.02)
