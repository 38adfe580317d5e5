"""Underdamped Langevin dynamics whose steps follow the curvature that each chain measures along its warm-up."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.mcmc.base import Adaptive, Score

START = 2**31 - 1  # as a number of a step, which no step has, for what is drawn at the start
FIRST = 20  # products with the Hessian at the start of a chain
KEPT = 0.99  # of the largest curvature, from one step of the warm-up to the next, so that the start is forgotten
BIAS = 1e-3  # relative error of the variance along the most curved direction


class Memory(NamedTuple):
    """The velocity in units of its standard deviation, what is known of the curvature, and the number of gradients."""

    v: Array
    direction: Array
    curvature: Array
    gradients: Array


@pytree
@dataclass(frozen=True)
class Measured(Adaptive):
    """`Underdamped(step_size="auto")`: u = 1 / L and the step of `Underdamped.from_smoothness(L)`, with L measured.

    In each step of the warm-up one product with the Hessian H of log p at the state of the chain turns a unit vector
    towards the eigenvector of the largest absolute eigenvalue, v <- H v / |H v|, and L <- max(0.99 L, |H v|). After it,
    L stays. The start makes 20 products at one place. So L is near the largest curvature that the chain saw in the last
    hundred steps of its warm-up, and every chain has its own; 1 where it saw none. A product counts as two gradients.
    """

    base: Any  # with the friction and the kind of step
    step_size: ClassVar[str] = "auto"
    follows: ClassVar[str] = "score"

    def check(self, event: tuple[int, ...]) -> None:
        """Raise ValueError if the friction is not a positive number."""
        self.base.check(event)

    def init(self, function: Score, x: Array, rng: Rng) -> State:
        """The state of a chain at x before its first step."""
        z = replace(rng, shape=(2, *rng.shape)).normal(START)
        look = lambda _, found: _product(function, x, found[0])  # noqa: E731
        direction, curvature = lax.fori_loop(0, FIRST, look, (z[0] / _norm(z[0]), jnp.zeros((), x.dtype)))
        return State(x, Memory(z[1], direction, curvature, jnp.full((), 2 * FIRST, jnp.int32)))

    def step(self, function: Score, state: State, i: Array, rng: Rng, warmup: Any) -> State:
        """The state after step i, of which the first `warmup` measure the curvature."""
        x, memory = state.x, state.memory

        def looked() -> tuple[Array, Array]:
            direction, found = _product(function, x, memory.direction)
            return direction, jnp.maximum(KEPT * memory.curvature, found)

        direction, curvature = lax.cond(i < warmup, looked, lambda: (memory.direction, memory.curvature))
        sampler = self._scaled(curvature)
        root = jnp.sqrt(sampler.inverse_lipschitz)
        moved = sampler.step(function, State(x, root * memory.v), i, rng)
        gradients = memory.gradients + sampler.evaluations(1) + 2 * (i < warmup)
        return State(moved.x, Memory(moved.memory / root, direction, curvature, gradients))

    def stats(self, state: State) -> dict[str, Array]:
        """Gradients, and the step in units of x: h / sqrt(L)."""
        gradients, sampler = state.memory.gradients, self._scaled(state.memory.curvature)
        step = sampler.step_size * jnp.sqrt(sampler.inverse_lipschitz)
        return {"rounds": gradients, "evaluations": gradients, "step_size": step}

    def _scaled(self, curvature: Array) -> Any:
        return self.base.scaled(jnp.where(curvature > 0, curvature, 1.0), BIAS)


def _product(score: Score, x: Array, direction: Array) -> tuple[Array, Array]:
    """H v / |H v| and |H v|."""
    product = jax.jvp(score, (x,), (direction,))[1]
    size = _norm(product)
    # A direction without curvature, here, is looked along again elsewhere.
    return jnp.where(size > 0, product / jnp.where(size > 0, size, 1.0), direction), size


def _norm(v: Array) -> Array:
    return jnp.sqrt(jnp.square(v).sum())
