"""Heun's method in the noise frame: the sampler of EDM."""

from dataclasses import dataclass
from typing import Any

from jaxsamp.pytrees import pytree
from jaxsamp.random import Draws
from jaxsamp.samplers.base import Problem, Sampler
from jaxsamp.types import Array
from jaxsamp_kernels.frame import NOISE, step


@pytree
@dataclass(frozen=True)
class Heun(Sampler):
    """dx / ds = epsilon for s = sigma / alpha and x divided by alpha, by the explicit trapezoidal rule.

    Two evaluations a step, second order.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """

    convergence_order = 2.0

    def evaluations(self, steps: int) -> int:
        """Two a step."""
        return 2 * steps

    def step(self, problem: Problem, state: Any, i: Array, draws: Draws) -> Any:
        """One step."""
        (x,) = state
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        start = NOISE.integrand(x, problem.evaluate(x, lam0), lam0)
        guess = step(NOISE, x, start, lam0, lam1)
        end = NOISE.integrand(guess, problem.evaluate(guess, lam1), lam1)
        return (step(NOISE, x, 0.5 * (start + end), lam0, lam1),)
