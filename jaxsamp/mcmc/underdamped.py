"""Underdamped Langevin dynamics with the score at one random time of each step, or frozen during the step."""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import VELOCITY, Rng, stream_key
from jaxsamp.core.types import Array, ArrayLike, State
from jaxsamp.mcmc.base import DensitySampler, Langevin, Score
from jaxsamp.mcmc.measured import Measured
from jaxsamp_kernels import langevin as kernel


@pytree
@dataclass(frozen=True)
class Underdamped(Langevin):
    """Underdamped Langevin dynamics, with the score at a random time of each step or frozen at its start.

        dx = v dt,   dv = (u s(x) - g v) dt + sqrt(2 g u) dB,   stationary: p(x) N(v; 0, u I),

    with the steps of `jaxsamp_kernels.langevin`. The randomized midpoint takes two gradients per step and its bias is
    of third order in h; the frozen score takes one gradient and its bias is of first order. In a Gaussian direction of
    curvature L = 1 / u, the variance is wrong by the factor 1 + h^3 / (24 g) with the midpoint and 1 + h / (2 g) with
    the frozen score, for small h; less in directions of smaller curvature. With g = 2 both are stable for h < 3.9. A
    direction of curvature m is forgotten at the rate m u / g if g > 2 sqrt(m u), so the usual g = 2 needs a time in
    proportion to L / m; the shortest time, in proportion to sqrt(L / m), is reached with g = 2 sqrt(m u).

    Args:
        step_size: h, in time. With u = 1 / L and g = 2 it is dimensionless, and 0.2 to 1 are usual values. "auto": each
            chain measures L along its warm-up, and takes u = 1 / L and the step of `from_smoothness(L)`.
        friction: g; 2 in the papers. A smaller one mixes faster if the condition number is large.
        midpoint: True for the randomized midpoint, False for the score frozen during a step.
        inverse_lipschitz: u, at most 1 / L for a log density of curvature up to L. An array that broadcasts to an event
            preconditions its coordinates. None for 1.

    Source: Shen and Lee, "The randomized midpoint method for log-concave sampling", arXiv 1909.05503 (u = 1 / L,
    g = 2); Cheng et al., "Underdamped Langevin MCMC: A non-asymptotic analysis", arXiv 1707.03663 (frozen).
    """

    step_size: Any
    friction: Any = 2.0
    midpoint: bool = field(default=True, metadata={"static": True})
    inverse_lipschitz: Any = None

    @property
    def bias_order(self) -> int:  # type: ignore[override]
        """3 with the midpoint, 1 without."""
        return 3 if self.midpoint else 1

    @classmethod
    def from_smoothness(
        cls,
        smoothness: ArrayLike,
        bias: ArrayLike = 1e-3,
        *,
        convexity: ArrayLike | None = None,
        midpoint: bool = True,
    ) -> "Underdamped":
        """Settings for a log density whose Hessian has no eigenvalue beyond L = `smoothness` in absolute value.

        u = 1 / L and g = 2 as in arXiv 1909.05503; with `convexity` m, g = 2 sqrt(m / L), which damps the flattest
        direction critically. With the step h = (24 g bias)^(1/3), or 2 g bias without the midpoint, and at most 1, the
        variance in a Gaussian direction of curvature L is wrong by the fraction `bias`, to leading order. (This follows
        from the exact second-moment recursion of the step and is tested.) If all d directions have that curvature, the
        Kullback-Leibler divergence of the stationary law is then about d bias^2 / 4.

        Args:
            smoothness: L, positive; known, or measured by `jaxsamp.mcmc.smoothness`.
            bias: relative error of the variance, positive.
            convexity: m, the smallest eigenvalue of the Hessian of -log p, positive and at most L; None for g = 2. With
                a log-concave likelihood, the precision of a Gaussian prior is a lower bound.
            midpoint: see the class.
        """
        friction = 2.0 if convexity is None else 2 * jnp.sqrt(convexity / jnp.asarray(smoothness))
        return cls(1.0, friction, midpoint).scaled(smoothness, jnp.asarray(bias))

    def chosen(self) -> DensitySampler:
        """With step_size="auto", the sampler that measures it."""
        if not isinstance(self.step_size, str):
            return self
        if self.step_size != "auto":
            raise ValueError(f'step_size must be a positive number or "auto"; got {self.step_size!r}.')
        if self.inverse_lipschitz is not None:
            raise ValueError('inverse_lipschitz must be None with step_size="auto", which measures it; got a value.')
        return Measured(replace(self, step_size=1.0))

    def scaled(self, smoothness: ArrayLike, bias: ArrayLike) -> "Underdamped":
        """With u = 1 / L and the step that leaves a relative error `bias` of the variance; see `from_smoothness`."""
        friction, inertia = jnp.asarray(self.friction), 1 / jnp.asarray(smoothness)
        step = jnp.cbrt(24 * friction * bias) if self.midpoint else 2 * friction * bias
        return replace(self, step_size=jnp.minimum(step, 1.0), friction=friction, inverse_lipschitz=inertia)

    def polishing(self, steps: Any) -> "Underdamped":
        """Steps with a frozen score and a total time of 2 / friction, none longer than this sampler's."""
        share = 2 / (jnp.asarray(self.friction) * steps)
        return replace(self, step_size=jnp.minimum(jnp.asarray(self.step_size), share), midpoint=False)

    def evaluations(self, steps: int) -> int:
        """Two per step with the midpoint, else one."""
        return 2 * steps if self.midpoint else steps

    def gentle(self, curvature: float) -> bool:
        """Whether h^2 u L is at most 1 and the damping, with a frozen score, is strong enough for that."""
        reach = float(self.step_size) ** 2 * curvature
        return reach <= (1 if self.midpoint else min(1.0, float(self.step_size) * float(self.friction)))

    def init(self, score: Score, x: Array, i: Array | int, rng: Rng) -> State:
        """The state with a velocity from N(0, u I)."""
        return State(x, velocity(inertia(self, x), x, i, rng))

    def step(self, score: Score, state: State, i: Array, rng: Rng) -> State:
        """One step."""
        x, v = state.x, state.memory
        h, friction, u = jnp.asarray(self.step_size, x.dtype), jnp.asarray(self.friction, x.dtype), inertia(self, x)
        z = replace(rng, shape=(4 if self.midpoint else 2, *rng.shape)).normal(i)
        if not self.midpoint:
            return State(*kernel.underdamped_step(x, v, score(x), h, friction, u, *z))
        a = rng.uniform(i)
        return State(*kernel.midpoint_underdamped_step(score, x, v, score(x), h, friction, u, a, z))


def inertia(sampler: Any, x: Array) -> Array:
    """u, by default 1."""
    return jnp.asarray(1.0 if sampler.inverse_lipschitz is None else sampler.inverse_lipschitz, x.dtype)


def velocity(u: Array, x: Array, i: Array | int, rng: Rng) -> Array:
    """A velocity from its stationary law N(0, u I), for a chain at x before step i."""
    return jnp.sqrt(u) * jax.random.normal(stream_key(rng.key, i, VELOCITY), x.shape, x.dtype)
