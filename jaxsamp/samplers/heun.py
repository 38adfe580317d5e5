"""Heun's method in any frame; in the noise frame, the sampler of EDM."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler, check_frame, named_frame, slope
from jaxsamp_kernels.frame import step


@pytree
@dataclass(frozen=True)
class Heun(Sampler):
    """The explicit trapezoidal rule in the clock of a frame; by default dx / ds = epsilon, as in EDM.

    Here s = sigma / alpha and x is divided by alpha. In the straight frame it is Heun's method of rectified flow, the
    mean of the velocities at both ends in its time t. Two evaluations per step, second order. With `churn`, each of the
    N steps with churn_min <= s <= churn_max first adds noise,

        s_hat = s (1 + min(churn / N, sqrt(2) - 1)),   x_hat = x + churn_noise sqrt(s_hat^2 - s^2) z,

    and the order is then that of the law.

    Args:
        churn: None, or S_churn >= 0: the total added noise, relative to the level.
        churn_min: S_tmin, in units of sigma / alpha.
        churn_max: S_tmax, in units of sigma / alpha.
        churn_noise: S_noise, the inflation of the added noise; 1 keeps the law.
        frame: "noise", or any other deterministic frame of `jaxsamp_kernels.frame`; "calibrated" needs a denoiser with
            a calibration.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """

    churn: Any = None
    churn_min: Any = 0.0
    churn_max: Any = float("inf")
    churn_noise: Any = 1.0
    frame: str = field(default="noise", metadata={"static": True})
    convergence_order = 2.0

    @property
    def stochastic(self) -> bool:
        """Whether churn is given."""
        return self.churn is not None

    @property
    def discretizes(self) -> str:
        """A stochastic equation if noise is added."""
        return "sde" if self.stochastic else "ode"

    def check(self) -> None:
        """Raise ValueError if a churn setting is negative, or the frame unknown."""
        check_frame(self.frame)
        for name in ("churn", "churn_min", "churn_max", "churn_noise"):
            value = getattr(self, name)
            if value is not None and checks.is_concrete(value) and not float(value) >= 0:
                raise ValueError(f"{name} must be at least 0; got {value}.")

    def evaluations(self, steps: int) -> int:
        """Two per step."""
        return 2 * steps

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """Add noise if `churn` is set, predict with the slope at the start, step with the mean slope."""
        x = state.x
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        if self.churn is not None:
            x, lam0 = self._churned(problem, x, lam0, rng.normal(i))
        frame = named_frame(self.frame, problem.calibration)
        start = slope(problem, self.frame, x, lam0)
        end = slope(problem, self.frame, step(frame, x, start, lam0, lam1), lam1)
        return State(step(frame, x, 0.5 * (start + end), lam0, lam1))

    def _churned(self, problem: Problem, x: Array, lam: Array, z: Array) -> tuple[Array, Array]:
        """The state at the raised level, and that level, which is a trained one for discrete times."""
        s, steps = jnp.exp(-lam), problem.lam.shape[0] - 1
        raised = jnp.minimum(jnp.asarray(self.churn, x.dtype) / steps, 2**0.5 - 1)
        inside = (s >= self.churn_min) & (s <= self.churn_max)
        lam_hat = jnp.minimum(problem.trained(lam - jnp.where(inside, jnp.log1p(raised), 0.0)), lam)
        fresh = jnp.expm1(2 * (lam - lam_hat))
        spread = s * jnp.where(fresh > 0, jnp.sqrt(jnp.where(fresh > 0, fresh, 1.0)), 0.0)  # also a slope where it is 0
        return x + jnp.asarray(self.churn_noise, x.dtype) * spread * z, lam_hat
