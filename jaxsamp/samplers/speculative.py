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

    In the localization frame a step is y' = y + w D(y) + sqrt(w) z. Proposals have a guess in the place of D; all D are
    evaluated at the proposed states in one round; each proposal in turn is kept, or its noise is reflected and those
    after it are proposed anew. See `jaxsamp_kernels.speculative` for the rule and for why it is exact, whatever the
    guesses. Sample i takes fewer rounds the better they are.

    The samples are not those of `DDPM` under the same key, unless with guesses="start" nothing had to be reflected
    (always so for lookahead 1); their joint law at all levels is.

    Args:
        lookahead: steps proposed at once, and so the evaluations of a round.
        guesses: "latest", D as last evaluated for the same step, or for the last step that was: one round a proposal;
            "start", D at the state that all are proposed from, as published: two rounds a proposal.

    Source: "Diffusion Models are Secretly Exchangeable: Parallelizing DDPMs via Autospeculation", arXiv 2505.03983;
    guesses="latest" is this library's addition.
    """

    lookahead: int = field(default=16, metadata={"static": True})
    guesses: str = field(default="latest", metadata={"static": True})

    convergence_order = 1.0
    stochastic = True
    discretizes = "sde"
    default_steps = 200
    stepwise = False

    def check(self) -> None:
        """A size and a known rule."""
        checks.at_least("lookahead", self.lookahead, 1)
        checks.one_of("guesses", self.guesses, ("latest", "start"))

    def evaluations(self, steps: int) -> int:
        """At most: one step a round."""
        return sum(min(self.lookahead, left) for left in range(1, steps + 1))

    def rounds(self, steps: int) -> int:
        """At most: each proposal takes at least one step, from its start at least two but at the end."""
        if self.guesses == "latest" or self.lookahead == 1:
            return steps
        return steps + steps % 2

    def cost(self, state: State, steps: int) -> Cost:
        """What the loop has counted."""
        rounds, evaluations, computed = state.memory
        return Cost(rounds, evaluations, computed, 0.0, True)

    def init(self, problem: Problem, x: Array) -> State:
        """The state, and nothing done yet."""
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
