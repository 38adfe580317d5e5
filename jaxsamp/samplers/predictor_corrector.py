"""Predictor-corrector sampling: any sampler, pulled back to the law at each level."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import INNER, Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Cost, Problem, Sampler
from jaxsamp.samplers.correctors import Corrector, UnderdampedCorrector


@pytree
@dataclass(frozen=True)
class PredictorCorrector(Sampler):
    """Any sampler, with a corrector at the end of some of its steps.

    The corrector moves the law at that level toward the true one, at the cost of its evaluations; it cannot correct the
    weights of modes that are far apart. The predictor's memory of earlier steps is not changed.

    Args:
        predictor: any sampler that goes step by step.
        corrector: an `OverdampedCorrector`, `UnderdampedCorrector` or `ParallelCorrector`.
        every: k, to correct after every k-th step, or a tuple of the steps (counted from 1) after which to correct.

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
        """The predictor's; the corrector's own bias does not vanish as the steps shrink."""
        return self.predictor.convergence_order

    @property
    def reads_calibration(self) -> bool:
        """Whether the predictor needs it."""
        return self.predictor.reads_calibration

    @property
    def default_steps(self) -> int:  # type: ignore[override]
        """The predictor's."""
        return self.predictor.default_steps

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether the predictor is."""
        return self.predictor.differentiable

    @property
    def remedy(self) -> str:  # type: ignore[override]
        """The predictor's."""
        return self.predictor.remedy

    def check(self) -> None:
        """Raise an error unless predictor, corrector and `every` are valid."""
        if not isinstance(self.predictor, Sampler):
            raise TypeError(f"predictor must be one of jaxsamp.samplers; got {self.predictor!r}.")
        if not self.predictor.stepwise:
            raise ValueError(
                f"predictor must go step by step, to be corrected in between; {type(self.predictor).__name__} takes "
                "the whole trajectory in one loop."
            )
        if self.predictor.takes_observation:
            raise ValueError(
                f"predictor must not use an observation itself; {type(self.predictor).__name__} does, and a corrector "
                "would not."
            )
        if not isinstance(self.corrector, Corrector):
            raise TypeError(f"corrector must be one of jaxsamp.samplers' correctors; got {self.corrector!r}.")
        for step in self.every if isinstance(self.every, tuple) else (self.every,):
            checks.at_least("every", step, 1)
        self.predictor.check()
        self.corrector.check()

    def visits(self, steps: int) -> int:
        """The number of corrections."""
        return sum(k <= steps for k in set(self.every)) if isinstance(self.every, tuple) else steps // self.every

    def evaluations(self, steps: int) -> int:
        """The predictor's, and the corrector's at each visit."""
        return self.predictor.evaluations(steps) + self.visits(steps) * self.corrector.evaluations

    def rounds(self, steps: int) -> int:
        """The predictor's, and the corrector's at each visit."""
        return self.predictor.rounds(steps) + self.visits(steps) * self.corrector.rounds

    def limit(self, steps: int) -> int:
        """The predictor's, and the corrector's rounds at each visit."""
        limit = self.predictor.limit(steps)
        return limit and limit + self.visits(steps) * self.corrector.rounds

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
        """Predict, then correct if this step is one of those to correct."""
        # Two correctors, one around the other, need random numbers of their own.
        inner = rng.of(INNER) if isinstance(self.predictor, PredictorCorrector) else rng
        state = self.predictor.step(problem, state, i, inner)

        def correct(x: Array) -> Array:
            return self.corrector.correct(problem, x, problem.lam[i + 1], i, rng)

        if self.every == 1:
            return state._replace(x=correct(state.x))
        turns = self.every
        due = jnp.isin(i + 1, jnp.asarray(turns)) if isinstance(turns, tuple) else (i + 1) % turns == 0
        # The step number is the same for all samples of a batch, so `vmap` keeps the branch and a skipped corrector
        # costs nothing.
        return state._replace(x=lax.cond(due, correct, lambda x: x, state.x))
