"""Hermite features against NumPy, under quadrature, and by Stein's identity."""

import itertools
import math
from functools import partial

import jax
import numpy as np
import pytest
from numpy.polynomial import hermite_e

from jaxsamp_kernels import hermite

X = np.random.default_rng(0).normal(size=(50, 3))


def test_polynomials_are_those_of_numpy_over_the_root_of_the_factorial(x64):
    for m, row in enumerate(jax.jit(partial(hermite.hermite, degree=6))(X)):
        np.testing.assert_allclose(row, hermite_e.hermeval(X, np.eye(7)[m]) / math.sqrt(math.factorial(m)), rtol=1e-10)


def test_features_are_orthonormal_under_the_normal_law_and_nest(x64):
    of = hermite.products(3, 4)
    assert len(of) == math.comb(7, 4) and hermite.products(3, 2) == of[:10]
    nodes, weights = hermite_e.hermegauss(6)
    grid = np.array(list(itertools.product(nodes, repeat=3)))
    mass = np.prod(list(itertools.product(weights / weights.sum(), repeat=3)), 1)
    phi = np.asarray(jax.jit(lambda x: hermite.hermite_features(x, of))(grid))
    np.testing.assert_allclose(phi.T @ (mass[:, None] * phi), np.eye(len(of)), atol=1e-10)


def test_products_of_spins_are_orthonormal_over_all_states():
    spins = np.array(list(itertools.product([-1.0, 1.0], repeat=4)), np.float32)
    of = hermite.products(4, 3, distinct=True)
    assert set(of) == {s for m in range(4) for s in itertools.combinations(range(4), m)}
    phi = np.asarray(jax.jit(lambda x: hermite.monomials(x, of))(spins))
    np.testing.assert_array_equal(phi.T @ phi / 16, np.eye(len(of)))
    np.testing.assert_array_equal(phi[:, of.index((0, 2, 3))], spins[:, 0] * spins[:, 2] * spins[:, 3])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_moments_are_means_of_derivatives(x64, order):
    """Under quadrature, f = exp(a x) has derivatives a^m f with mean a^m exp(|a|^2 / 2)."""
    nodes, weights = hermite_e.hermegauss(20)
    x = np.array(list(itertools.product(nodes, repeat=2)))
    mass = np.prod(list(itertools.product(weights / weights.sum(), repeat=2)), 1)
    a = np.array([0.5, -0.3])
    found = jax.jit(partial(hermite.stein_moments, order=order))(x, len(x) * mass * np.exp(x @ a))
    powers = {1: a, 2: np.multiply.outer(a, a), 3: np.multiply.outer(np.multiply.outer(a, a), a)}
    np.testing.assert_allclose(found, powers[order] * np.exp(a @ a / 2), atol=1e-8)


def test_the_fourth_moment_is_contracted_without_its_entries(x64):
    """Under quadrature, against a (a.g)^2 a^T exp(|a|^2 / 2)."""
    nodes, weights = hermite_e.hermegauss(20)
    x = np.array(list(itertools.product(nodes, repeat=2)))
    mass = np.prod(list(itertools.product(weights / weights.sum(), repeat=2)), 1)
    a, g = np.array([0.5, -0.3]), np.array([0.6, 0.8])
    found = jax.jit(hermite.stein_moment4)(x, len(x) * mass * np.exp(x @ a), g)
    np.testing.assert_allclose(found, np.outer(a, a) * (a @ g) ** 2 * np.exp(a @ a / 2), atol=1e-8)
