"""The sliding window: many midpoint steps at once, corrected until they settle."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array
from jaxsamp.samplers.base import Problem, named_frame, slope
from jaxsamp.samplers.sliding import Sliding, over
from jaxsamp_kernels import midpoint, sliding

NODES = ("antithetic", "random", "midpoint")


@pytree
@dataclass(frozen=True)
class SlidingWindow(Sliding):
    """Midpoint steps that reuse slopes, evaluated a window at a time; `ParaDiGMS` does it for other samplers.

    All steps of a window are evaluated at once, at guessed states; their sum corrects the states; and the window slides
    over the leading steps whose states moved by no more than `tolerance`. Each sample has its own window. With
    tolerance 0 the samples equal those of `RandomizedMidpoint` (antithetic or random nodes) under the same key, in at
    most one round more.

    Args:
        window: number of steps evaluated at once, which is the number of evaluations per round.
        tolerance: largest change that counts as settled: root mean square over the coordinates, in units of the noise
            level at the state.
        nodes: position of each step's node in its cell of the grid: "antithetic", uniform in the clock, U and 1 - U in
            the two cells of a pair; "random", uniform; "midpoint", at U = 1/2.
        frame: "data", "noise", "score", "rotation", "straight" or "calibrated" (which needs a calibration). States are
            corrected in its coordinates, in which constant slopes need no correction.
        max_sweeps: after this number of sweeps every further one settles its whole window, so the run ends within
            steps / window more, and `converged` is false if the tolerance was not met; None for no limit.

    Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
    arXiv 2406.00924; Shih et al., "Parallel Sampling of Diffusion Models", arXiv 2305.16317 (the window).
    """

    window: int = field(default=16, metadata={"static": True})
    tolerance: Any = 3e-3
    nodes: str = field(default="antithetic", metadata={"static": True})
    frame: str = field(default="data", metadata={"static": True})
    max_sweeps: Any = None

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """3/2 for independent nodes, otherwise 2."""
        return 1.5 if self.nodes == "random" else 2.0

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        """Whether nodes are random."""
        return self.nodes != "midpoint"

    @property
    def _costs(self) -> tuple[int, int, int]:
        return 1, 1, 1

    def check(self) -> None:
        """Raise ValueError unless sizes are positive and names are known."""
        super().check()
        checks.one_of("nodes", self.nodes, NODES)

    def _slid(self, problem: Problem, x: Array, rng: Rng) -> tuple[Array, sliding.Slid]:
        """Slide over cells with one node each, whose slopes are reused to reach the next node."""
        frame, lam = named_frame(self.frame, problem.calibration), problem.lam
        lam0, lam1 = lam[:-1], lam[1:]
        u = jax.vmap(lambda i: rng.fraction(i, self.nodes))(jnp.arange(len(lam0)))
        nodes, weights = midpoint.node(frame, "importance", u, lam0, lam1)
        nodes = problem.trained(nodes)
        scale, place = frame.scale(nodes), jnp.arange(min(self.window, len(lam0)))
        weights, factor = over(weights, x.ndim), over(scale, x.ndim)

        def evaluate(first: Array, points: Array) -> tuple[Array, Array]:
            index = jnp.minimum(first + place, len(lam0) - 1)
            at = factor[index] * points
            slopes = jax.vmap(frame.integrand)(at, problem.denoise_all(at, nodes[index]), nodes[index])
            return weights[index] * slopes, slopes

        start = slope(problem, self.frame, x, lam[0])
        unit = scale * over(jnp.exp(nodes), scale.ndim - 1)
        offsets = frame.clock_delta(lam0, nodes)
        slid = self._slide(x / frame.scale(lam[0]), start, evaluate, weights, offsets, unit)
        return frame.scale(lam[-1]) * slid.y, slid
