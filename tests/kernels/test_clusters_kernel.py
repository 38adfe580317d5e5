"""Clusters, colors and swaps by their definitions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from jaxsamp_kernels import clusters, tempering


def graphs():
    """Vertices and edges, with which of them are open: paths of any numbering, lattices, what is empty or full."""
    rng, n = np.random.default_rng(0), 144
    path = np.stack([np.arange(n - 1), np.arange(1, n)], 1)
    at = np.arange(n).reshape(12, 12)
    lattice = np.concatenate([np.stack([at, np.roll(at, 1, axis)], -1).reshape(-1, 2) for axis in (0, 1)])
    for edges in (path, rng.permutation(n)[path], path[::-1], lattice, rng.permutation(n)[lattice]):
        for share in (0.0, 0.45, 0.5, 0.6, 1.0):
            padded = np.zeros((len(lattice), 2), int)  # one program for all: edges that are closed fill up
            padded[: len(edges)] = edges
            yield padded, (rng.random(len(lattice)) < share) & (np.arange(len(lattice)) < len(edges))


def test_components_are_those_of_scipy():
    edges, open = (np.stack(part) for part in zip(*graphs(), strict=True))
    found = jax.jit(jax.vmap(lambda edges, open: clusters.components(edges, open, 144)))(edges, open)
    for mine, pairs, is_open in zip(np.asarray(found), edges, open, strict=True):
        a, b = pairs[is_open].T
        _, theirs = connected_components(coo_matrix((np.ones(len(a)), (a, b)), (144, 144)), directed=False)
        smallest = np.full(144, 144)
        np.minimum.at(smallest, theirs, np.arange(144))
        np.testing.assert_array_equal(mine, smallest[theirs])
        assert clusters.largest(jnp.asarray(mine)) == np.bincount(theirs).max()


def test_bonds_open_only_between_spins_that_agree_with_their_coupling():
    x, edges, weights = (
        jnp.array([1, 1, -1], jnp.int8),
        jnp.array([[0, 1], [0, 2], [1, 2]]),
        jnp.array([0.4, 0.4, -0.4]),
    )
    for e, expected in ((0.79, [True, False, True]), (0.81, [False, False, False])):
        np.testing.assert_array_equal(clusters.open_bonds(x, edges, weights, jnp.full(3, e)), expected)


def test_the_cluster_of_the_ghost_stays():
    x, coins = jnp.array([1, -1, -1], jnp.int8), jnp.full(3, -1.0)
    np.testing.assert_array_equal(clusters.flipped(x, jnp.array([0, 1, 1]), coins), [-1, 1, 1])
    np.testing.assert_array_equal(clusters.flipped(x, jnp.array([0, 1, 0, 0]), coins), [1, 1, -1])


@pytest.mark.parametrize("sign", [1, -1])
def test_swaps_keep_the_law_of_both_levels(sign, x64):
    """Flows of probability there and back, for S = 0.8 x_0 x_1 + 0.3 x_0; with the wrong sign they differ."""
    states = np.array([*itertools.product((1, -1), repeat=2)])
    s, betas = 0.8 * states.prod(1) + 0.3 * states[:, 0], jnp.array([0.4, 1.0])
    p = np.exp(np.outer(betas, s)) / np.exp(np.outer(betas, s)).sum(1, keepdims=True)
    ratio = [[tempering.log_ratio(jnp.array([a, b]), betas)[0] for b in s] for a in s]
    flow = p[0][:, None] * p[1] * np.minimum(1, np.exp(sign * np.array(ratio)))
    assert np.allclose(flow, flow.T, atol=1e-12) == (sign == 1)


def test_accepted_pairs_swap_and_no_others():
    accepted = jnp.array([True, False, False, True])
    np.testing.assert_array_equal(tempering.swap(jnp.array([3, 1, 0, 2, 4]), accepted), [1, 3, 0, 4, 2])
