"""What windows that slide share: their settings, and what they count."""

from abc import abstractmethod
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Cost, Problem, Sampler, check_frame
from jaxsamp_kernels import sliding


class Counts(NamedTuple):
    """What a trajectory took; see `jaxsamp_kernels.sliding.Slid`."""

    sweeps: Array
    cells: Array
    residual: Array


class Sliding(Sampler):
    """Base of `SlidingWindow` and `ParaDiGMS`: the whole trajectory in one loop, in as many sweeps as it takes."""

    window: Any
    tolerance: Any
    frame: Any
    max_sweeps: Any

    default_steps = 64
    stepwise = False

    @property
    @abstractmethod
    def _costs(self) -> tuple[int, int, int]:
        """Evaluations before the first sweep, and rounds of a sweep and evaluations of a cell."""

    @abstractmethod
    def _slid(self, problem: Problem, x: Array, rng: Rng) -> tuple[Array, sliding.Slid]:
        """The state at the last level, and what it took."""

    def check(self) -> None:
        """Positive sizes and a known frame."""
        checks.at_least("window", self.window, 1)
        check_frame(self.frame)
        if checks.is_concrete(self.tolerance) and not float(self.tolerance) >= 0:
            raise ValueError(f"tolerance must be at least 0; got {self.tolerance}.")
        if self.max_sweeps is not None and checks.is_concrete(self.max_sweeps):
            checks.at_least("max_sweeps", self.max_sweeps, 1)

    def evaluations(self, steps: int) -> int:
        """At most: a window that moves by one step a round."""
        before, _, each = self._costs
        return before + each * sum(min(self.window, left) for left in range(1, steps + 1))

    def rounds(self, steps: int) -> int:
        """At most those of the sequential sampler."""
        before, depth, _ = self._costs
        return before + depth * steps

    def cost(self, state: State, steps: int) -> Cost:
        """What the loop has counted."""
        counts: Counts = state.memory
        before, depth, each = self._costs
        rounds, evaluations = before + depth * counts.sweeps, before + each * counts.cells
        computed = before + each * min(self.window, steps) * counts.sweeps
        return Cost(rounds, evaluations, computed, counts.residual, counts.residual <= self.tolerance)

    def init(self, problem: Problem, x: Array) -> State:
        """The state, and nothing done yet."""
        zero = jnp.zeros((), jnp.int32)
        return State(x, Counts(zero, zero, jnp.zeros((), x.dtype)))

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """The whole trajectory."""
        x, slid = self._slid(problem, state.x, rng)
        return State(x, Counts(slid.sweeps, slid.cells, slid.residual))

    def _slide(self, *start: Any, **options: Any) -> sliding.Slid:
        window = min(self.window, len(start[3]))
        return sliding.slide(*start, window=window, tolerance=self.tolerance, max_sweeps=self.max_sweeps, **options)


def over(table: Array, event: int) -> Array:
    """A table of numbers, one for each row, made to broadcast over an event with that number of axes."""
    return table.reshape(-1, *(1,) * event) if table.ndim == 1 else table
