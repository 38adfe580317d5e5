"""Samplers of densities known up to a constant: Langevin dynamics, one chain at a time.

Each is a frozen dataclass of settings given to `jaxsamp.sample_density`. They are not exact: a step of size h leaves a
bias, of first order in h for the plain methods and of third order with the randomized midpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp import checks
from jaxsamp.pytrees import pytree
from jaxsamp.random import VELOCITY, Draws, stream_key
from jaxsamp.types import Array, ArrayLike
from jaxsamp_kernels import langevin as kernel

Score = Callable[[Array], Array]


class Langevin:
    """Base of the samplers of this module: settings are dataclass fields, numbers leaves and structure static.

    Attributes:
        bias_order: p such that the bias of the stationary law falls like step_size^p.
    """

    step_size: Any
    bias_order: int

    def check(self, event: tuple[int, ...]) -> None:
        """Raise ValueError where a setting is not a positive number (or array that fits `event`)."""
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.metadata.get("static") or value is None:
                continue
            shape, fits = jnp.shape(value), (event if f.name == "inverse_lipschitz" else ())
            if len(shape) > len(fits) or any(a not in (1, b) for a, b in zip(shape[::-1], fits[::-1], strict=False)):
                takes = f"a number or an array that broadcasts to {event}" if fits else "a number"
                raise ValueError(f"{f.name} must be {takes}; got an array of shape {shape}.")
            # Tracers have no value to check.
            if checks.is_concrete(value) and not (np.isfinite(value) & (np.asarray(value) > 0)).all():
                raise ValueError(f"{f.name} must be positive and finite; got {value}.")

    def evaluations(self, steps: int) -> int:
        """Gradients for one chain."""
        return steps

    def init(self, x: Array, i: Array | int, draws: Draws) -> Any:
        """The state of a chain that starts at x before step i: a tuple whose first entry is x."""
        return (x,)

    def step(self, score: Score, state: Any, i: Array, draws: Draws) -> Any:
        """The state after step i."""
        raise TypeError(f"{type(self).__name__} is not a sampler of its own.")


@pytree
@dataclass(frozen=True)
class Overdamped(Langevin):
    """The unadjusted Langevin algorithm, x' = x + h s(x) + sqrt(2 h) z: one gradient a step.

    On N(0, 1 / L) the stationary variance is off by the factor 1 / (1 - h L / 2); stable for h < 2 / L.

    Args:
        step_size: h, in units of time: squares of x.

    Source: Roberts and Tweedie, "Exponential convergence of Langevin distributions and their discrete
    approximations", Bernoulli 2 (1996).
    """

    step_size: Any
    bias_order = 1

    @classmethod
    def from_smoothness(cls, smoothness: ArrayLike, bias: ArrayLike = 0.01) -> "Overdamped":
        """h = 2 bias / L (at most 1 / L), L as in `smoothness`: the relative bias of the variance where it is worst."""
        return cls(step_size=jnp.minimum(2 * jnp.asarray(bias), 1.0) / jnp.asarray(smoothness))

    def step(self, score: Score, state: Any, i: Array, draws: Draws) -> Any:
        """One step."""
        (x,) = state
        return (kernel.overdamped_step(x, score(x), jnp.asarray(self.step_size, x.dtype), draws.normal(i)),)


@pytree
@dataclass(frozen=True)
class Underdamped(Langevin):
    """Underdamped Langevin dynamics, with the score at a random time of each step or frozen at its start.

        dx = v dt,   dv = (u s(x) - g v) dt + sqrt(2 g u) dB,   stationary: p(x) N(v; 0, u I),

    by the steps of `jaxsamp_kernels.langevin`. The randomized midpoint takes two gradients a step and leaves a bias of
    third order in h; frozen, one gradient and first order. On a normal direction of curvature L = 1 / u the variance is
    off by the factor 1 + h^3 / (24 g), and frozen 1 + h / (2 g), for small h; lesser curvatures by less. With g = 2
    both are stable for h < 3.9. A direction of curvature m is forgotten at the rate m u / g if g > 2 sqrt(m u), so the
    usual g = 2 takes time in proportion to L / m; the least, sqrt(L / m), is that of g = 2 sqrt(m u).

    Args:
        step_size: h, in time. With u = 1 / L and g = 2 it has no unit and 0.2 to 1 are usual.
        friction: g; 2 in the papers, less mixes faster where the condition number is large.
        midpoint: the randomized midpoint, or the score frozen during a step.
        inverse_lipschitz: u, which should be at most 1 / L for a log density of curvature up to L; an array that
            broadcasts against an event preconditions its coordinates. None for 1.

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
        direction critically. The step is the largest at which the variance of a normal direction of curvature L is off
        by the fraction `bias`, to leading order: h = (24 g bias)^(1/3), or 2 g bias without the midpoint, and at most
        1. (From the exact second-moment recursion of the step; the tests hold it.) In d directions, all as stiff, the
        Kullback-Leibler divergence of the stationary law is then about d bias^2 / 4.

        Args:
            smoothness: L, positive; known, or measured by `jaxsamp.langevin.smoothness`.
            bias: relative error of the variance, positive.
            convexity: m, the least eigenvalue of the Hessian of -log p, positive and at most L; None for g = 2. A
                prior of precision m is a bound for a log-concave likelihood.
            midpoint: see the class.
        """
        bias, inertia = jnp.asarray(bias), 1 / jnp.asarray(smoothness)
        friction = jnp.asarray(2.0) if convexity is None else 2 * jnp.sqrt(convexity * inertia)
        step = jnp.cbrt(24 * friction * bias) if midpoint else 2 * friction * bias
        return cls(jnp.minimum(step, 1.0), friction, midpoint, inertia)

    def polishing(self, steps: Any) -> "Underdamped":
        """Frozen steps that share a total time of 2 / friction, none longer than this sampler's."""
        share = 2 / (jnp.asarray(self.friction) * steps)
        return replace(self, step_size=jnp.minimum(jnp.asarray(self.step_size), share), midpoint=False)

    def evaluations(self, steps: int) -> int:
        """Two a step with the midpoint, else one."""
        return 2 * steps if self.midpoint else steps

    def init(self, x: Array, i: Array | int, draws: Draws) -> Any:
        """The state and a velocity from N(0, u I)."""
        z = jax.random.normal(stream_key(draws.key, i, VELOCITY), x.shape, x.dtype)
        return x, jnp.sqrt(self._inertia(x)) * z

    def step(self, score: Score, state: Any, i: Array, draws: Draws) -> Any:
        """One step."""
        x, v = state
        h, friction = jnp.asarray(self.step_size, x.dtype), jnp.asarray(self.friction, x.dtype)
        z = replace(draws, shape=(4 if self.midpoint else 2, *draws.shape)).normal(i)
        if not self.midpoint:
            return kernel.underdamped_step(x, v, score(x), h, friction, self._inertia(x), *z)
        a = draws.uniform(i)
        return kernel.midpoint_underdamped_step(score, x, v, score(x), h, friction, self._inertia(x), a, z)

    def _inertia(self, x: Array) -> Array:
        return jnp.asarray(1.0 if self.inverse_lipschitz is None else self.inverse_lipschitz, x.dtype)


