"""One-step samplers as maps from state to state, and the coordinates in which such a step is nothing but an increment.

With a denoiser whose linear part is known, D = a x + n, a step is x' = A x + B n + noise as far as n is constant. So
y = x / S with S' = A S moves by B n / S' and noise alone. With a = 0, y = x / s for steps of the flow in the data frame
and y = x / s^2 for steps of the reverse SDE. A and B are computed by running the sampler's step on such D.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, Sampler
from jaxsamp_kernels import frame as frames


class StepFrame(NamedTuple):
    """The action of a one-step sampler on a state if n in D = a x + n is constant.

    Attributes:
        frame: the frame that removes the linear part a x.
        scale: S at the levels, (steps + 1,) or (steps + 1, d).
        weights: B / S' of each step, (steps,) or (steps, d).
        unit: S / s at the start of each step, same shapes.
    """

    frame: Any
    scale: Array
    weights: Array
    unit: Array

    def problem(self, problem: Problem, rest: float = 0.0) -> Problem:
        """The same problem for D = a x + rest, without network calls."""

        def evaluate(x: Array, lam: Array) -> Array:
            return rest - self.frame.integrand(x, jnp.zeros_like(x), lam)

        return problem._replace(denoise=evaluate, denoise_all=jax.vmap(evaluate))


def step_frame(sampler: Sampler, frame: Any, lam: Array, calibration: Any) -> StepFrame:
    """Compute A and B of every step.

    Args:
        sampler: a one-step sampler.
        frame: the frame with the integrand n = D - a x.
        lam: the grid, (steps + 1,).
        calibration: the denoiser's measured linear part, or None.
    """
    shape = jnp.shape(frame.scale(lam[0]))
    rng = Rng(jax.random.key(0), shape, lam.dtype)
    blank: Any = None
    bare = Problem(blank, blank, lam, sampler.prepare(lam, calibration), lambda lam: lam, calibration)
    partial = StepFrame(frame, blank, blank, blank)

    def responses(i: Array) -> tuple[Array, Array]:
        def after(x: float, rest: float) -> Array:
            return sampler.step(partial.problem(bare, rest), State(jnp.full(shape, x, lam.dtype)), i, rng).x

        still = after(0.0, 0.0)
        return after(1.0, 0.0) - still, after(0.0, 1.0) - still

    keep, gain = jax.vmap(responses)(jnp.arange(len(lam) - 1))
    s = jnp.exp(-lam).reshape(-1, *(1,) * len(shape))
    # Any positive scale is correct; one that falls faster than that of the reverse SDE is not that of a linear part.
    keep = jnp.maximum(keep, jnp.square(s[1:] / s[:-1]))
    scale = s[0] * jnp.exp(jnp.concatenate([jnp.zeros_like(keep[:1]), jnp.cumsum(jnp.log(keep), 0)]))
    weights = gain / scale[1:]
    return StepFrame(frame, scale, jnp.where(weights == 0, 1.0, weights), scale[:-1] / s[:-1])


def check_one_step(sampler: Any) -> None:
    """Raise an error unless it is a sampler whose state is x alone and whose steps all have the same cost."""
    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler must be one of jaxsamp.samplers, such as DDIM(); got {sampler!r}.")
    sampler.check()
    if not sampler.stepwise:
        raise ValueError(f"sampler must be one that goes step by step, such as DDIM(); got {sampler!r}.")
    each = sampler.evaluations(1)
    if any(sampler.evaluations(n) != n * each for n in (2, 1000)) or _remembers(sampler):
        raise ValueError(
            "sampler must be one whose steps depend on the state alone, such as DDIM(), DDPM() or Heun(); "
            f"got {sampler!r}."
        )


def _remembers(sampler: Sampler) -> bool:
    """Whether its loop carries more than the sample, by evaluating shapes only."""

    class Stand(NamedTuple):
        frame: Any

    def carried(x: Array) -> State:
        lam, plain = jnp.arange(3.0), lambda x, lam: x
        calibration = Stand(frames.DATA)
        return sampler.init(
            Problem(plain, plain, lam, sampler.prepare(lam, calibration), lambda lam: lam, calibration), x
        )

    return bool(jax.tree.leaves(jax.eval_shape(carried, jnp.zeros(1)).memory))
