"""UniPC: a multistep predictor and corrector with one evaluation per step."""

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
class UniPC(Sampler):
    """Predict with the last `order` posterior means, then correct the same step with the next one.

    The equations are in `jaxsamp_kernels.multistep`. The first steps, which have less history, and with
    `lower_order_final` the last ones have lower order; the last step is not corrected. One evaluation per step.

    Args:
        order: p, 1 to 3.
        variant: "bh2" (B = e^-h - 1) or "bh1" (B = -h).
        lower_order_final: lower the order toward the end, which is more stable with few steps: True, so that the last
            step has order 1, the one before it 2; "denoise", the same with the evaluation of `final_denoise`, which is
            a step to sigma = 0, counted as the last step, as diffusers does; False, full order to the end.
        frame: "data", or any other deterministic frame of `jaxsamp_kernels.frame`, in which the same polynomials are
            integrated exactly and `variant` has no effect; "calibrated" needs a denoiser with a calibration.

    Source: Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models",
    arXiv 2302.04867; terms as in diffusers' UniPCMultistepScheduler.
    """

    order: int = field(default=2, metadata={"static": True})
    variant: str = field(default="bh2", metadata={"static": True})
    lower_order_final: bool | str = field(default=True, metadata={"static": True})
    frame: str = field(default="data", metadata={"static": True})

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """p + 1, with the full order to the end; for p = 3 it is visible only beyond about 250 steps."""
        return self.order + 1.0

    def check(self) -> None:
        """Raise ValueError unless the order is 1 to 3 and names are known."""
        if checks.at_least("order", self.order, 1) > 3:
            raise ValueError(f"order must be 1, 2 or 3; got {self.order}.")
        checks.one_of("variant", self.variant, multistep.VARIANTS)
        checks.one_of("lower_order_final", self.lower_order_final, multistep.LOWERED)
        check_frame(self.frame)

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """One row of weights per step, by slot of the ring of integrands."""
        if self.frame == "data":
            weights, decay = multistep.unipc_table(lam, self.order, self.variant, self.lower_order_final)
        else:
            frame = named_frame(self.frame, calibration)
            weights, decay = adams_table(frame, lam, self.order, self.lower_order_final, corrected=True)
        return multistep.by_slot(weights), decay

    def init(self, problem: Problem, x: Array) -> State:
        """The predicted state with a ring of the latest order + 1 integrands, posterior means in the data frame."""
        return State(x, jnp.zeros((self.order + 1, *x.shape), x.dtype))

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """Evaluate at the predicted state, correct it and predict the next: one linear step."""
        x, ring = state
        weights, decay = problem.tables
        ring = ring.at[i % len(ring)].set(slope(problem, self.frame, x, problem.lam[i]))
        return State(decay[i] * x + sum(weights[i, k] * ring[k] for k in range(len(ring))), ring)
