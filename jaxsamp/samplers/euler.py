"""The exponential Euler method in any frame: the predictor of the theory papers."""

from dataclasses import dataclass, field

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler, check_frame, named_frame
from jaxsamp_kernels.frame import step


@pytree
@dataclass(frozen=True)
class ExponentialEuler(Sampler):
    """The frame's integrand is frozen over each step, y_1 = y + (kappa_1 - kappa_0) f: one evaluation, first order.

    In the score frame this is x' = e^h x + (e^h - 1) score in Ornstein-Uhlenbeck time, the exponential integrator of
    convergence proofs. In the data and noise frames it is DDIM; in the straight frame it is Euler's method of rectified
    flow, x_1 = x + (t_1 - t_0) velocity; in the rotation frame the same with v in the angle arctan(sigma / alpha).

    Args:
        frame: "data", "noise", "score", "rotation", "straight" or "calibrated" (which needs a denoiser with a
            calibration).

    Source: Zhang and Chen, "Fast Sampling of Diffusion Models with Exponential Integrator", arXiv 2204.13902; Chen et
    al., "The probability flow ODE is provably fast", arXiv 2305.11798 (score frame); Liu, Gong and Liu, "Flow Straight
    and Fast: Learning to Generate and Transfer Data with Rectified Flow", arXiv 2209.03003 (straight frame).
    """

    frame: str = field(default="score", metadata={"static": True})
    convergence_order = 1.0

    def check(self) -> None:
        """Raise ValueError unless the frame is known."""
        check_frame(self.frame)

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """One step."""
        x = state.x
        lam0, lam1 = problem.lam[i], problem.lam[i + 1]
        frame = named_frame(self.frame, problem.calibration)
        return State(step(frame, x, frame.integrand(x, problem.denoise(x, lam0), lam0), lam0, lam1))
