"""Pairwise models of spins to and from the formats of other packages, whose energies have other signs."""

from collections.abc import Hashable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import extras
from jaxsamp.discrete.ising import Ising
from jaxsamp.discrete.sparse import SparseIsing


def from_dwave(linear: Mapping[Any, Any], quadratic: Mapping[Any, Any], beta: float | int = 1.0) -> SparseIsing:
    """The law exp(-beta E) of the energy E = sum_i linear_i x_i + sum_(i, j) quadratic_ij x_i x_j: J = -beta quadratic.

    Args:
        linear: by variable; the spins are in this order, and then others of `quadratic` as they come.
        quadratic: by pairs of variables; those of (a, b) and (b, a) are added. For a `dimod.BinaryQuadraticModel` both
            are the first two of `bqm.to_ising()`.
        beta: the inverse temperature.

    Raises:
        ValueError: there is no variable, a pair is of one variable twice, or a number is not finite.
    """
    names: dict[Hashable, int] = {}
    for name in [*linear, *(name for pair in quadratic for name in pair)]:
        names.setdefault(name, len(names))
    if not names:
        raise ValueError("linear and quadratic must have a variable; got none.")
    weights: dict[tuple[int, ...], float] = {}
    for pair, value in quadratic.items():
        places = tuple(sorted(names[name] for name in pair))
        weights[places] = weights.get(places, 0.0) - beta * float(value)
    fields = np.zeros(len(names))
    for name, value in linear.items():
        fields[names[name]] = -beta * float(value)
    return _sparse(weights, fields)


def to_dwave(
    model: Ising | SparseIsing, beta: float | int = 1.0
) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
    """h and J of the energy E = sum_i h_i x_i + sum_(i, j) J_ij x_i x_j with p = exp(-beta E) / Z: the signs change.

    As `dimod.BinaryQuadraticModel.from_ising(h, J)` and the samplers of D-Wave take them. Couplings of 0 are left out.
    """
    edges, weights, fields = _parts(model)
    linear = {i: float(h) for i, h in enumerate(-fields / beta)}
    return linear, {(int(a), int(b)): float(w) for (a, b), w in zip(edges, -weights / beta, strict=True)}


def from_thrml(model: Any) -> SparseIsing:
    """The law of a `thrml.models.IsingEBM`, exp(beta (sum_i biases_i x_i + sum_(i, j) weights_ij x_i x_j)) / Z.

    Spins are in the order of its `nodes`; edges that come twice are added.

    Raises:
        ValueError: an edge names a node that is not among them.
    """
    names = {node: i for i, node in enumerate(model.nodes)}
    beta, weights = float(model.beta), {}
    for (a, b), value in zip(model.edges, np.asarray(model.weights, float), strict=True):
        if a not in names or b not in names:
            raise ValueError("model must have every node of its edges among its nodes.")
        places = tuple(sorted((names[a], names[b])))
        weights[places] = weights.get(places, 0.0) + beta * float(value)
    return _sparse(weights, beta * np.asarray(model.biases, float))


def to_thrml(model: Ising | SparseIsing, beta: float | int = 1.0) -> Any:
    """A `thrml.models.IsingEBM` of the same law: biases h / beta and weights J / beta, with spins as its `nodes`.

    Couplings of 0 are left out.

    Raises:
        ValueError: the model has no couplings, which thrml's samplers do not take.
    """
    with extras.needed("to_thrml"):
        from thrml import SpinNode  # type: ignore
        from thrml.models import IsingEBM  # type: ignore

    edges, weights, fields = _parts(model)
    if not len(edges):
        raise ValueError("model must have a coupling, because thrml does not sample models without edges; got none.")
    nodes = [SpinNode() for _ in fields]
    pairs = [(nodes[a], nodes[b]) for a, b in edges]
    return IsingEBM(nodes, pairs, jnp.asarray(fields / beta), jnp.asarray(weights / beta), jnp.asarray(float(beta)))


def _parts(model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges (E, 2), their weights, and fields (n,)."""
    fields = np.asarray(model.fields)
    if isinstance(model, SparseIsing):
        edges, weights = np.asarray(model.edges), np.asarray(model.weights)
    else:
        j = np.triu(np.asarray(model.couplings), 1)
        edges = np.argwhere(j)
        weights = j[tuple(edges.T)]
    kept = weights != 0
    return edges[kept], weights[kept], fields


def _sparse(weights: Mapping[tuple[int, ...], float], fields: np.ndarray) -> SparseIsing:
    edges = np.array([*weights], np.int32).reshape(-1, 2)
    dtype = jnp.result_type(float)
    return SparseIsing(edges, jnp.asarray([*weights.values()], dtype), jnp.asarray(fields, dtype))
