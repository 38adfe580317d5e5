"""The job of `sample_spins`: one chain of spins."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, PyTree, State
from jaxsamp.mcmc import SpinSampler
from jaxsamp.running.engine import End, Loop, Row
from jaxsamp.running.walk import Walk


@pytree
@dataclass(frozen=True)
class SpinChain(Walk):
    """The sweeps of one chain, whose sampler has been prepared."""

    sampler: SpinSampler
    model: Any

    def begun(self, row: Row, rng: Rng) -> State:
        """The state before the first sweep, from random spins if no start is given."""
        return self.sampler.init(self.model, rng.spins() if row.init is None else row.init, rng)

    def moved(self, state: State, i: Array, rng: Rng) -> State:
        """The state after sweep i."""
        return self.sampler.step(self.model, state, i, rng)

    def finish(self, tables: PyTree, row: Row, loop: Loop) -> End:
        """The last state, with its exponent and those of the draws, one after another, and the sampler's stats."""
        draws = loop.saved.draws
        exponents = {
            "exponent": self._exponent(loop.state.x),
            "exponents": None if draws is None else lax.map(self._exponent, draws),
        }
        return End(loop.state.x, loop.bad, loop.saved, (exponents, self.sampler.stats(self.model, loop.state)))

    def _exponent(self, x: Array) -> Array:
        return self.model.exponent(x[None].astype(self._noise))[0]

    @property
    def _noise(self) -> Any:
        """The dtype of random numbers and of everything computed from them."""
        return jnp.result_type(float)

    def _rng(self, row: Row) -> Rng:
        return replace(super()._rng(row), dtype=self._noise)
