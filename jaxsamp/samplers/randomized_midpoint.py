"""Randomized midpoint: the slope at a random inner node of each step, of the flow or of the reverse SDE."""

from dataclasses import dataclass, field, replace

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler, check_frame, named_frame, slope
from jaxsamp_kernels import frame as frames
from jaxsamp_kernels import midpoint


@pytree
@dataclass(frozen=True)
class RandomizedMidpoint(Sampler):
    """Each step uses the slope at one node, uniform in the frame's clock, which is unbiased along the nodes' path.

        kappa_m = kappa_0 + U (kappa_1 - kappa_0),   y_m = y + (kappa_m - kappa_0) f_start,
        y_1 = y + (kappa_1 - kappa_0) f(y_m, kappa_m)

    in one of the frames of `jaxsamp_kernels.frame`. Every sample has its own random numbers. The error of the
    trajectory is of order 3/2; with antithetic pairs the leading error of two steps cancels, and the order is 2.

    Args:
        frame: "data", "noise", "score", "rotation", "straight" or "calibrated" (which needs a calibration).
        clock: the clock in which the node is uniform: "importance", the frame's own; or "uniform_ou" or
            "uniform_log_snr", whose weight is random and hence noisier.
        reuse: start from the slope at the previous node instead of a new one: one evaluation per step (and one at the
            start) instead of two.
        antithetic: the nodes of steps 2j and 2j + 1 are U and 1 - U; each is still uniform.

    Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and
    Parallel", arXiv 2406.00924; reuse and antithetic pairs are this library's additions.
    """

    frame: str = field(default="data", metadata={"static": True})
    clock: str = field(default="importance", metadata={"static": True})
    reuse: bool = field(default=True, metadata={"static": True})
    antithetic: bool = field(default=True, metadata={"static": True})

    stochastic = True

    @classmethod
    def paper(cls) -> "RandomizedMidpoint":
        """The sequential predictor of arXiv 2406.00924 as published: score frame, nodes uniform in OU time."""
        return cls(frame="score", clock="uniform_ou", reuse=False, antithetic=False)

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """3/2 for independent nodes, 2 for antithetic pairs."""
        return 2.0 if self.antithetic else 1.5

    def check(self) -> None:
        """Raise ValueError unless frame and clock are known."""
        check_frame(self.frame)
        checks.one_of("clock", self.clock, midpoint.DRAWS)

    def evaluations(self, steps: int) -> int:
        """One per step and one at the start, or two per step without reuse."""
        return steps + 1 if self.reuse else 2 * steps

    def init(self, problem: Problem, x: Array) -> State:
        """The state, with the slope there if slopes are reused."""
        return State(x, slope(problem, self.frame, x, problem.lam[0]) if self.reuse else None)

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """Draw the node, move to it, and step with its slope."""
        x = state.x
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        frame = named_frame(self.frame, problem.calibration)
        u = rng.fraction(i, "antithetic" if self.antithetic else "random")
        lam_mid, weight = midpoint.node(frame, self.clock, u, lam0, lam1)
        lam_mid = problem.trained(lam_mid)
        start = state.memory if self.reuse else slope(problem, self.frame, x, lam0)
        x, latest = midpoint.midpoint_step(frame, problem.denoise, x, start, lam0, lam1, lam_mid, weight)
        return State(x, latest if self.reuse else None)


@pytree
@dataclass(frozen=True)
class RandomizedMidpointSDE(Sampler):
    """The reverse SDE with the posterior mean at a random time of each step, in the localization frame.

        kappa_m = kappa_0 + U Delta,   n_1 = sqrt(U Delta) z_1,   y_m = y + U Delta D(y) + n_1,
        y_1 = y + Delta D(y_m) + n_1 + sqrt((1 - U) Delta) z_2,   Delta = kappa_1 - kappa_0,

    so that the node and the end lie on one Brownian path. Two evaluations per step. The distance to the solution for
    the same Brownian path is of order 1, as for DDPM, but with a smaller constant; the law converges faster.

    Source: Shen and Lee, "The randomized midpoint method for log-concave sampling", arXiv 1909.05503; for diffusion
    models, with other linear terms, Zhang et al., "Sublinear iterations can suffice even for DDPMs", arXiv 2511.04844.
    """

    convergence_order = 1.0
    stochastic = True
    discretizes = "sde"

    def evaluations(self, steps: int) -> int:
        """Two per step."""
        return 2 * steps

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """Move to the node, then step with the posterior mean there."""
        x = state.x
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        lam_mid = frames.LOCALIZATION.advance(lam0, rng.uniform(i), lam1)
        trained = problem.trained(lam_mid)
        if trained is not lam_mid:  # the nearest trained level may lie outside of a step between others
            lam_mid = jnp.clip(trained, lam0, lam1)
        early, late = replace(rng, shape=(2, *rng.shape)).normal(i)
        passed = frames.LOCALIZATION.clock_delta(lam0, lam_mid) / frames.LOCALIZATION.clock_delta(lam0, lam1)
        x_mid = frames.step(frames.LOCALIZATION, x, problem.denoise(x, lam0), lam0, lam_mid, noise=early)
        whole = jnp.sqrt(passed) * early + jnp.sqrt(jnp.maximum(1 - passed, 0.0)) * late
        return State(frames.step(frames.LOCALIZATION, x, problem.denoise(x_mid, lam_mid), lam0, lam1, noise=whole))
