"""Randomized midpoint: the slope at a random inner node of each step."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from jaxsamp import checks
from jaxsamp.pytrees import pytree
from jaxsamp.random import Draws
from jaxsamp.samplers.base import Problem, Sampler, check_frame, named_frame
from jaxsamp.types import Array
from jaxsamp_kernels import midpoint


@pytree
@dataclass(frozen=True)
class RandomizedMidpoint(Sampler):
    """Each step is carried by the slope at one node, uniform in the frame's clock: unbiased along the nodes' path.

        kappa_m = kappa_0 + U (kappa_1 - kappa_0),   y_m = y + (kappa_m - kappa_0) f_start,
        y_1 = y + (kappa_1 - kappa_0) f(y_m, kappa_m)

    in one of the frames of `jaxsamp_kernels.frame`. Every sample has its own draws. The trajectory error is of
    order 3/2; with antithetic pairs the leading error cancels between two steps and it is of order 2.

    Args:
        frame: "data", "noise", "score" or "calibrated" (which needs a denoiser with a calibration).
        draws: the clock in which the node is uniform: "importance" for the frame's own, or "uniform_ou" or
            "uniform_log_snr" with a random, hence noisier, weight.
        reuse: start from the slope at the previous node instead of a fresh one: one evaluation a step (and one at
            the start) instead of two.
        antithetic: the nodes of steps 2j and 2j + 1 are U and 1 - U; each is still uniform.

    Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and
    Parallel", arXiv 2406.00924; reuse and antithetic pairs are this library's additions.
    """

    frame: str = field(default="data", metadata={"static": True})
    draws: str = field(default="importance", metadata={"static": True})
    reuse: bool = field(default=True, metadata={"static": True})
    antithetic: bool = field(default=True, metadata={"static": True})

    stochastic = True

    @classmethod
    def paper(cls) -> "RandomizedMidpoint":
        """The sequential predictor of arXiv 2406.00924 as published: score frame, nodes uniform in OU time."""
        return cls(frame="score", draws="uniform_ou", reuse=False, antithetic=False)

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """3/2 of independent nodes, 2 of antithetic pairs."""
        return 2.0 if self.antithetic else 1.5

    def check(self) -> None:
        """Known frame and draws."""
        check_frame(self.frame)
        checks.one_of("draws", self.draws, midpoint.DRAWS)

    def evaluations(self, steps: int) -> int:
        """One a step and one at the start, or two a step without reuse."""
        return steps + 1 if self.reuse else 2 * steps

    def init(self, problem: Problem, x: Array) -> Any:
        """The state, and with reuse the slope at it."""
        if not self.reuse:
            return (x,)
        return x, self._slope(problem, x, problem.lam[0])

    def step(self, problem: Problem, state: Any, i: Array, draws: Draws) -> Any:
        """Draw the node, go there, step with its slope."""
        x, *carried = state
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        frame = named_frame(self.frame, problem.calibration)
        u = draws.uniform(i // 2 if self.antithetic else i)
        if self.antithetic:
            u = jnp.where(i % 2 == 0, u, 1 - u)
        lam_mid, weight = midpoint.node(frame, self.draws, u, lam0, lam1)
        lam_mid = problem.trained(lam_mid)
        start = carried[0] if self.reuse else self._slope(problem, x, lam0)
        x, slope = midpoint.midpoint_step(frame, problem.evaluate, x, start, lam0, lam1, lam_mid, weight)
        return (x, slope) if self.reuse else (x,)

    def _slope(self, problem: Problem, x: Array, lam: Array) -> Array:
        frame = named_frame(self.frame, problem.calibration)
        return frame.integrand(x, problem.evaluate(x, lam), lam)
