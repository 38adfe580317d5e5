"""The sliding window: a window of steps at once, in as many rounds as its corrections take to settle."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array
from jaxsamp.samplers.base import Cost, Problem, Sampler, check_frame, named_frame, slope
from jaxsamp.samplers.step_maps import StepFrame, check_one_step, step_frame
from jaxsamp_kernels import midpoint, sliding

NODES = ("antithetic", "random", "midpoint")


class _Tables(NamedTuple):
    """Of the grid: the frame that a one-step method leaves increments in, and the method's own."""

    frame: StepFrame
    own: Any


@pytree
@dataclass(frozen=True)
class SlidingWindow(Sampler):
    """Midpoint steps, or those of any one-step sampler, evaluated a window at a time.

    All steps of a window are evaluated at once, at guessed states; their sum corrects the states; and the window slides
    over the leading steps whose states moved by no more than `tolerance`. Each sample has a window of its own. With
    tolerance 0 the samples are those of the sequential method under the same key, in at most one round more than it
    takes: of `RandomizedMidpoint` (antithetic or random nodes), or of the sampler `of`, whose random numbers are by step.

    Args:
        window: steps evaluated at once, and so the evaluations of a round.
        tolerance: largest change that counts as settled: root mean square over the coordinates, in units of the noise
            level at the state.
        nodes: where in its cell of the grid each midpoint step evaluates: "antithetic", uniform in the clock with
            U and 1 - U in the two cells of a pair; "random", uniform; "midpoint", at U = 1/2. Not used with `of`.
        frame: "data", "noise", "score" or "calibrated" (which needs a denoiser with a calibration). The states are
            corrected in its coordinates, where constant slopes need no correction; with `of`, "data" or "calibrated".
        max_sweeps: after so many rounds every further one settles its whole window, and `converged` tells; None for no
            limit. The run then ends within steps / window rounds.
        of: None for midpoint steps with reuse of slopes; or a sampler that remembers nothing but the state: `DDIM`,
            `DDPM`, `Heun`, `Midpoint`, `ExponentialEuler`, `RandomizedMidpoint(reuse=False)`, `RandomizedMidpointSDE`.

    Source: Shih, Belkhale, Ermon, Sadigh and Anari, "Parallel Sampling of Diffusion Models", arXiv 2305.16317, there
    with the tolerance in units of the added noise, windows that slide for the whole batch and constant guesses;
    Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
    arXiv 2406.00924.
    """

    window: int = field(default=16, metadata={"static": True})
    tolerance: Any = 3e-3
    nodes: str = field(default="antithetic", metadata={"static": True})
    frame: str = field(default="data", metadata={"static": True})
    max_sweeps: Any = None
    of: Any = None

    default_steps = 64

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """Of the sampler `of`; 3/2 of independent nodes, else 2."""
        if self.of is not None:
            return self.of.convergence_order
        return 1.5 if self.nodes == "random" else 2.0

    @property
    def stochastic(self) -> bool:
        """Whether nodes, or the steps of the sampler `of`, are random."""
        return self.nodes != "midpoint" if self.of is None else self.of.stochastic

    @property
    def discretizes(self) -> str:
        """As the sampler `of` does."""
        return "ode" if self.of is None else self.of.discretizes

    @property
    def reads_calibration(self) -> bool:
        """In the calibrated frame, or where the sampler `of` does."""
        return self.frame == "calibrated" or (self.of is not None and self.of.reads_calibration)

    def check(self) -> None:
        """Positive sizes, known names, and a sampler without memory."""
        checks.at_least("window", self.window, 1)
        checks.one_of("nodes", self.nodes, NODES)
        check_frame(self.frame)
        if checks.is_concrete(self.tolerance) and not float(self.tolerance) >= 0:
            raise ValueError(f"tolerance must be at least 0; got {self.tolerance}.")
        if self.max_sweeps is not None and checks.is_concrete(self.max_sweeps):
            checks.at_least("max_sweeps", self.max_sweeps, 1)
        if self.of is not None:
            check_one_step(self.of)
            if self.frame not in ("data", "calibrated"):
                raise ValueError(f"frame must be 'data' or 'calibrated' with of={self.of}; got {self.frame!r}.")

    def evaluations(self, steps: int) -> int:
        """At most: a window that moves by one step a round."""
        calls = sum(min(self.window, left) for left in range(1, steps + 1))
        return calls + 1 if self.of is None else calls * self.of.evaluations(1)

    def rounds(self, steps: int) -> int:
        """At most those of the sequential sampler."""
        return steps + 1 if self.of is None else steps * self.of.rounds(1)

    def pieces(self, steps: int) -> int:
        """The whole trajectory in one loop."""
        return 1

    def cost(self, state: Any, steps: int) -> Cost:
        """What the loop has counted."""
        _, slid = state
        start, depth, each = (1, 1, 1) if self.of is None else (0, self.of.rounds(1), self.of.evaluations(1))
        rounds, evaluations = start + depth * slid.sweeps, start + each * slid.cells
        computed = start + each * min(self.window, steps) * slid.sweeps
        return Cost(rounds, evaluations, computed, slid.residual, slid.residual <= self.tolerance)

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """The frame of the sampler `of`, and its own arrays."""
        if self.of is None:
            return None
        frame = named_frame("calibrated" if self.reads_calibration else "data", calibration)
        return _Tables(step_frame(self.of, frame, lam, calibration), self.of.prepare(lam, calibration))

    def init(self, problem: Problem, x: Array) -> Any:
        """The state, and nothing done yet."""
        zero = jnp.zeros((), jnp.int32)
        return x, sliding.Slid(jnp.zeros_like(x), zero, zero, jnp.zeros((), x.dtype))

    def step(self, problem: Problem, state: Any, i: Array, rng: Rng) -> Any:
        """The whole trajectory."""
        x, slid = (self._midpoints if self.of is None else self._steps)(problem, state[0], rng)
        return x, slid._replace(y=jnp.zeros_like(x))

    def _slide(self, *start: Any, **options: Any) -> sliding.Slid:
        window = min(self.window, len(start[3]))
        return sliding.slide(*start, window=window, tolerance=self.tolerance, max_sweeps=self.max_sweeps, **options)

    def _midpoints(self, problem: Problem, x: Array, rng: Rng) -> Any:
        """Cells are steps with one node each, whose slopes are reused to get to the next."""
        frame, lam = named_frame(self.frame, problem.calibration), problem.lam
        lam0, lam1 = lam[:-1], lam[1:]
        u = jax.vmap(lambda i: rng.fraction(i, self.nodes))(jnp.arange(len(lam0)))
        nodes, weights = midpoint.node(frame, "importance", u, lam0, lam1)
        nodes = problem.trained(nodes)
        scale, place = frame.scale(nodes), jnp.arange(min(self.window, len(lam0)))
        weights, factor = _over(weights, x.ndim), _over(scale, x.ndim)

        def evaluate(first: Array, points: Array) -> tuple[Array, Array]:
            index = jnp.minimum(first + place, len(lam0) - 1)
            at = factor[index] * points
            slopes = jax.vmap(frame.integrand)(at, problem.denoise_all(at, nodes[index]), nodes[index])
            return weights[index] * slopes, slopes

        start = slope(problem, self.frame, x, lam[0])
        unit = scale * _over(jnp.exp(nodes), scale.ndim - 1)
        offsets = frame.clock_delta(lam0, nodes)
        slid = self._slide(x / frame.scale(lam[0]), start, evaluate, weights, offsets, unit)
        return frame.scale(lam[-1]) * slid.y, slid

    def _steps(self, problem: Problem, x: Array, rng: Rng) -> Any:
        """Cells are the steps of the sampler `of`."""
        frame, problem = problem.tables.frame, problem._replace(tables=problem.tables.own)
        cells = len(frame.weights)
        scale, weights = _over(frame.scale, x.ndim), _over(frame.weights, x.ndim)
        place = jnp.arange(min(self.window, cells))
        quiet = frame.problem(problem)

        def ends(problem: Problem, x: Array, index: Array) -> Array:
            return jax.vmap(lambda x, i: self.of.step(problem, (x,), i, rng)[0])(x, index) / scale[index + 1]

        def noise(first: Array) -> Array:
            index = jnp.minimum(first + place, cells - 1)
            return ends(quiet, jnp.zeros((len(place), *x.shape), x.dtype), index)

        def evaluate(first: Array, points: Array) -> tuple[Array, Array]:
            index = jnp.minimum(first + place, cells - 1)
            gained = problem.divided(partial(ends, problem))(scale[index] * points, index) - points
            drift = gained - noise(first) if self.of.stochastic else gained
            return gained, drift / weights[index]

        slid = self._slide(
            x / scale[0], jnp.zeros_like(x), evaluate, weights, jnp.zeros_like(weights), frame.unit,
            noise=noise if self.of.stochastic else None,
        )  # fmt: skip
        return scale[-1] * slid.y, slid


def _over(table: Array, event: int) -> Array:
    """A table of numbers, one for each row, made to broadcast over an event of so many axes."""
    return table.reshape(-1, *(1,) * event) if table.ndim == 1 else table
