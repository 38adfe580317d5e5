"""What chains with an accept step share: they have the law of the density itself, whatever their step size."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.random import MOVE, Rng, stream_key
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc import warmup as warm
from jaxsamp.mcmc.base import Adaptive, LogDensity
from jaxsamp.mcmc.blackjax_parts import parts


class Point(NamedTuple):
    """A state as blackjax has it, of one vector."""

    position: Array
    logdensity: Array
    logdensity_grad: Array


class Move(NamedTuple):
    """What a step did: mean acceptance probability, gradients, and whether the trajectory diverged."""

    acceptance: Array
    gradients: Array
    divergent: Array


class Memory(NamedTuple):
    """What a chain carries besides its place: the density there, what was adapted, and totals of `Move`."""

    logdensity: Array
    slope: Array  # of the place as a vector
    adaptation: warm.Adaptation
    gradients: Array
    acceptance: Array  # the mean over steps after the warm-up
    divergences: Array  # after the warm-up
    counted: Array  # steps after the warm-up


class Metropolis(Adaptive):
    """Base class of chains with an accept step. Each adapts its own step size and scales during its warm-up.

    Attributes:
        step_size: the first one; the one that is kept if there is no warm-up.
        target_acceptance: the mean acceptance probability that the step size is adapted to, in (0, 1).
        dense: whether all covariances are adapted, and not the scales of the coordinates alone.
    """

    target_acceptance: Any
    dense: bool
    follows: ClassVar[str] = "log_prob"

    def check(self, event: tuple[int, ...]) -> None:
        """Raise ValueError if a setting is out of range, ModuleNotFoundError if blackjax is missing."""
        super().check(event)
        if checks.is_concrete(self.target_acceptance) and not 0 < float(self.target_acceptance) < 1:
            raise ValueError(f"target_acceptance must be in (0, 1); got {self.target_acceptance}.")
        parts(type(self).__name__)

    @abstractmethod
    def begin(self, log_prob: LogDensity, x: Array) -> Any:
        """The state of the kernel at a vector x: something with the fields of `Point`."""

    @abstractmethod
    def move(self, key: Array, point: Point, log_prob: LogDensity, step_size: Array, inverse_mass: Array) -> Any:
        """The next state, with the fields of `Point`, and a `Move`."""

    def init(self, function: LogDensity, x: Array, rng: Rng) -> State:
        """The state of a chain at x before its first step."""
        point = self.begin(self._of_vectors(function, x), x.ravel())
        adaptation = warm.begin(self.step_size, x.size, self.dense, x.dtype)
        none, zero = jnp.zeros((), jnp.int32), jnp.zeros((), x.dtype)
        memory = Memory(point.logdensity, point.logdensity_grad, adaptation, none + 1, zero, none, none)
        return State(x, memory)

    def step(self, function: LogDensity, state: State, i: Array, rng: Rng, warmup: Any) -> State:
        """The state after step i, of which the first `warmup` adapt the step size and the scales."""
        memory, x = state.memory, state.x
        now, key = memory.adaptation, stream_key(rng.key, i, MOVE)
        point = Point(x.ravel(), memory.logdensity, memory.slope)
        new, move = self.move(key, point, self._of_vectors(function, x), now.step_size, now.inverse_mass)
        acceptance, place = jnp.asarray(move.acceptance, x.dtype), jnp.asarray(new.position, x.dtype)
        adaptation = lax.cond(
            i < warmup,
            lambda: warm.adapted(now, place, acceptance, self.target_acceptance, self.dense, i, warmup),
            lambda: now,
        )
        after = jnp.asarray(i >= warmup, jnp.int32)
        counted = memory.counted + after
        memory = Memory(
            jnp.asarray(new.logdensity, x.dtype),
            jnp.asarray(new.logdensity_grad, x.dtype),
            adaptation,
            memory.gradients + move.gradients.astype(jnp.int32),
            memory.acceptance + after * (acceptance - memory.acceptance) / jnp.maximum(counted, 1),
            memory.divergences + after * move.divergent.astype(jnp.int32),
            counted,
        )
        return State(place.reshape(x.shape), memory)

    def stats(self, state: State) -> dict[str, Array]:
        """Gradients; after the warm-up: the step size, mean acceptance probability and number of divergences."""
        memory = state.memory
        return {
            "rounds": memory.gradients,
            "evaluations": memory.gradients,
            "step_size": memory.adaptation.step_size,
            "acceptance": memory.acceptance,
            "divergences": memory.divergences,
        }

    @staticmethod
    def _of_vectors(log_prob: LogDensity, x: Array) -> LogDensity:
        return lambda v: log_prob(v.reshape(x.shape))
