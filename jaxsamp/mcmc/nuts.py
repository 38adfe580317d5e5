"""The no-U-turn sampler."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array
from jaxsamp.mcmc.base import LogDensity
from jaxsamp.mcmc.blackjax_parts import parts
from jaxsamp.mcmc.metropolis import Metropolis, Move, Point


@pytree
@dataclass(frozen=True)
class NUTS(Metropolis):
    """The no-U-turn sampler of blackjax: Hamiltonian trajectories that end where they turn back.

    Momentum p ~ N(0, M), leapfrog steps of size h on H(x, p) = -log p(x) + p^T M^-1 p / 2, a trajectory that doubles
    until its ends approach each other, and one of its states, drawn in proportion to exp(-H). The law is that of the
    density, without a bias of the step size. During the warm-up each chain adapts h to the acceptance probability by
    dual averaging, and M^-1 to the variances of its states. A step takes 1 to 2^max_doublings - 1 gradients, and chains
    of one batch wait for the longest.

    Args:
        step_size: h before the warm-up, and after it if there is none.
        target_acceptance: in (0, 1); more, such as 0.95, takes smaller steps where curvature varies.
        dense: adapt the whole covariance as M^-1, d^2 numbers per chain, and not the variances alone.
        max_doublings: of a trajectory, at most.

    Source: Hoffman and Gelman, "The No-U-Turn Sampler", arXiv 1111.4246; Betancourt, "A Conceptual Introduction to
    Hamiltonian Monte Carlo", arXiv 1701.02434 (multinomial); Phan et al., "Composable Effects for Flexible and
    Accelerated Probabilistic Programming in NumPyro", arXiv 1912.11554 (iterative).
    """

    step_size: Any = 1.0
    target_acceptance: Any = 0.8
    dense: bool = field(default=False, metadata={"static": True})
    max_doublings: int = field(default=10, metadata={"static": True})

    def check(self, event: tuple[int, ...]) -> None:
        """Raise ValueError if a setting is out of range, ModuleNotFoundError if blackjax is missing."""
        super().check(event)
        checks.at_least("max_doublings", self.max_doublings, 1)

    def begin(self, log_prob: LogDensity, x: Array) -> Any:
        """The density and its slope at x."""
        return parts().nuts.init(x, log_prob)

    def move(self, key: Array, point: Point, log_prob: LogDensity, step_size: Array, inverse_mass: Array) -> Any:
        """One trajectory."""
        new, info = parts().nuts.build_kernel()(key, point, log_prob, step_size, inverse_mass, self.max_doublings)
        return new, Move(info.acceptance_rate, jnp.asarray(info.num_integration_steps), info.is_divergent)
