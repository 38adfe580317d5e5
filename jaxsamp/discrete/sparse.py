"""Spins with pairwise couplings along a list of edges."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Data
from jaxsamp.discrete.base import SpinLaw, fields_of, fits
from jaxsamp.mcmc import graphs


@pytree
@dataclass(frozen=True, init=False)
class SparseIsing(SpinLaw):
    """p(x) proportional to exp(sum_{(i,j) in E} J_ij x_i x_j + sum_i h_i x_i), x in {-1, +1}^n, with a list of edges.

    Args:
        edges: (E, 2), pairs of different spins, each pair once.
        weights: J of each edge, (E,), or one number for all.
        fields: h, (n,), or the number n of spins if there are no fields.

    Attributes:
        neighbors: (n, D), the spins that each one is coupled to, D the largest number of them; n fills up.
        edge_of: (n, D), the number of the edge to each neighbor; E fills up.

    Raises:
        ValueError: an edge joins a spin to itself, names one that is not there, or comes twice; or a number is not
            finite.
    """

    structure = "neighbors"

    edges: Any
    weights: Any
    fields: Any
    neighbors: Any
    edge_of: Any

    def __init__(self, edges: Data, weights: Data, fields: Data) -> None:
        whole = isinstance(fields, int | np.integer)
        h = fields_of(None, checks.at_least("fields", fields, 1)) if whole else fields_of(fields)
        pairs, j = _pairs(edges, len(h)), checks.floating("weights", weights)
        if j.shape not in ((), (len(pairs),)):
            raise ValueError(f"weights must be one number or of shape (E,) = ({len(pairs)},); got {j.shape}.")
        if checks.is_concrete(j):
            checks.finite("weights", j)
        neighbors, edge_of = _tables(pairs, len(h))
        given = {"edges": jnp.asarray(pairs), "weights": jnp.broadcast_to(j, (len(pairs),)), "fields": h}
        for name, value in (given | {"neighbors": neighbors, "edge_of": edge_of}).items():
            object.__setattr__(self, name, value)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(n,)."""
        return self.fields.shape

    @property
    def couplings(self) -> Array:
        """J as a dense matrix, (n, n); raises ValueError if it is larger than memory."""
        fits("couplings", self.sites, self.sites)
        a, b = self.edges.T
        return (
            jnp.zeros((self.sites, self.sites), self.weights.dtype)
            .at[a, b]
            .set(self.weights)
            .at[b, a]
            .set(self.weights)
        )

    @property
    def neighbor_weights(self) -> Array:
        """J to each of `neighbors`, (n, D), zero where the table is filled up."""
        return jnp.append(self.weights, 0)[self.edge_of]

    @property
    def width(self) -> Array:
        """max_i 2 (sum_j |J_ij| + |h_i|), the largest sum of weights of a regression of one spin on the others."""
        return 2 * jnp.max(jnp.abs(self.neighbor_weights).sum(1) + jnp.abs(self.fields))

    def exponent(self, x: Array) -> Array:
        """sum_{(i,j) in E} J_ij x_i x_j + sum_i h_i x_i, (batch,)."""
        x = x.astype(self.fields.dtype)
        a, b = self.edges.T
        return jnp.sum(x[..., a] * x[..., b] * self.weights, -1) + jnp.sum(x * self.fields, -1)

    def local_fields(self, x: Array) -> Array:
        """sum_j J_ij x_j + h_i, (batch, n)."""
        x = jnp.pad(x.astype(self.fields.dtype), ((0, 0), (0, 1)))
        return jnp.sum(x[:, self.neighbors] * self.neighbor_weights, -1) + self.fields

    def scaled(self, beta: Any) -> "SparseIsing":
        """The law with beta J and beta h."""
        made = object.__new__(SparseIsing)
        for name in ("edges", "neighbors", "edge_of"):
            object.__setattr__(made, name, getattr(self, name))
        object.__setattr__(made, "weights", beta * self.weights)
        object.__setattr__(made, "fields", beta * self.fields)
        return made


def _pairs(edges: Data, n: int) -> np.ndarray:
    """The edges as int32 (E, 2), if each joins two different spins of n and comes once, else raise ValueError."""
    pairs = np.asarray(edges)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise ValueError(f"edges must be whole numbers of shape (E, 2); got {pairs.dtype} of shape {pairs.shape}.")
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < n):
        raise ValueError(f"edges must name spins 0, ..., {n - 1}; got {pairs.min()} to {pairs.max()}.")
    same = pairs[:, 0] == pairs[:, 1]
    if same.any():
        i = int(pairs[same][0, 0])
        raise ValueError(f"edges must join two different spins, because x_i^2 = 1; got ({i}, {i}).")
    known, counts = np.unique(np.sort(pairs, 1), axis=0, return_counts=True)
    if (counts > 1).any():
        a, b = (int(i) for i in known[counts.argmax()])
        raise ValueError(f"edges must name each pair once; got ({a}, {b}) {counts.max()} times.")
    return pairs.astype(np.int32)


def _tables(pairs: np.ndarray, n: int) -> tuple[Array, Array]:
    """The neighbors of each spin and the numbers of the edges to them, (n, D), filled up with n and E."""
    ends, others = np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]])
    numbers = np.tile(np.arange(len(pairs)), 2)
    shape = (n, max(1, int(np.bincount(ends, minlength=n).max())))
    fits("the table of neighbors", *shape)
    order = np.argsort(others, kind="stable")
    ends, others, numbers = ends[order], others[order], numbers[order]
    neighbors, edge_of = (graphs.grouped(ends, *part) for part in ((others, n, n), (numbers, n, len(pairs))))
    return jnp.asarray(neighbors), jnp.asarray(edge_of)
