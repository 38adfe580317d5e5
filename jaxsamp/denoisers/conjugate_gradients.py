"""Small linear systems by conjugate gradients."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core.types import Array


def conjugate_gradients(
    apply: Callable[[Array], tuple[Array, Array]], residual: Array, like: Array, iterations: int
) -> Array:
    """L M^-1 residual for a symmetric positive semi-definite M, where apply(u) = (M u, L u).

    The sum of L u is accumulated in each iteration, so no product is needed at the end. The iteration ends at a
    direction without positive curvature, which the Jacobian of a trained network may have, and when the residual is
    down to rounding errors.

    Args:
        apply: both products with a vector u of the residual's shape.
        residual: the right-hand side.
        like: an array of the shape and dtype of L u.
        iterations: number of iterations; the result is exact with as many as M has distinct eigenvalues.

    Source: Hestenes and Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", J. Res. Nat. Bur. Stand.
    49 (1952).
    """
    dot = partial(jnp.vdot, precision="highest")
    whole = dot(residual, residual)
    least = jnp.finfo(residual.dtype).eps ** 2 * whole

    def body(carry: Any, _: None) -> tuple[Any, None]:
        total, r, p, square = carry
        moved, lifted = apply(p)
        curvature = dot(p, moved)
        good = (curvature > 0) & (square > least)
        step = jnp.where(good, square / jnp.where(good, curvature, 1), 0)
        r = r - step * moved
        new = dot(r, r)
        p = jnp.where(good, r + new / jnp.where(good, square, 1) * p, 0)
        return (total + step * lifted, r, p, new), None

    start = (jnp.zeros_like(like), residual, residual, whole)
    return jax.lax.scan(body, start, None, length=iterations)[0][0]
