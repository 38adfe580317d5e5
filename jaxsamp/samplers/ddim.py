"""DDIM and DDPM: one evaluation per step, first order."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler
from jaxsamp_kernels import frame as frames


@pytree
@dataclass(frozen=True)
class DDIM(Sampler):
    """Euler's method in the data frame; with `eta`, part of the noise is new at every step.

    With s = sigma / alpha, x divided by alpha and v^2 = 1 - (s_1 / s_0)^2,

        x_1 = D + sqrt(s_1^2 - eta^2 s_1^2 v^2) epsilon + eta s_1 v z;

    eta = 1 is DDPM and eta = None (or 0) is deterministic.

    Args:
        eta: None for the deterministic method, or a number in [0, 1].

    Source: Song, Meng and Ermon, "Denoising Diffusion Implicit Models", arXiv 2010.02502.
    """

    eta: Any = None
    convergence_order = 1.0
    takes_pure_noise = True  # type: ignore[assignment]

    @property
    def stochastic(self) -> bool:
        """Whether eta is given."""
        return self.eta is not None

    @property
    def discretizes(self) -> str:
        """The reverse SDE if noise is added."""
        return "sde" if self.stochastic else "ode"

    def check(self) -> None:
        """Raise ValueError unless eta is None or in [0, 1]."""
        if self.eta is not None and checks.is_concrete(self.eta) and not 0 <= float(self.eta) <= 1:
            raise ValueError(f"eta must be None or a number in [0, 1]; got {self.eta}.")

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """One step."""
        x = state.x
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        denoised = problem.denoise(x, lam0)
        if self.eta is None:
            return State(frames.step(frames.DATA, x, denoised, lam0, lam1))
        added = jnp.asarray(self.eta, x.dtype) * jnp.sqrt(-jnp.expm1(2 * (lam0 - lam1)))
        s0, s1 = jnp.exp(-lam0), jnp.exp(-lam1)
        kept = s1 / s0 * jnp.sqrt(1 - added**2)
        return State(kept * x + (1 - kept) * denoised + s1 * added * rng.normal(i))


@pytree
@dataclass(frozen=True)
class DDPM(Sampler):
    """Ancestral sampling with the posterior variance: Euler's method for the reverse SDE in the localization frame.

        x_1 = (s_1 / s_0)^2 x + (1 - (s_1 / s_0)^2) D + s_1 sqrt(1 - (s_1 / s_0)^2) z,   s = sigma / alpha.

    Source: Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239.
    """

    convergence_order = 1.0
    stochastic = True
    discretizes = "sde"
    takes_pure_noise = True  # type: ignore[assignment]

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """One step."""
        x = state.x
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        denoised = problem.denoise(x, lam0)
        return State(frames.step(frames.LOCALIZATION, x, denoised, lam0, lam1, noise=rng.normal(i)))
