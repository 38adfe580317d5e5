"""Draws of a point near a given one that an observation speaks for: no denoiser, only the operator and its slopes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxsamp.core.random import CHOICE, LIKELIHOOD, OBSERVED, WALK, Rng
from jaxsamp.core.types import Array
from jaxsamp.denoisers.conjugate_gradients import conjugate_gradients
from jaxsamp.denoisers.operators import linear

NEWTON = 2  # Gauss-Newton steps to where an operator is linearized


def near_observation(
    observation: tuple[Any, Any, Any], x: Array, z: Array, rho: Array, i: Array, rng: Rng, moves: int, iterations: int
) -> Array:
    """A draw from N(y; A(z), noise^2) N(z; x, rho^2 I) if A is linear; else z after moves that leave this unchanged.

    Each move is two: a draw from the law that A, linearized near the most likely z, has, taken or refused by the ratio
    of the two laws, which needs no determinant; and a step z' = x + sqrt(1 - b^2) (z - x) + b rho n, which leaves
    N(x, rho^2 I) unchanged, taken or refused by the likelihood, with b the square of a uniform number.

    Args:
        observation: y, A and the noise of one sample.
        x, z: one event each; z is not read if A is linear.
        rho: standard deviation of z about x.
        i: number of the visit, by which random numbers are drawn.
        rng: the random numbers of the sample.
        moves: number of moves.
        iterations: of conjugate gradients.
    """
    y, operator, noise = observation
    is_linear = hasattr(operator, "adjoint")
    y, noise = jnp.asarray(y, x.dtype), jnp.asarray(noise, x.dtype)
    seen = replace(rng.of(OBSERVED), shape=y.shape)

    def lifted(forward: Callable[[Array], Array], back: Callable[[Array], Array], residual: Array) -> Array:
        """rho^2 J^T (rho^2 J J^T + noise^2)^-1 residual."""

        def apply(u: Array) -> tuple[Array, Array]:
            moved = rho**2 * back(u)
            return forward(moved) + noise**2 * u, moved

        return conjugate_gradients(apply, residual, x, iterations)

    center = x
    for _ in range(0 if is_linear else NEWTON):
        value, forward, back = linear(operator, center)
        center = x + lifted(forward, back, y - value - forward(x - center))
    value, forward, back = linear(operator, center)

    def offered(k: Array) -> Array:
        """A draw from the law that A linearized at the center has."""
        blurred, residual = x + rho * rng.of(LIKELIHOOD).normal(k), y + noise * seen.normal(k) - value
        return blurred + lifted(forward, back, residual - forward(blurred - center))

    if is_linear:
        return offered(i)

    units = jnp.where(noise > 0, 1 / jnp.where(noise > 0, noise, 1), 0)

    def likelihood(z: Array) -> Array:
        return -0.5 * jnp.sum((units * (y - operator(z))) ** 2)

    def over_linearized(z: Array) -> Array:
        return likelihood(z) + 0.5 * jnp.sum((units * (y - value - forward(z - center))) ** 2)

    def move(z: Array, k: Array) -> tuple[Array, None]:
        own, new = rng.of(WALK), offered(k)
        z = jnp.where(jnp.log(own.uniform(2 * k)) < over_linearized(new) - over_linearized(z), new, z)
        share = own.uniform(2 * k + 1) ** 2
        new = x + jnp.sqrt(1 - share**2) * (z - x) + share * rho * own.normal(k)
        return jnp.where(jnp.log(rng.of(CHOICE).uniform(k)) < likelihood(new) - likelihood(z), new, z), None

    return lax.scan(move, z, i * moves + jnp.arange(moves))[0]
