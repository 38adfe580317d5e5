"""Graphs of couplings, on the host: which spins may move together, and whether couplings contradict each other."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def sides(n: int, edges: np.ndarray, across: np.ndarray | bool = True) -> np.ndarray | None:
    """A side of each vertex, (n,) of bool, such that an edge joins two sides where `across` and one where not.

    None if there are none. With all edges across, a coloring by two colors; with those of negative coupling, the signs
    by which the spins of a model without frustration become those of a ferromagnet. Each vertex has two copies, one on
    each side, and there are no sides if both are connected.
    """
    a, b = edges.T
    near, far = np.where(across, b + n, b), np.where(across, b, b + n)
    pairs = np.concatenate([a, a + n]), np.concatenate([near, far])
    _, label = connected_components(coo_matrix((np.ones(2 * len(a), bool), pairs), (2 * n, 2 * n)), directed=False)
    return None if (label[:n] == label[n:]).any() else label[:n] < label[n:]


def grouped(groups: np.ndarray, values: np.ndarray, count: int, fill: int) -> np.ndarray:
    """Row g has the values whose group is g, in their order: (count, the largest number of them), filled up."""
    order = np.argsort(groups, kind="stable")
    groups, values = groups[order], values[order]
    size = np.bincount(groups, minlength=count)
    table = np.full((count, max(1, size.max(initial=0))), fill, np.int32)
    table[groups, np.arange(len(groups)) - (np.cumsum(size) - size)[groups]] = values
    return table


def colored(neighbors: np.ndarray) -> np.ndarray:
    """Colors 0, 1, ... of vertices, (n,), different for neighbors: two if that is possible, else a greedy coloring.

    Greedy: vertices with most neighbors come first, and each takes the smallest color that no neighbor has.

    Args:
        neighbors: (n, D), filled up with n.
    """
    n = len(neighbors)
    vertices, places = np.nonzero(neighbors < n)
    two = sides(n, np.stack([vertices, neighbors[vertices, places]], 1))
    if two is not None:
        return two.astype(np.int32)
    colors = np.full(n + 1, -1, np.int32)
    for i in np.argsort(-(neighbors < n).sum(1), kind="stable"):
        taken = np.zeros(neighbors.shape[1] + 2, bool)
        taken[colors[neighbors[i]]] = True  # the last one, of those without a color, is never chosen
        colors[i] = np.argmin(taken)
    return colors[:n]
