"""Laws of spins whose numbers are known: made with NumPy, so that they have float64 where JAX has it."""

from itertools import combinations

import numpy as np

import jaxsamp as js


def r1(scale=1.1, field=0.15):
    """Ten spins, all coupled."""
    i, j = np.meshgrid(np.arange(10), np.arange(10), indexing="ij")
    upper = np.triu(scale / np.sqrt(10) * np.cos(2 + 7 * i + 11 * j + i * j), 1)
    return js.discrete.Ising(upper + upper.T, field * np.sin(1 + 2 * np.arange(10)))


def r2():
    """Eight spins, with all terms of three."""
    return js.discrete.MRF({(a, b, c): 0.25 * np.sin(2 * a + 3 * b + 5 * c) for a, b, c in combinations(range(8), 3)})


def torus(size, beta):
    """Equal couplings on a square lattice."""
    return js.discrete.lattice(size, 2, beta)


def ring(n=16, coupling=0.5, field=0.1):
    """A ring in a field."""
    return js.discrete.lattice(n, 1, coupling, field)
