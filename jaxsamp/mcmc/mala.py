"""The Metropolis-adjusted Langevin algorithm."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array
from jaxsamp.mcmc.base import LogDensity
from jaxsamp.mcmc.blackjax_parts import parts
from jaxsamp.mcmc.metropolis import Metropolis, Move, Point


@pytree
@dataclass(frozen=True)
class MALA(Metropolis):
    """The Metropolis-adjusted Langevin algorithm of blackjax: `Overdamped` with an accept step.

        y' = y + h s(y) + sqrt(2 h) z,   accepted with probability min(1, p(y') q(y | y') / (p(y) q(y' | y))),

    in coordinates y = x / scale. The law is that of the density, without a bias of the step size. During the warm-up
    each chain adapts h to the acceptance probability by dual averaging, and the scales to the standard deviations of
    its states. One gradient per step.

    Args:
        step_size: h before the warm-up, in squared units of y, and after it if there is none.
        target_acceptance: in (0, 1); 0.574 is the best one in many dimensions.

    Source: Roberts and Tweedie, "Exponential convergence of Langevin distributions and their discrete approximations",
    Bernoulli 2 (1996); Roberts and Rosenthal, "Optimal scaling of discrete approximations to Langevin diffusions",
    J. R. Statist. Soc. B 60 (1998), for 0.574.
    """

    step_size: Any = 0.1
    target_acceptance: Any = 0.574
    dense: ClassVar[bool] = False

    def begin(self, log_prob: LogDensity, x: Array) -> Any:
        """The density and its slope at x."""
        return parts().mala.init(x, log_prob)

    def move(self, key: Array, point: Point, log_prob: LogDensity, step_size: Array, inverse_mass: Array) -> Any:
        """One step, in units of the scales."""
        scale = jnp.sqrt(inverse_mass)
        x, density, slope = point
        scaled = lambda y: log_prob(scale * y)  # noqa: E731
        state = parts().mala.MALAState(x / scale, density, scale * slope)
        new, info = parts().mala.build_kernel()(key, state, scaled, step_size)
        one = jnp.ones((), jnp.int32)
        moved = Point(scale * new.position, new.logdensity, new.logdensity_grad / scale)
        return moved, Move(info.acceptance_rate, one, jnp.zeros((), bool))
