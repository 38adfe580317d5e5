"""Exact independent draws of spins through the door of chains."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc.spins import SpinSampler
from jaxsamp_kernels import enumeration

MOST = 22  # spins whose states are enumerated


@pytree
@dataclass(frozen=True)
class Enumerate(SpinSampler):
    """Exact independent draws, for at most 22 spins: every step draws anew from the probabilities of all 2^n states.

    No warm-up is needed, and no thinning; what other samplers are compared with.
    """

    def prepared(self, model: Any) -> SpinSampler:
        """The sampler with the probabilities of all states, from the model's `exponent`."""
        n = model.event_shape[0]
        if n > MOST:
            raise ValueError(
                f"Enumerate takes models of at most {MOST} spins; got n = {n}, which has 2^{n} states: take HeatBath()."
            )
        return _Drawn(_probabilities(model))

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        """A fresh draw."""
        return self.prepared(model).step(model, state, i, rng)


@pytree
@dataclass(frozen=True)
class _Drawn(SpinSampler):
    probabilities: Array

    def prepared(self, model: Any) -> SpinSampler:
        return Enumerate().prepared(model)  # another model has other probabilities

    def step(self, model: Any, state: State, i: Array, rng: Rng) -> State:
        number = enumeration.drawn(self.probabilities, replace(rng, shape=(2,)).uniforms(i))
        x = enumeration.states(number.astype(jnp.uint32), 1, len(state.x))[0]
        return State(x.astype(jnp.int8))


@jax.jit
def _probabilities(model: Any) -> Array:
    return jax.nn.softmax(enumeration.exponents(model.exponent, model.event_shape[0]))
