"""DPM-Solver++: multistep exponential integrators of the flow and of the reverse SDE, one evaluation per step."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler, check_frame, named_frame, slope
from jaxsamp_kernels import multistep
from jaxsamp_kernels.adams import adams_table


@pytree
@dataclass(frozen=True)
class DPMSolverPP(Sampler):
    """Extrapolate the posterior mean by a polynomial in lambda through its last `order` values.

    The equations are in `jaxsamp_kernels.multistep`. Order 2 is DPM-Solver++(2M), and with `stochastic`
    SDE-DPM-Solver++(2M). Order 3 is DPM-Solver++(3M), but the weight of the second difference is twice the published
    one, which makes it exact for quadratics. The first steps, and with `lower_order_final` the last, have lower order.

    Args:
        order: 1 to 3; 1 is DDIM, or DDPM if stochastic.
        stochastic: solve the reverse SDE, with order 1 or 2; the error for a given Brownian path is of order 1.
        lower_order_final: lower the order toward the end, which is more stable with few steps: True, so that the last
            step has order 1, the one before it 2; "denoise", the same with the evaluation of `final_denoise`, which is
            a step to sigma = 0, counted as the last step, as diffusers does; False, full order to the end.
        frame: "data", or for the flow any other deterministic frame of `jaxsamp_kernels.frame`, in which the same
            polynomials are integrated exactly; "calibrated" needs a denoiser with a calibration.

    Source: Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models",
    arXiv 2211.01095.
    """

    order: int = field(default=2, metadata={"static": True})
    stochastic: bool = field(default=False, metadata={"static": True})
    lower_order_final: bool | str = field(default=True, metadata={"static": True})
    frame: str = field(default="data", metadata={"static": True})

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """p, with the full order to the end; 1 for the SDE, because the steps do not resolve its noise."""
        return 1.0 if self.stochastic else float(self.order)

    @property
    def discretizes(self) -> str:
        """The reverse SDE if noise is added."""
        return "sde" if self.stochastic else "ode"

    def check(self) -> None:
        """Raise ValueError unless the order is 1 to 3, at most 2 for the SDE, and the frame fits."""
        most = 2 if self.stochastic else 3
        if checks.at_least("order", self.order, 1) > most:
            raise ValueError(f"order must be at most {most} with stochastic={self.stochastic}; got {self.order}.")
        checks.one_of("lower_order_final", self.lower_order_final, multistep.LOWERED)
        check_frame(self.frame)
        if self.stochastic and self.frame != "data":
            raise ValueError(f'frame must be "data" with stochastic=True; got {self.frame!r}.')

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """One row of weights per step, by slot of the ring of integrands."""
        if self.frame != "data":
            frame = named_frame(self.frame, calibration)
            weights, decay = adams_table(frame, lam, self.order, self.lower_order_final, corrected=False)
            return multistep.by_slot(weights), decay, None
        weights, *others = multistep.dpm_solver_table(lam, self.order, self.stochastic, self.lower_order_final)
        return multistep.by_slot(weights), *others

    def init(self, problem: Problem, x: Array) -> State:
        """The state with a ring of the latest `order` integrands, which are posterior means in the data frame."""
        return State(x, jnp.zeros((self.order, *x.shape), x.dtype))

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """Evaluate, extrapolate, step."""
        x, ring = state
        weights, decay, noise = problem.tables
        ring = ring.at[i % self.order].set(slope(problem, self.frame, x, problem.lam[i]))
        x = decay[i] * x + sum(weights[i, k] * ring[k] for k in range(self.order))
        if self.stochastic:
            x = x + noise[i] * rng.normal(i)
        return State(x, ring)
