"""Underdamped Langevin dynamics with the score at many times of a step at once: fewer rounds, more gradients."""

from dataclasses import dataclass, field, replace
from math import factorial
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import UNIFORM, Rng, stream_key
from jaxsamp.core.types import Array, ArrayLike, State
from jaxsamp.mcmc.base import Langevin, Score
from jaxsamp.mcmc.underdamped import Underdamped, inertia, velocity
from jaxsamp_kernels import parallel_langevin as kernel

NODES = ("antithetic", "random", "midpoint")


@pytree
@dataclass(frozen=True)
class ParallelUnderdamped(Langevin):
    """Underdamped Langevin dynamics in long steps, each with a few rounds of R gradients that are computed at once.

    The dynamics are the same as in `Underdamped`. A step is cut into R cells with one random time in each. The path
    through these nodes is computed by K sweeps over all of them, and the step ends with an unbiased estimate of the
    integral of the score; see `jaxsamp_kernels.parallel_langevin`. With R = 1, K = 1 and no warm start it is
    `Underdamped(midpoint=True)`; with a warm start it needs one gradient per step and has a bias of the same size.

    K sweeps leave a fraction of about (L u h^2)^K / (2 K)! of the error of the initial path, so K must grow with h, and
    R with the accuracy: once K is large enough, the bias falls like R^-2 or faster. The method pays where R gradients
    at once take hardly longer than one.

    Args:
        step_size: h, in time; dimensionless with inertia u = 1 / L.
        friction: g, as in `Underdamped`.
        midpoints: R, number of nodes per step.
        iterations: K, gradients at each node, one after the other.
        nodes: "antithetic" (U and 1 - U in neighboring cells), "random" (independent), or "midpoint" of each cell,
            which is biased.
        warm_start: the first sweep of a step uses the slope at the last node of the previous step instead of s(x),
            which saves a round: K rounds per step instead of K + 1.
        inverse_lipschitz: u, as in `Underdamped`.

    Source: Shen and Lee, "The randomized midpoint method for log-concave sampling", arXiv 1909.05503, Algorithm 2;
    Anari, Chewi and Vuong, "Fast parallel sampling under isoperimetry", arXiv 2401.09016; Gupta, Cai and Chen, "Faster
    Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel", arXiv 2406.00924.
    """

    step_size: Any = 1.5
    friction: Any = 2.0
    midpoints: int = field(default=16, metadata={"static": True})
    iterations: int = field(default=3, metadata={"static": True})
    nodes: str = field(default="antithetic", metadata={"static": True})
    warm_start: bool = field(default=True, metadata={"static": True})
    inverse_lipschitz: Any = None

    @property
    def bias_order(self) -> int:  # type: ignore[override]
        """3 with random nodes, 2 without."""
        return 2 if self.nodes == "midpoint" else 3

    @classmethod
    def from_smoothness(
        cls, smoothness: ArrayLike, *, convexity: ArrayLike | None = None, **settings: Any
    ) -> "ParallelUnderdamped":
        """Settings for a log density whose Hessian has no eigenvalue beyond L = `smoothness` in absolute value.

        u = 1 / L and, with `convexity` m, g = 2 sqrt(m / L), as in `Underdamped.from_smoothness`; everything else is
        the default or given in `settings`.
        """
        u = 1 / jnp.asarray(smoothness)
        friction = {} if convexity is None else {"friction": 2 * jnp.sqrt(convexity * u)}
        return cls(**{"inverse_lipschitz": u, **friction, **settings})

    def check(self, event: tuple[int, ...]) -> None:
        """Raise ValueError unless numbers are positive, there is a node and a sweep, and `nodes` is known."""
        super().check(event)
        checks.at_least("midpoints", self.midpoints, 1)
        checks.at_least("iterations", self.iterations, 1)
        checks.one_of("nodes", self.nodes, NODES)

    def polishing(self, steps: Any) -> Underdamped:
        """The same as for `Underdamped`."""
        return Underdamped(self.step_size, self.friction, False, self.inverse_lipschitz).polishing(steps)

    def evaluations(self, steps: int) -> int:
        """R K per step, plus one per step, or with a warm start one per chain."""
        return self.midpoints * self.iterations * steps + (1 if self.warm_start else steps)

    def rounds(self, steps: int) -> int:
        """K per step, plus one per step, or with a warm start one per chain."""
        return self.iterations * steps + (1 if self.warm_start else steps)

    def gentle(self, curvature: float) -> bool:
        """Whether the sweeps shrink the error of the initial path tenfold, (L u h^2)^K / (2 K)! < 0.1."""
        reach = float(self.step_size) ** 2 * curvature
        return reach**self.iterations / factorial(2 * self.iterations) < 0.1

    def init(self, score: Score, x: Array, i: Array | int, rng: Rng) -> State:
        """The state with a velocity from N(0, u I) and, with a warm start, the slope."""
        return State(x, (velocity(inertia(self, x), x, i, rng), score(x) if self.warm_start else None))

    def step(self, score: Score, state: State, i: Array, rng: Rng) -> State:
        """One step."""
        x, (v, slope) = state
        z = replace(rng, shape=(self.midpoints + 1, 2, *rng.shape)).normal(i)
        x, v, slopes = kernel.parallel_underdamped_step(
            score,
            x,
            v,
            slope if self.warm_start else score(x),
            jnp.asarray(self.step_size, x.dtype),
            jnp.asarray(self.friction, x.dtype),
            inertia(self, x),
            self._fractions(i, rng),
            z,
            self.iterations,
        )
        return State(x, (v, slopes[-1] if self.warm_start else None))

    def _fractions(self, i: Array, rng: Rng) -> Array:
        """The position of each node in its cell, (R,)."""
        if self.nodes == "midpoint":
            return jnp.full(self.midpoints, 0.5, rng.dtype)
        u = jax.random.uniform(stream_key(rng.key, i, UNIFORM), (self.midpoints,), rng.dtype)
        if self.nodes == "random":
            return u
        first = u[: (self.midpoints + 1) // 2]
        return jnp.stack([first, 1 - first], 1).reshape(-1)[: self.midpoints]
