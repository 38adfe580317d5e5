"""Moments of ReLU networks: closed forms against quadrature and draws, chunks, subspaces, rows that are not normal."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import hermite_e
from scipy.integrate import quad
from scipy.stats import norm

from jaxsamp.supervised.relu_moments import Rows, subspace, summary
from jaxsamp_kernels.hermite import stein_moment4, stein_moments

W, L = np.array([[1.0, 1, 0], [0, 1, -1], [1, 0, 2]]), np.array([0.5, 1, -0.7])
MEAN, LINEAR, SQUARE = 0.22184093, [-0.1, 0.75, -1.2], 2.38800486
SECOND = [
    [0.01615871, 0.14104740, -0.24977738],
    [0.14104740, 0.42314219, -0.28209479],
    [-0.24977738, -0.28209479, -0.21745996],
]
ANGLES = np.arange(4) * np.pi / 4
CANCELLING, SIGNS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1), np.array([1.0, -1, 1, -1])


def network(x, w=W, a=L):
    return np.maximum(x @ w.T, 0) @ a


def rows(x, y, size=1000):
    return Rows(x, y, 0, len(x), size)


def c(q):
    """E[relu(u) He_q(u)]: 1 / sqrt(2 pi), 1/2, (-1)^(j + 1) (2j - 3)!! / sqrt(2 pi) for q = 2j, 0 for odd q > 1."""
    if q < 2:
        return (1 / math.sqrt(2 * math.pi), 0.5)[q]
    return 0.0 if q % 2 else -((-1.0) ** (q // 2)) * math.prod(range(q - 3, 0, -2)) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("q", range(7))
def test_moments_of_one_relu_are_those_of_quadrature(q):
    he = np.eye(7)[q]
    found = quad(lambda u: u * hermite_e.hermeval(u, he) * np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi), 0, 40)[0]
    assert found == pytest.approx(c(q), abs=1e-9)


def moment(w, a, q):
    """c_q sum_i l_i |w_i|^(1 - q) w_i^{(x) q}."""
    total = 0.0
    for one, weight in zip(w, a, strict=True):
        power = np.array(1.0)
        for _ in range(q):
            power = np.multiply.outer(power, one)
        total = total + c(q) * weight * np.linalg.norm(one) ** (1 - q) * power
    return total


def square(w, a):
    """E f^2 = sum l_a l_b |w_a| |w_b| (sin t + (pi - t) cos t) / (2 pi)."""
    size = np.linalg.norm(w, axis=1)
    t = np.arccos(np.clip((w / size[:, None]) @ (w / size[:, None]).T, -1, 1))
    return (a * size) @ ((np.sin(t) + (np.pi - t) * np.cos(t)) / (2 * np.pi)) @ (a * size)


def test_known_moments():
    assert moment(W, L, 0) == pytest.approx(MEAN, abs=1e-8)
    np.testing.assert_allclose(moment(W, L, 1), LINEAR, atol=1e-12)
    np.testing.assert_allclose(moment(W, L, 2), SECOND, atol=1e-8)
    assert square(W, L) == pytest.approx(SQUARE, abs=1e-8)


def test_four_lines_that_cancel_are_seen_by_the_fourth_moment_alone():
    assert moment(CANCELLING, SIGNS, 0) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(moment(CANCELLING, SIGNS, 1), [0.5, -0.20710678], atol=1e-8)
    np.testing.assert_allclose(moment(CANCELLING, SIGNS, 2), 0, atol=1e-15)
    np.testing.assert_allclose(moment(CANCELLING, SIGNS, 4)[0, 0], np.diag([-0.19947114, 0.19947114]), atol=1e-8)
    assert square(CANCELLING, SIGNS) == pytest.approx(0.32208989, abs=1e-8)


def test_means_of_draws_are_within_five_standard_errors_of_closed_forms():
    """30 numbers: a false alarm in fewer than 1e-5 of keys."""
    n = 200_000
    x = np.random.default_rng(0).standard_normal((n, 3))
    y, g = network(x), np.array([1.0, 2, 2]) / 3
    said = summary(rows(x, y, 7000))
    error = y.std() / math.sqrt(n)
    assert abs(said.label - MEAN) < 5 * error and abs(said.square - SQUARE) < 5 * np.std(y**2) / math.sqrt(n)
    np.testing.assert_allclose(said.back, LINEAR, atol=5 * np.std(y[:, None] * x, 0).max() / math.sqrt(n))
    outer = (y[:, None, None] * (x[:, :, None] * x[:, None])).std(0).max()
    few = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    np.testing.assert_allclose(stein_moments(*few, 2), SECOND, atol=5 * outer / math.sqrt(n))
    expected = moment(W, L, 4) @ g @ g
    split = zip(*(jnp.split(each, 50) for each in few), strict=True)
    parts = np.array([stein_moment4(*part, jnp.asarray(g, jnp.float32)) for part in split])
    error = parts.std(0, ddof=1) / math.sqrt(50)
    assert (np.abs(parts.mean(0) - expected) < 5.5 * error).all()
    assert (np.abs(expected) > 5.5 * error).any()


def test_chunks_change_nothing():
    x = np.random.default_rng(1).standard_normal((5000, 4))
    y = network(x[:, :3])
    whole, parts = summary(rows(x, y, 5000)), summary(rows(x, y, 321))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    g = np.random.default_rng(2).standard_normal((3, 4))
    made = [subspace(rows(x, y, size), lambda x, y: y, 4, 0, g / 2) for size in (5000, 321)]
    np.testing.assert_allclose(made[0].values, made[1].values, atol=1e-5 * made[0].values[0])
    projections = [one.basis.T @ one.basis for one in made]
    np.testing.assert_allclose(*projections, atol=1e-4)


def test_the_second_moment_points_to_the_weights_and_the_fourth_where_it_is_zero():
    rng = np.random.default_rng(3)
    plane = np.linalg.qr(rng.standard_normal((6, 2)))[0]
    x = rng.standard_normal((40_000, 6))
    g = rng.standard_normal((12, 6))
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    for w, a in ((np.array([[1.0, 0], [0.6, 0.8]]), np.array([1.0, 0.8])), (CANCELLING, SIGNS)):
        y = network(x, w @ plane.T, a)
        slope, constant = summary(rows(x, y)).linear()
        made = subspace(rows(x, y), lambda x, y, s=slope, c=constant: y - x @ s - c, len(w), None, g)
        assert np.linalg.norm(plane - made.basis.T @ made.basis @ plane) < 0.15
        np.testing.assert_allclose(made.basis @ made.basis.T, np.eye(len(made.basis)), atol=1e-6)
        seen = np.sum(made.values > 1.3 * made.noise)
        assert seen == 2 if a[0] != -a[1] else seen < 2
    scrambled = subspace(rows(x, rng.permutation(y)), lambda x, y: y - y.mean(), 2, None, g)
    assert scrambled.values[0] < 1.3 * scrambled.noise


def test_statistics_of_standard_normal_rows_are_standard_normal():
    """300 sets: their means of squares are 1 within 0.45, five standard errors of a mean of chi-squared ones."""
    found = []
    for seed in range(300):
        x = np.random.default_rng(seed).standard_normal((2000, 5))
        found.append([*summary(rows(x, np.zeros(2000), 2000)).departures().values()])
    np.testing.assert_allclose(np.square(found).mean(0), 1, atol=0.45)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mean", lambda x: x + 0.1),
        ("covariance", lambda x: x @ np.array([[1.0, 0.2, 0], [0, 1, 0], [0, 0, 1]])),
        ("E |x|^4", lambda x: x * np.sqrt(3) / np.linalg.norm(x, axis=1, keepdims=True)),
        ("E x_i^4", lambda x: math.sqrt(3) * (2 * norm.cdf(x) - 1)),
    ],
    ids=["mean", "covariance", "radius", "fourth"],
)
def test_rows_that_are_not_standard_normal_are_seen(name, change):
    x = change(np.random.default_rng(4).standard_normal((5000, 3)))
    assert summary(rows(x, np.zeros(5000))).departures()[name] > 5.5
