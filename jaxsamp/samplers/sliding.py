"""The base class of samplers with a sliding window: their settings and their costs."""

from abc import abstractmethod
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Cost, Problem, Sampler, check_frame
from jaxsamp_kernels import sliding


class Counts(NamedTuple):
    """The cost of a trajectory; see `jaxsamp_kernels.sliding.Slid`."""

    sweeps: Array
    cells: Array
    residual: Array


class Sliding(Sampler):
    """Base class of `SlidingWindow` and `ParaDiGMS`: a loop that sweeps until the whole trajectory is settled."""

    window: Any
    tolerance: Any
    frame: Any
    max_sweeps: Any

    default_steps = 64
    stepwise = False
    differentiable = False
    remedy = "Give it a larger max_sweeps, or a larger tolerance."

    @property
    @abstractmethod
    def _costs(self) -> tuple[int, int, int]:
        """Evaluations before the first sweep, rounds per sweep, and evaluations per cell and sweep."""

    @abstractmethod
    def _slid(self, problem: Problem, x: Array, rng: Rng) -> tuple[Array, sliding.Slid]:
        """The state at the last level, and the cost."""

    def check(self) -> None:
        """Raise ValueError unless sizes are positive, the frame is known and the tolerance is not negative."""
        checks.at_least("window", self.window, 1)
        check_frame(self.frame)
        if checks.is_concrete(self.tolerance) and not float(self.tolerance) >= 0:
            raise ValueError(f"tolerance must be at least 0; got {self.tolerance}.")
        if self.max_sweeps is not None and checks.is_concrete(self.max_sweeps):
            checks.at_least("max_sweeps", self.max_sweeps, 1)

    def evaluations(self, steps: int) -> int:
        """An upper bound: the window moves by one step per round."""
        before, _, each = self._costs
        return before + each * sum(min(self.window, left) for left in range(1, steps + 1))

    def rounds(self, steps: int) -> int:
        """An upper bound: the rounds of the sequential sampler."""
        before, depth, _ = self._costs
        return before + depth * steps

    def cost(self, state: State, steps: int) -> Cost:
        """The cost, as counted by the loop."""
        counts: Counts = state.memory
        before, depth, each = self._costs
        rounds, evaluations = before + depth * counts.sweeps, before + each * counts.cells
        computed = before + each * min(self.window, steps) * counts.sweeps
        return Cost(rounds, evaluations, computed, counts.residual, counts.residual <= self.tolerance)

    def init(self, problem: Problem, x: Array) -> State:
        """The state, with all counts at zero."""
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
    """A table of numbers, one per row, made to broadcast over an event with `event` axes."""
    return table.reshape(-1, *(1,) * event) if table.ndim == 1 else table
