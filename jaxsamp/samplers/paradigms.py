"""ParaDiGMS: the steps of any one-step sampler, a window at a time."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Problem, named_frame
from jaxsamp.samplers.sliding import Sliding, over
from jaxsamp.samplers.step_maps import StepFrame, check_one_step, step_frame
from jaxsamp_kernels import sliding


class _Tables(NamedTuple):
    """Arrays of the grid: the frame in which a step is an increment, and the tables of the one-step sampler."""

    frame: StepFrame
    own: Any


@pytree
@dataclass(frozen=True)
class ParaDiGMS(Sliding):
    """The steps of a one-step sampler, evaluated a window at a time.

    As in `SlidingWindow`, all steps of a window are taken at once from guessed states, their sum corrects the states,
    and the window slides over the leading steps whose states moved by no more than `tolerance`. With tolerance 0 the
    samples equal those of `sampler` under the same key, in at most as many rounds.

    Args:
        sampler: one without memory besides the state: `DDIM`, `DDPM`, `Heun`, `Midpoint`, `ExponentialEuler`,
            `RandomizedMidpoint(reuse=False)`, `RandomizedMidpointSDE`.
        window: number of steps taken at once.
        tolerance: largest change that counts as settled: root mean square over the coordinates, in units of the noise
            level at the state.
        frame: "data" or "calibrated" (which needs a denoiser with a calibration): the linear part that is removed in
            the coordinates of the corrections.
        max_sweeps: after this number of sweeps every further one settles its whole window, so the run ends within
            steps / window more, and `converged` is false if the tolerance was not met; None for no limit.

    Source: Shih, Belkhale, Ermon, Sadigh and Anari, "Parallel Sampling of Diffusion Models", arXiv 2305.16317, with the
    tolerance in units of the added noise, windows that slide for the whole batch, and constant guesses.
    """

    sampler: Any
    window: int = field(default=16, metadata={"static": True})
    tolerance: Any = 3e-3
    frame: str = field(default="data", metadata={"static": True})
    max_sweeps: Any = None

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """That of the one-step sampler."""
        return self.sampler.convergence_order

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        """Whether the one-step sampler is."""
        return self.sampler.stochastic

    @property
    def discretizes(self) -> str:  # type: ignore[override]
        """The equation of the one-step sampler."""
        return self.sampler.discretizes

    @property
    def reads_calibration(self) -> bool:
        """True in the calibrated frame, or if the one-step sampler needs it."""
        return self.frame == "calibrated" or self.sampler.reads_calibration

    @property
    def _costs(self) -> tuple[int, int, int]:
        return 0, self.sampler.rounds(1), self.sampler.evaluations(1)

    def check(self) -> None:
        """Raise an error unless sizes are positive, the sampler has no memory, and the frame is known."""
        check_one_step(self.sampler)
        super().check()
        if self.frame not in ("data", "calibrated"):
            raise ValueError(f"frame must be 'data' or 'calibrated'; got {self.frame!r}.")

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """The frame of the one-step sampler, and its arrays."""
        frame = named_frame("calibrated" if self.reads_calibration else "data", calibration)
        return _Tables(step_frame(self.sampler, frame, lam, calibration), self.sampler.prepare(lam, calibration))

    def _slid(self, problem: Problem, x: Array, rng: Rng) -> tuple[Array, sliding.Slid]:
        """Slide over cells that are the steps of the one-step sampler."""
        frame, problem = problem.tables.frame, problem._replace(tables=problem.tables.own)
        cells = len(frame.weights)
        scale, weights = over(frame.scale, x.ndim), over(frame.weights, x.ndim)
        place = jnp.arange(min(self.window, cells))
        quiet = frame.problem(problem)

        def ends(problem: Problem, x: Array, index: Array) -> Array:
            return jax.vmap(lambda x, i: self.sampler.step(problem, State(x), i, rng).x)(x, index) / scale[index + 1]

        def noise(first: Array) -> Array:
            index = jnp.minimum(first + place, cells - 1)
            return ends(quiet, jnp.zeros((len(place), *x.shape), x.dtype), index)

        def evaluate(first: Array, points: Array) -> tuple[Array, Array]:
            index = jnp.minimum(first + place, cells - 1)
            gained = problem.divided(partial(ends, problem))(scale[index] * points, index) - points
            drift = gained - noise(first) if self.stochastic else gained
            return gained, drift / weights[index]

        slid = self._slide(
            x / scale[0], jnp.zeros_like(x), evaluate, weights, jnp.zeros_like(weights), frame.unit,
            noise=noise if self.stochastic else None,
        )  # fmt: skip
        return scale[-1] * slid.y, slid