def smoothness(key: Array, target: Any, x: Float[Array, "n *event"], iterations: int = 100) -> Float[Array, ""]:
    """The largest absolute eigenvalue of the Hessian of log p at any of the points x, from below.

    Power iteration v <- H v / |H v| with Hessian-vector products by forward differentiation of the score, from a
    random start at each point. After k iterations the estimate is too low by a factor of about d^(-1 / 2k) at worst.
    Where the Hessian is not constant, give points where chains will go: those of a short run, say.

    Args:
        key: draws the starts.
        target: a law with `score(x)`, as for `jaxsamp.sample_density`.
        x: points, (n, *event).
        iterations: Hessian-vector products at each point.

    Returns:
        L, a scalar, for `from_smoothness`.

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    checks.typed_key(key)
    checks.at_least("iterations", iterations, 1)
    if x.ndim != 1 + len(target.event_shape) or x.shape[1:] != tuple(target.event_shape) or not x.shape[0]:
        raise ValueError(f"x must have shape (n, *event) with the event {tuple(target.event_shape)}; got {x.shape}.")
    return _power_iteration(key, target, x, iterations)


@jax.jit
def _power_iteration(key: Array, target: Any, x: Array, iterations: Any) -> Array:
    axes = tuple(range(1, x.ndim))

    def norm(v: Array) -> Array:
        return jnp.sqrt(jnp.square(v).sum(axes, keepdims=True))

    def product(_: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        v = jax.jvp(target.score, (x,), (carry[0],))[1]
        size = norm(v)
        return v / jnp.maximum(size, jnp.finfo(x.dtype).tiny), size

    start = jax.random.normal(key, x.shape, x.dtype)
    start = start / norm(start)
    return jax.lax.fori_loop(0, iterations, product, (start, norm(start)))[1].max()
