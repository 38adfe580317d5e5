"""The unadjusted Langevin algorithm."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, ArrayLike, State
from jaxsamp.mcmc.base import Langevin, Score
from jaxsamp_kernels import langevin as kernel


@pytree
@dataclass(frozen=True)
class Overdamped(Langevin):
    """The unadjusted Langevin algorithm, x' = x + h s(x) + sqrt(2 h) z: one gradient per step.

    On N(0, 1 / L) the stationary variance is too large by the factor 1 / (1 - h L / 2). Stable for h < 2 / L.

    Args:
        step_size: h, in units of time, which are the squared units of x.

    Source: Roberts and Tweedie, "Exponential convergence of Langevin distributions and their discrete
    approximations", Bernoulli 2 (1996).
    """

    step_size: Any
    bias_order = 1

    @classmethod
    def from_smoothness(cls, smoothness: ArrayLike, bias: ArrayLike = 0.01) -> "Overdamped":
        """h = 2 bias / L, at most 1 / L, with L as in `smoothness`; `bias` is the largest relative error of a variance.

        Both are positive.
        """
        return cls(step_size=jnp.minimum(2 * jnp.asarray(bias), 1.0) / jnp.asarray(smoothness))

    def gentle(self, curvature: float) -> bool:
        """Whether h L is at most 1, half of what is stable."""
        return float(self.step_size) * curvature <= 1

    def step(self, score: Score, state: State, i: Array, rng: Rng) -> State:
        """One step."""
        x = state.x
        return State(kernel.overdamped_step(x, score(x), jnp.asarray(self.step_size, x.dtype), rng.normal(i)))
