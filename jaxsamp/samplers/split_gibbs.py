"""Plug-and-play with a known law: the observation and the prior take turns, each by draws of its own."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import INNER, Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler
from jaxsamp.samplers.ddim import DDPM
from jaxsamp.samplers.near_observation import near_observation


@pytree
@dataclass(frozen=True)
class SplitGibbs(Sampler):
    """Split Gibbs sampling of x_0 given y = A(x_0) + noise n; for denoisers made by `jaxsamp.posterior`.

    x is at the last level s_N of the grid. With s = sigma / alpha and rho^2 = s_i^2 - s_N^2, step i makes two draws,

        z  ~  N(y; A(z), noise^2) N(z; x, rho^2 I)    near what was seen, without the denoiser
        x  ~  p(x) N(z; x, rho^2 I)                   given z, a state at level s_i: reverse diffusion down to s_N

    which leave p(x) N(z; x, rho^2 I) N(y; A(z), noise^2) unchanged if they are exact. So at a fixed rho the law of x is
    that given y, with a likelihood blurred by rho: for a linear A, that given an observation with noise of covariance
    noise^2 I + rho^2 A A^T. Large rho in the beginning move x fast between modes; small ones in the end make this the
    law given y, which `posterior` only approximates. The denoiser is not differentiated.

    The first draw is exact for a linear A. Any other A is linearized near the most likely z, and draws from that normal
    law, and steps of a preconditioned Crank-Nicolson walk of all sizes, are accepted or refused by the rule of
    Metropolis and Hastings, which leaves the law of z unchanged if the noise is above 0. The second draw is as good as
    `inner` with its steps.

    Args:
        inner: the sampler of the second draw, which must add noise: `DDPM` or a stochastic `DPMSolverPP`.
        inner_steps: number of its steps in each step, uniform in log(alpha / sigma).
        moves: number of draws of z, and of steps of the walk, that are offered in turn if A is not linear.
        iterations: number of iterations of conjugate gradients in a draw of z. It is exact with as many as A A^T has
            distinct eigenvalues.

    Source: Vono, Dobigeon and Chainais, "Split-and-augmented Gibbs sampler", arXiv 1804.05809; with a denoiser as
    prior, and rho that falls: Wu et al., "Principled Probabilistic Imaging using Diffusion Models as Plug-and-Play
    Priors", arXiv 2405.18782; Xu and Chi, "Provably Robust Score-Based Diffusion Posterior Sampling for Plug-and-Play
    Image Reconstruction", arXiv 2403.17042. The walk: Cotter et al., "MCMC Methods for Functions: Modifying Old
    Algorithms to Make Them Faster", arXiv 1202.0709. How z is drawn if A is not linear is a choice of this library.
    """

    inner: Any = DDPM()  # noqa: RUF009  (frozen)
    inner_steps: int = field(default=8, metadata={"static": True})
    moves: int = field(default=4, metadata={"static": True})
    iterations: int = field(default=4, metadata={"static": True})

    convergence_order = 1.0
    stochastic = True
    discretizes = "sde"
    takes_observation = True

    def check(self) -> None:
        """Raise an error unless the inner sampler goes step by step and adds noise, and all numbers are at least 1."""
        if not isinstance(self.inner, Sampler) or self.inner.takes_observation:
            raise TypeError(f"inner must be a sampler of unconditional diffusion, such as DDPM(); got {self.inner!r}.")
        if not self.inner.stepwise or self.inner.discretizes != "sde":
            raise ValueError(f"inner must go step by step and add noise, as DDPM() does; got {self.inner!r}.")
        for name in ("inner_steps", "moves", "iterations"):
            checks.at_least(name, getattr(self, name), 1)
        self.inner.check()

    def evaluations(self, steps: int) -> int:
        """Those of the inner sampler in every step."""
        return steps * self.inner.evaluations(self.inner_steps)

    def rounds(self, steps: int) -> int:
        """Those of the inner sampler in every step."""
        return steps * self.inner.rounds(self.inner_steps)

    def init(self, problem: Problem, x: Array) -> State:
        """The first x, which is the first z too."""
        return State(x, x)

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """Draw z given x and y, then x given z."""
        lam, last = problem.lam[i], problem.lam[-1]
        rho = jnp.exp(-last) * jnp.sqrt(jnp.expm1(2 * (last - lam)))
        z = near_observation(problem.observation, *state, rho, i, rng, self.moves, self.iterations)
        levels = jnp.linspace(lam, last, self.inner_steps + 1)
        below = problem._replace(lam=levels, tables=self.inner.prepare(levels, problem.calibration))
        own = rng.of(INNER).of(i)

        def body(state: State, k: Array) -> tuple[State, None]:
            return self.inner.step(below, state, k, own), None

        drawn = lax.scan(body, self.inner.init(below, z), jnp.arange(self.inner_steps))[0]
        return State(drawn.x, z)
