"""Predictor-corrector sampling: any sampler, pulled back to the law at each level."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Cost, Problem, Sampler
from jaxsamp.samplers.correctors import Corrector, UnderdampedCorrector


@pytree
@dataclass(frozen=True)
class PredictorCorrector(Sampler):
    """Any sampler, with a corrector at the level that some of its steps arrive at.

    The corrector pulls the law at that level back to the true one, at the price of its evaluations; what it cannot
    see is the weight of modes that are far apart. What the predictor remembers of earlier steps stays as it is.

    Args:
        predictor: any other sampler.
        corrector: an `OverdampedCorrector`, `UnderdampedCorrector` or `ParallelCorrector`.
        every: correct after every so many steps, or a tuple of the steps (counted from 1) after which to correct.

    Source: Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations",
    arXiv 2011.13456.
    """

    predictor: Any
    corrector: Any = UnderdampedCorrector()  # noqa: RUF009  (frozen)
    every: int | tuple[int, ...] = field(default=1, metadata={"static": True})

    stochastic = True
    discretizes = "sde"

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """The predictor's; the corrector's own bias stays as the steps shrink."""
        return self.predictor.convergence_order

    @property
    def reads_calibration(self) -> bool:
        """As the predictor does."""
        return self.predictor.reads_calibration

    @property
    def default_steps(self) -> int:  # type: ignore[override]
        """The predictor's."""
        return self.predictor.default_steps

    def check(self) -> None:
        """A sampler, a corrector, and steps to correct after."""
        if not isinstance(self.predictor, Sampler):
            raise TypeError(f"predictor must be one of jaxsamp.samplers; got {self.predictor!r}.")
        if not self.predictor.stepwise:
            raise ValueError(
                f"predictor must go step by step, to be corrected in between; {type(self.predictor).__name__} takes "
                "the whole trajectory in one loop."
            )
        if not isinstance(self.corrector, Corrector):
            raise TypeError(f"corrector must be one of jaxsamp.samplers' correctors; got {self.corrector!r}.")
        for step in self.every if isinstance(self.every, tuple) else (self.every,):
            checks.at_least("every", step, 1)
        self.predictor.check()
        self.corrector.check()

    def visits(self, steps: int) -> int:
        """How often it corrects."""
        return sum(k <= steps for k in self.every) if isinstance(self.every, tuple) else steps // self.every

    def evaluations(self, steps: int) -> int:
        """The predictor's, and the corrector's at each visit."""
        return self.predictor.evaluations(steps) + self.visits(steps) * self.corrector.evaluations

    def rounds(self, steps: int) -> int:
        """The predictor's, and the corrector's at each visit."""
        return self.predictor.rounds(steps) + self.visits(steps) * self.corrector.rounds

    def cost(self, state: State, steps: int) -> Cost:
        """The predictor's, and the corrector's at each visit."""
        cost, more = self.predictor.cost(state, steps), self.visits(steps) * self.corrector.evaluations
        return cost._replace(
            rounds=cost.rounds + self.visits(steps) * self.corrector.rounds,
            evaluations=cost.evaluations + more,
            computed=cost.computed + more,
        )

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """The predictor's arrays."""
        return self.predictor.prepare(lam, calibration)

    def init(self, problem: Problem, x: Array) -> State:
        """The predictor's state."""
        return self.predictor.init(problem, x)

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """Predict; then correct if it is this step's turn."""
        state = self.predictor.step(problem, state, i, rng)

        def correct(x: Array) -> Array:
            return self.corrector.correct(problem, x, problem.lam[i + 1], i, rng)

        if self.every == 1:
            return state._replace(x=correct(state.x))
        turns = self.every
        due = jnp.isin(i + 1, jnp.asarray(turns)) if isinstance(turns, tuple) else (i + 1) % turns == 0
        # The step is the same for all samples of a batch, so this stays a branch and idle correctors cost nothing.
        return state._replace(x=lax.cond(due, correct, lambda x: x, state.x))
