"""Parallel tempering: copies of a chain at powers of the law, which swap their states."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import adopted, pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc.heat_bath import HeatBath
from jaxsamp.mcmc.spins import SpinSampler
from jaxsamp_kernels import tempering as kernel

REPLICAS = 0x9E3779B5  # folded into a chain's key for its replicas: like a number of a sweep, far above any of them
PILOTS, ROUNDS, SWEEPS = 16, 3, 100  # of the run that tunes a ladder: chains, and sweeps of its first round


class _Memory(NamedTuple):
    """A chain between two sweeps: K replicas, and which of them is at which level."""

    replicas: State  # of the inner sampler, (K, ...)
    held: Array  # the replica at each level, (K,)
    phase: Array  # of each replica: 0 before it is at the bottom, then 1, and from the top on 2, (K,)
    accepted: Array  # sums of the probabilities of swaps between levels k and k + 1, (K - 1,)
    offered: Array  # their number, (K - 1,)
    trips: Array  # from the bottom to the top and back, of all replicas


@pytree
@dataclass(frozen=True)
class Tempering(SpinSampler):
    """Parallel tempering with swaps of even and odd pairs in turn: for modes that other samplers do not leave.

    K replicas of a chain draw from p^beta_k, 0 <= beta_0 < ... < beta_{K-1} = 1, each by one sweep of another sampler.
    Then levels k and k + 1 swap their states with probability min(1, exp((beta_{k+1} - beta_k) (S_k - S_{k+1}))), where
    S_k is the exponent at level k; k is even after one sweep and odd after the next, so that replicas move on through
    the ladder instead of to and fro. The draws are the states at beta = 1. A sweep costs K sweeps of the other sampler.

    `stats`: `swaps`, the average probability of a swap over all pairs; `least_swaps`, that of the pair with the least,
    where a ladder is broken if it is near zero; `round_trips`, how many times a replica went from the bottom to the top
    and back: each brings a state that has forgotten where it was.

    Args:
        inner: what moves each replica: HeatBath(), Chromatic() or SwendsenWang().
        betas: the ladder, increasing, with the last one 1; by default `levels` from 0 to 1.
        levels: K, the number of levels if `betas` is not given.
        tune: move the levels between the first and the last until all pairs swap equally often, by three rounds of a
            short run of 16 chains with a key of its own, once per run on the host: the ladder depends on the model and
            on the settings alone. Inside `jax.jit` with the model as an argument, use `Tempering().prepared(model)`
            outside of it, or tune=False.

    Source: Syed, Bouchard-Cote, Deligiannidis and Doucet, "Non-reversible parallel tempering: a scalable highly
    parallel MCMC scheme", arXiv 1905.02939 (swaps and ladder); Geyer, "Markov chain Monte Carlo maximum likelihood",
    Interface (1991).
    """

    inner: Any = HeatBath()  # noqa: RUF009  (frozen)
    betas: Any = None
    levels: int = field(default=12, metadata={"static": True})
    tune: bool = field(default=True, metadata={"static": True})

    def prepared(self, model: Any) -> "Tempering":
        """The sampler with its ladder, tuned to this model, and with the tables of the inner sampler.

        Raises:
            TypeError: `inner` is not a sampler that can be tempered.
            ValueError: the ladder has fewer than two levels, is not increasing or does not end at 1; or the model is an
                argument of a function that JAX transforms, and the ladder has yet to be tuned.
        """
        if not (isinstance(self.inner, SpinSampler) and self.inner.powers):
            raise TypeError(
                "inner must be a sampler that draws from powers of the law, HeatBath(), Chromatic() or SwendsenWang(); "
                f"got {self.inner!r}."
            )
        ready = replace(self, inner=self.inner.prepared(model), betas=self._ladder())
        if not self.tune:
            return ready
        if not checks.is_readable(model, ready.betas, jnp.zeros(())):
            raise ValueError(
                "sampler must have its ladder before jax.jit, which hides the model: pass Tempering().prepared(model), "
                "or tune=False."
            )
        return replace(ready, betas=_tuned(ready, model), tune=False)

    def init(self, model: Any, x: Array, rng: Rng) -> State:
        """The state of a chain, all of whose replicas are at x."""
        k = len(self.betas)
        start = jax.vmap(lambda r: self.inner.init(model, x, self._of(rng, r, 1.0)))(jnp.arange(k))
        none = jnp.zeros(k - 1, rng.dtype)
        return State(x, _Memory(start, jnp.arange(k), jnp.zeros(k, jnp.int32), none, none, jnp.zeros((), jnp.int32)))

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        """The state after sweep i, of all replicas, and one round of swaps."""
        replicas, held, phase, accepted, offered, trips = state.memory
        betas, k = jnp.asarray(self.betas, rng.dtype), len(self.betas)
        level = jnp.zeros(k, jnp.int32).at[held].set(jnp.arange(k))

        def sweep(r: Array, replica: State, beta: Array) -> State:
            return self.inner.step(model, replica, i, self._of(rng, r, beta))

        replicas = jax.vmap(sweep)(jnp.arange(k), replicas, betas[level])
        exponents = model.exponent(replicas.x.astype(rng.dtype)).astype(rng.dtype)[held]
        log_ratio = kernel.log_ratio(exponents, betas)
        pairs = jnp.arange(k - 1) % 2 == i % 2
        u = replace(rng, shape=(k - 1,)).uniforms(i)
        held = kernel.swap(held, pairs & (u < jnp.exp(log_ratio)))
        hot, cold = held[0], held[-1]
        trips += phase[hot] == 2
        phase = phase.at[hot].set(1)
        phase = phase.at[cold].set(jnp.where(phase[cold] == 0, 0, 2))
        accepted = accepted + jnp.where(pairs, jnp.minimum(1, jnp.exp(log_ratio)), 0)
        memory = _Memory(replicas, held, phase, accepted, offered + pairs, trips)
        return State(replicas.x[cold], memory)

    def stats(self, model: Any, state: State) -> dict[str, Array]:
        """Probabilities of swaps, and the number of round trips."""
        rates = state.memory.accepted / jnp.maximum(state.memory.offered, 1)
        return {"swaps": jnp.mean(rates), "least_swaps": jnp.min(rates), "round_trips": state.memory.trips}

    def _ladder(self) -> Any:
        if self.betas is None:
            return np.linspace(0, 1, checks.at_least("levels", self.levels, 2))
        if not checks.is_readable(self.betas):
            return self.betas
        betas = np.asarray(self.betas, float)
        rising = betas.ndim == 1 and len(betas) > 1 and (np.diff(betas) > 0).all() and betas[0] >= 0 and betas[-1] == 1
        if not rising:
            raise ValueError(
                f"betas must be an increasing ladder of two or more numbers from 0 or above to 1; got {self.betas}."
            )
        return betas

    @staticmethod
    def _of(rng: Rng, r: Array, beta: Any) -> Rng:
        return replace(rng.of(REPLICAS).of(r), power=beta)


def _tuned(sampler: Tempering, model: Any) -> np.ndarray:
    """The ladder between whose levels swaps are equally likely, from a few chains with a key of their own."""
    keys = jax.random.split(jax.random.key(0), PILOTS)
    state, first = _started(sampler, adopted("model", model), keys), 0
    for _ in range(ROUNDS):
        count = SWEEPS + first  # 100, 200, 400
        state, rates = _pilot(sampler, model, keys, state, first, count)
        rejected = np.append(0, np.cumsum(1 - np.asarray(rates, float) + 1e-6))
        betas = np.interp(np.linspace(0, rejected[-1], len(rejected)), rejected, np.asarray(sampler.betas, float))
        sampler, first = replace(sampler, betas=betas), first + count
    return np.asarray(sampler.betas)


@jax.jit
def _started(sampler: Tempering, model: Any, keys: Array) -> State:
    def one(key: Array) -> State:
        rng = _rng(model, key)
        return sampler.init(model, rng.spins(), rng)

    return jax.vmap(one)(keys)


@jax.jit
def _pilot(sampler: Tempering, model: Any, keys: Array, state: State, first: Any, count: Any) -> tuple[State, Array]:
    """The chains after `count` more sweeps, and how likely swaps were in the second half of them, (K - 1,)."""

    def one(key: Array, state: State) -> tuple[State, Array, Array]:
        def sweeps(start: Any, end: Any, state: State) -> State:
            return jax.lax.fori_loop(start, end, lambda i, at: sampler.step(model, at, i, _rng(model, key)), state)

        middle = sweeps(first, first + count // 2, state)
        end = sweeps(first + count // 2, first + count, middle)
        return end, end.memory.accepted - middle.memory.accepted, end.memory.offered - middle.memory.offered

    state, accepted, offered = jax.vmap(one)(keys, state)
    return state, accepted.sum(0) / offered.sum(0)


def _rng(model: Any, key: Array) -> Rng:
    return Rng(key, tuple(model.event_shape), jnp.result_type(float))
