"""Speculative DDPM: exactly the law of ancestral sampling, in fewer rounds."""

from dataclasses import dataclass, field

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Cost, Problem, Sampler
from jaxsamp_kernels import speculative
from jaxsamp_kernels.frame import LOCALIZATION


@pytree
@dataclass(frozen=True)
class SpeculativeDDPM(Sampler):
    """The steps of `DDPM`, `lookahead` of them proposed at a time and kept or corrected so that the law stays the same.

    In the localization frame a step is y' = y + w D(y) + sqrt(w) z. Proposed steps use a guess instead of D. All D are
    then evaluated at the proposed states in one round, and each proposal in turn is kept, or its noise is reflected and
    the later steps are proposed again. `jaxsamp_kernels.speculative` has the rule and explains why it is exact for any
    guesses. Better guesses take fewer rounds.

    The samples are not those of `DDPM` under the same key, except with guesses="start" where nothing was reflected
    (always for lookahead 1); but their joint law at all levels is the same.

    Args:
        lookahead: number of steps proposed at once, which is the number of evaluations per round.
        guesses: "latest", D as last evaluated for the same step, or for the latest evaluated step before it: one round
            per set of proposals; "start", D at the state from which all are proposed, as published: two rounds.

    Source: Hu et al., "Diffusion Models are Secretly Exchangeable: Parallelizing DDPMs via Autospeculation", arXiv
    2505.03983; guesses="latest" is this library's addition.
    """

    lookahead: int = field(default=16, metadata={"static": True})
    guesses: str = field(default="latest", metadata={"static": True})

    convergence_order = 1.0
    stochastic = True
    discretizes = "sde"
    default_steps = 200
    stepwise = False
    differentiable = False

    def check(self) -> None:
        """Raise ValueError unless lookahead is at least 1 and the rule for guesses is known."""
        checks.at_least("lookahead", self.lookahead, 1)
        checks.one_of("guesses", self.guesses, ("latest", "start"))

    def evaluations(self, steps: int) -> int:
        """An upper bound: one step per round."""
        return sum(min(self.lookahead, left) for left in range(1, steps + 1))

    def rounds(self, steps: int) -> int:
        """An upper bound: a set of proposals gives at least one step, or two with guesses="start" until the end."""
        if self.guesses == "latest" or self.lookahead == 1:
            return steps
        return steps + steps % 2

    def cost(self, state: State, steps: int) -> Cost:
        """The cost, as counted by the loop."""
        rounds, evaluations, computed = state.memory
        return Cost(rounds, evaluations, computed, 0.0, True)

    def init(self, problem: Problem, x: Array) -> State:
        """The state, with all counts at zero."""
        return State(x, (jnp.zeros((), jnp.int32),) * 3)

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """The whole trajectory."""
        lam = problem.lam
        scale = LOCALIZATION.scale(lam)

        def drift(points: Array, index: Array) -> Array:
            over = scale[index].reshape(-1, *(1,) * (points.ndim - 1))
            return problem.denoise_all(over * points, lam[index])

        walk = speculative.walk(
            state.x / scale[0],
            drift,
            lambda j: (rng.normal(j), rng.uniform(j)),
            LOCALIZATION.clock_delta(lam[:-1], lam[1:]),
            lookahead=min(self.lookahead, len(lam) - 1),
            fresh=self.guesses == "start",
        )
        return State(scale[-1] * walk.y, (walk.rounds, walk.evaluations, walk.computed))
