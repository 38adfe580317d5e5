"""Swendsen-Wang: clusters of spins flip together."""

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc import graphs
from jaxsamp.mcmc.heat_bath import check_fields
from jaxsamp.mcmc.spins import SpinSampler, structure
from jaxsamp_kernels import clusters as kernel

GIANT = 0.9  # the share of all spins in the largest cluster, on average, from which frustrated models are stuck


@pytree
@dataclass(frozen=True)
class SwendsenWang(SpinSampler):
    """Swendsen-Wang sweeps of a model with pairwise couplings, `Ising` or `SparseIsing`, in any fields.

    Given x, spins i and j are joined with probability 1 - exp(-2 J_ij x_i x_j) if J_ij x_i x_j > 0, and each cluster of
    joined spins flips with probability 1/2. A field is a coupling to a ghost spin that never flips. Where the heat bath
    slows down, at the critical point of a ferromagnet or between its two signs, a few sweeps are enough. Couplings of
    any sign are drawn from exactly; but if they contradict each other (frustration) nearly all spins are one cluster
    long before that helps, and a warning says so.

    `stats`: `largest_cluster`, the average share of spins in the largest cluster, the ghost's included; `frustrated`,
    whether no choice of signs turns all couplings and fields into positive ones.

    Source: Swendsen and Wang, "Nonuniversal critical dynamics in Monte Carlo simulations", Phys. Rev. Lett. 58 (1987).
    """

    powers = True

    edges: Any = field(default=None, repr=False)
    frustrated: Any = field(default=True, repr=False)
    ghost: bool = field(default=True, repr=False, metadata={"static": True})

    def prepared(self, model: Any) -> "SwendsenWang":
        """The sampler with the edges of this model.

        Raises:
            TypeError: the model has no pairwise couplings.
        """
        if not (hasattr(model, "couplings") and hasattr(model, "fields")):
            raise TypeError(
                "model must have pairwise couplings and fields for SwendsenWang, as an Ising or a SparseIsing has; got "
                f"{type(model).__name__}: take HeatBath()."
            )
        n, listed = model.event_shape[0], structure(model) == "neighbors"
        if not checks.is_readable(model):
            edges = model.edges if listed else np.stack(np.triu_indices(n, 1), 1).astype(np.int32)
            return SwendsenWang(edges, True, True)
        if not listed:
            check_fields(model)
        edges = np.asarray(model.edges) if listed else np.argwhere(np.triu(np.asarray(model.couplings), 1))
        weights, fields = np.asarray(_weights(model, edges)), np.asarray(model.fields)
        haunted = np.stack([np.arange(n), np.full(n, n)], 1)
        both = np.concatenate([weights, fields])
        used = np.concatenate([edges, haunted])[both != 0]
        frustrated = graphs.sides(n + 1, used, both[both != 0] < 0) is None
        return SwendsenWang(edges.astype(np.int32), np.asarray(frustrated), bool(fields.any()))

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        """The state of a chain at x, with the sum of the shares of the largest clusters, and their number."""
        return State(x, (jnp.zeros((), rng.dtype), jnp.zeros((), rng.dtype)))

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        """The state after sweep i."""
        ready = self if self.edges is not None else self.prepared(model)
        edges, n = jnp.asarray(ready.edges), len(state.x)
        weights, x = jnp.asarray(_weights(model, edges), rng.dtype), state.x
        if ready.ghost:
            edges = jnp.concatenate([edges, jnp.stack([jnp.arange(n), jnp.full(n, n)], 1).astype(edges.dtype)])
            weights, x = jnp.append(weights, jnp.asarray(model.fields, rng.dtype)), jnp.append(x, jnp.ones((), x.dtype))
        e = replace(rng, shape=weights.shape).exponentials(i)
        label = kernel.components(edges, kernel.open_bonds(x, edges, weights, e), len(x))
        total, count = state.memory
        share = kernel.largest(label).astype(rng.dtype) / len(x)
        return State(kernel.flipped(state.x, label, rng.signs(i, 1)[0]), (total + share, count + 1))

    def stats(self, model: Any, state: State) -> dict[str, Array]:
        """The average share of the largest cluster, and whether the model is frustrated."""
        total, count = state.memory
        return {"largest_cluster": total / jnp.maximum(count, 1), "frustrated": jnp.asarray(self.frustrated)}

    def judge(self, stats: dict[str, Array]) -> None:
        """Warn if a model is frustrated and nearly all spins are one cluster."""
        share = float(jnp.mean(stats["largest_cluster"]))
        if share > GIANT and bool(jnp.any(stats["frustrated"])):
            warnings.warn(
                f"sampler SwendsenWang() is stuck: its largest cluster has {share:.0%} of the spins on average, "
                "because the couplings contradict each other (frustration); take Tempering() or HeatBath().",
                stacklevel=4,
            )


def _weights(model: Any, edges: Any) -> Any:
    """J of each edge, (E,)."""
    return model.weights if structure(model) == "neighbors" else model.couplings[edges[:, 0], edges[:, 1]]
