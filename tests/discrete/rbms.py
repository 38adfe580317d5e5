"""Restricted Boltzmann machines whose numbers are known: made with NumPy, for float64 where JAX has it."""

import numpy as np

import jaxsamp as js


def rbm7():
    """Seven spins and three hidden ones, all coupled."""
    i, j = np.arange(7), np.arange(3)
    return js.discrete.RBM(0.8 * np.cos(1 + 3 * i[:, None] + 2 * j), 0.1 * i - 0.3, 0.25 * np.cos(j))


def rbm9():
    """Nine spins and three hidden ones of three neighbors each."""
    weights = np.zeros((9, 3))
    for j in range(3):
        weights[3 * j, j], weights[3 * j + 1, j], weights[(3 * j + 4) % 9, j] = 0.8, -0.7, 0.9
    return js.discrete.RBM(weights, 0.15 * np.sin(np.arange(9)), np.array([0.2, -0.1, 0.3]))


def rbm10():
    """Ten spins and four hidden ones, whose partition function annealing has to find."""
    rng = np.random.default_rng(0)
    return js.discrete.RBM(0.6 * rng.standard_normal((10, 4)), 0.2 * rng.standard_normal(10), np.zeros(4))
