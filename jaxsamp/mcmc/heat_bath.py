"""The heat bath: every sweep draws each spin in turn from its law given all others."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc import graphs
from jaxsamp.mcmc.spins import SpinSampler, structure
from jaxsamp_kernels import spins as kernel

FRESH = 100  # sweeps after which local fields are computed anew: float32 sums of their changes drift


class _Bath(SpinSampler):
    powers = True


@pytree
@dataclass(frozen=True)
class HeatBath(_Bath):
    """The heat bath (Gibbs sampling), for every model: x_i = +1 with probability sigmoid(2 f_i), i = 0, ..., n - 1.

    f_i is the local field of spin i. What a spin costs depends on what the model shows of itself:

    - `couplings` (n, n) and `fields` (n,), as `Ising`: O(n) for a flip. Local fields are kept, and computed anew every
      100 sweeps, because their sums drift in float32.
    - `SparseIsing`: as many operations as the spin has neighbors.
    - `MRF`: as many as it is in terms, of any order. Inside `jax.jit` with the model as an argument: as below.
    - Any other: one call of `local_fields`.

    Args:
        block: dense couplings change the fields of other spins by one matrix product for every `block` spins. The chain
            is the same for every number, up to rounding; 1 changes them after every flip.

    Source: Glauber, "Time-dependent statistics of the Ising model", J. Math. Phys. 4 (1963); Geman and Geman,
    "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images", IEEE PAMI 6 (1984).
    """

    block: int = field(default=32, metadata={"static": True})

    def prepared(self, model: Any) -> SpinSampler:
        """The heat bath for what the model shows of itself."""
        checks.at_least("block", self.block, 1)
        if structure(model) == "neighbors":
            return _Sparse()
        if structure(model) == "terms":
            some = checks.is_concrete(model.members) and len(model.members) > 0
            return _Terms(_terms_of(model)) if some else _Plain()
        if not (hasattr(model, "couplings") and hasattr(model, "fields")):
            return _Plain()
        check_fields(model)
        return _Dense(self.block)

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        """The state of a chain at x before the first sweep."""
        return self.prepared(model).init(model, x, rng)

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        """The state after sweep i."""
        return self.prepared(model).step(model, state, i, rng)


@pytree
@dataclass(frozen=True)
class _Dense(_Bath):
    block: int = field(metadata={"static": True})

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        return State(x, kernel.fields(x, *_pairwise(model, rng)))

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        couplings, bias = _pairwise(model, rng)
        x, f = state
        f = lax.cond(i % FRESH == 0, lambda: kernel.fields(x, couplings, bias), lambda: f)
        if self.block == 1:
            return State(*kernel.heat_bath_sweep(x, f, couplings, rng.thresholds(i)))
        return State(*kernel.panel_sweep(x, f, couplings, rng.thresholds(i), self.block))


@pytree
@dataclass(frozen=True)
class _Sparse(_Bath):
    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        weights, bias = (jnp.asarray(a, rng.dtype) for a in (model.neighbor_weights, model.fields))
        return State(kernel.sparse_sweep(state.x, model.neighbors, weights, bias, rng.thresholds(i)))


@pytree
@dataclass(frozen=True)
class _Terms(_Bath):
    terms: Any  # those that each spin is in, (n, K), filled up with their number

    def prepared(self, model: Any) -> SpinSampler:
        return HeatBath().prepared(model) if checks.is_readable(model) else self  # another model has other terms

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        return State(x, kernel.term_products(x, model.members))

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        weights = jnp.asarray(model.weights, rng.dtype)
        return State(*kernel.term_sweep(state.x, state.memory, self.terms, weights, rng.thresholds(i)))


@pytree
@dataclass(frozen=True)
class _Plain(_Bath):
    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        def local_field(x: Array, i: Array) -> Array:
            return model.local_fields(x[None].astype(rng.dtype))[0, i]

        return State(kernel.plain_sweep(state.x, local_field, rng.thresholds(i)))


def _pairwise(model: Any, rng: Rng) -> tuple[Array, Array]:
    return jnp.asarray(model.couplings, rng.dtype), jnp.asarray(model.fields, rng.dtype)


def _terms_of(model: Any) -> np.ndarray:
    """The numbers of the terms that each spin is in, (n, K), filled up with the number of all terms."""
    members, n = np.asarray(model.members), model.event_shape[0]
    terms, places = np.nonzero(members < n)
    return graphs.grouped(members[terms, places], terms, n, len(members))


def check_fields(model: Any) -> None:
    """Raise ValueError unless `couplings` and `fields` are those of the model's local fields, at one state.

    A model that says its `structure` is believed.
    """
    if structure(model) or not checks.is_concrete(model, jnp.zeros(())):
        return
    x = np.random.default_rng(0).choice([-1.0, 1.0], model.event_shape[0])
    given = np.asarray(model.local_fields(jnp.asarray(x)[None]))[0]
    meant = np.asarray(model.couplings) @ x + np.asarray(model.fields)
    error = np.abs(given - meant).max()
    if not error <= 1e-3 * (1 + np.abs(meant).max()):
        raise ValueError(
            "model must have local_fields(x) = couplings x + fields if it has attributes of these names; got a "
            f"difference of {error:.3g} at one state: give them other names, and the heat bath calls local_fields."
        )
