"""Correctors: Langevin steps at a fixed noise level, between the steps of any sampler."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import CORRECTOR, Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc import Langevin, Overdamped, ParallelUnderdamped, Underdamped
from jaxsamp.samplers.base import Problem

UNITS = ("sigma", "ou")


class Corrector(ABC):
    """Base class of the correctors: Langevin dynamics in scaled coordinates, with the law of x_t as stationary law.

    With x divided by alpha and s = sigma / alpha, the dynamics move xi = x / c with the score c (D - x) / s^2:

        units "sigma"  c = s               the noise of x_t has unit variance, so the curvature is at most about 1
        units "ou"     c = sqrt(1 + s^2)   the coordinates of the Ornstein-Uhlenbeck process, as in the theory papers
    """

    step_size: Any
    steps: int
    units: str

    @property
    @abstractmethod
    def dynamics(self) -> Langevin:
        """The Langevin sampler that moves xi."""

    @property
    def evaluations(self) -> int:
        """Number of network calls per sample at each visit."""
        return self.dynamics.evaluations(self.steps)

    @property
    def rounds(self) -> int:
        """Number of network calls at each visit that must wait for each other."""
        return self.dynamics.rounds(self.steps)

    def check(self) -> None:
        """Raise ValueError unless numbers are positive, there is at least one step, and the units are known."""
        checks.at_least("steps of a corrector", self.steps, 1)
        checks.one_of("units", self.units, UNITS)
        self.dynamics.check(())  # settings must be numbers, whatever the event

    def correct(self, problem: Problem, x: Array, lam: Array, i: Array, rng: Rng) -> Array:
        """The state after `steps` Langevin steps at the level `lam`, the end of step i, from a fresh velocity."""
        s, dynamics, rng = jnp.exp(-lam), self.dynamics, rng.of(CORRECTOR)
        unit = s if self.units == "sigma" else jnp.hypot(1.0, s)

        def score(xi: Array) -> Array:
            state = unit * xi
            if xi.ndim > x.ndim:  # R points in one call
                mean = problem.denoise_all(state, jnp.broadcast_to(lam, len(xi)))
            else:
                mean = problem.denoise(state, lam)
            return unit / (s * s) * (mean - state)

        def body(state: State, k: Array) -> tuple[State, None]:
            return dynamics.step(score, state, k, rng), None

        first = i * self.steps
        start = dynamics.init(score, x / unit, first, rng)
        return unit * lax.scan(body, start, first + jnp.arange(self.steps))[0].x


@pytree
@dataclass(frozen=True)
class OverdampedCorrector(Corrector):
    """Unadjusted Langevin steps, xi' = xi + h score + sqrt(2 h) z: one evaluation per step.

    Args:
        step_size: h, in the squared unit of xi.
        steps: number of steps at each visit.
        units: "sigma" or "ou"; see `Corrector`.

    Source: Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations",
    arXiv 2011.13456.
    """

    step_size: Any = 0.1
    steps: int = field(default=1, metadata={"static": True})
    units: str = field(default="sigma", metadata={"static": True})

    @property
    def dynamics(self) -> Overdamped:
        """The unadjusted Langevin algorithm."""
        return Overdamped(self.step_size)


@pytree
@dataclass(frozen=True)
class UnderdampedCorrector(Corrector):
    """Underdamped Langevin steps from a fresh velocity, with the score frozen or at a random time of each step.

    Args:
        step_size: h, in time.
        friction: friction of the dynamics; 2 is critical for curvature 1.
        midpoint: whether to use the randomized midpoint, with two evaluations per step instead of one.
        steps: number of steps at each visit.
        units: "sigma" or "ou"; see `Corrector`.

    Source: Chen et al., "The probability flow ODE is provably fast", arXiv 2305.11798.
    """

    step_size: Any = 0.3
    friction: Any = 2.0
    midpoint: bool = field(default=False, metadata={"static": True})
    steps: int = field(default=1, metadata={"static": True})
    units: str = field(default="sigma", metadata={"static": True})

    @property
    def dynamics(self) -> Underdamped:
        """Underdamped dynamics with unit inertia."""
        return Underdamped(self.step_size, self.friction, self.midpoint)


@pytree
@dataclass(frozen=True)
class ParallelCorrector(Corrector):
    """Underdamped Langevin steps from a fresh velocity, with the score at R times of each step at once.

    A step costs K rounds of R evaluations, and each visit one more round of one evaluation; the step is that of
    `jaxsamp.mcmc.ParallelUnderdamped`. In the same number of rounds it moves as far as a few steps of
    `UnderdampedCorrector`, with a hundredth of their bias.

    Args:
        step_size: h, in time. The defaults are for units "sigma", where the curvature is at most about 1.
        friction: friction of the dynamics; 2 is critical for curvature 1.
        midpoints: R, number of nodes per step.
        iterations: K, evaluations at each node, one after the other.
        steps: number of steps at each visit.
        units: "sigma" or "ou"; see `Corrector`.

    Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
    arXiv 2406.00924; Anari, Chewi and Vuong, "Fast parallel sampling under isoperimetry", arXiv 2401.09016.
    """

    step_size: Any = 2.0
    friction: Any = 2.0
    midpoints: int = field(default=8, metadata={"static": True})
    iterations: int = field(default=3, metadata={"static": True})
    steps: int = field(default=1, metadata={"static": True})
    units: str = field(default="sigma", metadata={"static": True})

    @property
    def dynamics(self) -> ParallelUnderdamped:
        """Parallel underdamped dynamics with unit inertia."""
        return ParallelUnderdamped(self.step_size, self.friction, self.midpoints, self.iterations)
