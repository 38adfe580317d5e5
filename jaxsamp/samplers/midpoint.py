"""The deterministic midpoint rule: DPM-Solver++(2S)."""

from dataclasses import dataclass

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler
from jaxsamp_kernels.frame import DATA
from jaxsamp_kernels.midpoint import midpoint_step


@pytree
@dataclass(frozen=True)
class Midpoint(Sampler):
    """Each step uses the posterior mean at its middle in lambda, in the data frame.

        x_m = D + (s_m / s_0) (x - D),   x_1 = D_m + (s_1 / s_0) (x - D_m),   s_m = sqrt(s_0 s_1).

    This is DPM-Solver++(2S) with r = 1/2: two evaluations per step, second order.

    Source: Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models",
    arXiv 2211.01095.
    """

    convergence_order = 2.0
    takes_pure_noise = True  # type: ignore[assignment]

    def evaluations(self, steps: int) -> int:
        """Two per step."""
        return 2 * steps

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """One step."""
        x = state.x
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        middle = problem.trained(0.5 * (lam0 + lam1))
        start = problem.denoise(x, lam0)
        return State(midpoint_step(DATA, problem.denoise, x, start, lam0, lam1, middle, None)[0])
