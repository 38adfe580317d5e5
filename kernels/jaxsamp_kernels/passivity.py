"""Scattering matrices whose largest singular value is at most one: they give back no more power than they get."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

TRIES = 60  # halvings of a bracket, after which nothing is left of it


def largest_singular_value(s: Array) -> Array:
    """The largest singular value of matrices (..., p, p), shape (...); of up to 2 x 2 in closed form."""
    if s.shape[-1] == 1:
        return jnp.abs(s[..., 0, 0])
    if s.shape[-1] == 2:
        return _singular_values(s)[0]
    return jnp.linalg.svd(s, compute_uv=False)[..., 0]


def clip_singular_values(s: Array, limit: float) -> Array:
    """The nearest matrices, in the Frobenius norm, with singular values of at most `limit`, for s (..., p, p).

    Of up to 2 x 2 in closed form: S f(S^H S) with f(x) = min(1, limit / sqrt(x)), where f of a matrix of two
    eigenvalues is f(x_2) + f[x_1, x_2] (S^H S - x_2), whose divided difference is written without cancellation.
    """
    if s.shape[-1] == 1:
        return s * jnp.minimum(1, limit / jnp.maximum(jnp.abs(s), limit))
    if s.shape[-1] > 2:
        u, values, v = jnp.linalg.svd(s, full_matrices=False)
        return jnp.matmul(u * jnp.minimum(values, limit)[..., None, :], v, precision="highest")
    first, second, apart = _singular_values(s)
    large, small = jnp.maximum(first, limit), jnp.maximum(second, limit)
    both = -limit / (large * small * (large + small))
    gap = apart * (first + second)  # of the squares
    one = -jnp.minimum(large - limit, apart) / (large * jnp.where(gap > 0, gap, 1))
    slope = jnp.where(second > limit, both, jnp.where(first > limit, one, 0))[..., None, None]
    gram = jnp.matmul(s.conj().swapaxes(-1, -2), s, precision="highest")
    unit = jnp.eye(2, dtype=s.dtype)
    factor = (limit / small)[..., None, None] * unit + slope * (gram - (second**2)[..., None, None] * unit)
    return jnp.matmul(s, factor, precision="highest")


def _singular_values(s: Array) -> tuple[Array, Array, Array]:
    """Both singular values of [[a, b], [c, d]], the larger one first, and how far they are apart.

    With D = ad - bc and f = D / |D|, their sum and difference are the square roots of ||S||_F^2 +- 2 |D|, which are
    |a + f d*|^2 + |b - f c*|^2 and |a - f d*|^2 + |b + f c*|^2: nothing cancels where the values are nearly equal.
    """
    a, b, c, d = s[..., 0, 0], s[..., 0, 1], s[..., 1, 0], s[..., 1, 1]
    determinant = a * d - b * c
    size = jnp.abs(determinant)
    phase = jnp.where(size > 0, determinant / jnp.where(size > 0, size, 1), 1)
    d, c = phase * d.conj(), phase * c.conj()
    both, apart = (jnp.sqrt(jnp.abs(a + k * d) ** 2 + jnp.abs(b - k * c) ** 2) for k in (1, -1))
    large = (both + apart) / 2
    return large, size / jnp.where(large > 0, large, 1), apart


class Affine(NamedTuple):
    """Matrices at f frequencies whose e free entries are affine in c: m_e + G_e c_e, c standard normal a priori.

    Attributes:
        mean: m, (e, 2 f), real parts and then imaginary parts.
        factor: G, (e, 2 f, q), with orthogonal columns (of zeros beyond the rank).
        variance: squared norms of the columns, (e, q).
        copies: at how many places each entry stands, (e,).
        place: the entry at each place, (p, p).
    """

    mean: Array
    factor: Array
    variance: Array
    copies: Array
    place: Array

    def matrices(self, c: Array) -> Array:
        """(f, p, p) for c (e, q)."""
        parts = self.mean + jnp.einsum("efq,eq->ef", self.factor, c, precision="highest")
        real, imag = jnp.split(parts, 2, -1)
        return jnp.moveaxis((real + 1j * imag)[self.place], -1, 0)

    def transposed(self, s: Array) -> Array:
        """G^T of the sum over the places of each entry, (e, q), for s (f, p, p)."""
        flat = jnp.moveaxis(s, 0, -1).reshape(-1, len(s))
        parts = jnp.concatenate([flat.real, flat.imag], -1)
        summed = jax.ops.segment_sum(parts, self.place.reshape(-1), len(self.copies))
        return jnp.einsum("efq,ef->eq", self.factor, summed, precision="highest")


def project(law: Affine, c: Array, limit: float, weight: float, iterations: int) -> tuple[Array, Array]:
    """The c' nearest to c whose matrices have singular values of at most `limit`, and what is left to it.

    minimize |c' - c|^2 / 2 subject to matrices(c') = Z, Z in the convex set, by the alternating direction method of
    multipliers: Z is clipped, and in c' the matrix to invert is diagonal, because the columns of G are orthogonal.

    Args:
        weight: of the penalty, relative to the mean variance of a direction.

    Returns:
        c' (e, q), and the largest |matrices(c') - Z| of the last iteration.
    """
    rho = weight * c.size / jnp.maximum(jnp.sum(law.variance), jnp.finfo(c.dtype).tiny)
    copies = law.copies[:, None]
    constant = law.transposed(law.matrices(jnp.zeros_like(c)))

    def step(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        now, dual, _ = state
        free = law.matrices(now) + dual
        clipped = clip_singular_values(free, limit)
        dual = free - clipped  # the part that the constraint pushes back
        pulled = law.transposed(clipped - dual) - constant
        now = (c + rho * pulled) / (1 + rho * copies * law.variance)
        return now, dual, jnp.max(jnp.abs(law.matrices(now) - clipped))

    zero = jnp.zeros_like(law.matrices(c))
    now, _, left = jax.lax.fori_loop(0, iterations, step, (c, zero, jnp.zeros((), c.dtype)))
    return now, left


def elliptical_slice(
    law: Affine, c: Array, normal: Callable[[Array], Array], uniform: Callable[[Array, Array], Array], steps: int
) -> tuple[Array, Array, Array]:
    """Steps of elliptical slice sampling of c standard normal, given that matrices(c) are passive.

    Each goes to a random place on an ellipse through c and a normal draw, on a bracket that shrinks around c until the
    place is passive. It leaves the truncated normal law as it is.

    Args:
        c: a passive start, (e, q).
        normal: normal(step), a standard normal draw (e, q).
        uniform: uniform(step, tried), a number in [0, 1).

    Returns:
        The last c; the largest singular value after each step, (steps,); and how many places were tried, (steps,).
    """

    def largest(c: Array) -> Array:
        return jnp.max(largest_singular_value(law.matrices(c)))

    def step(c: Array, index: Array) -> tuple[Array, tuple[Array, Array]]:
        other = normal(index)
        angle = 2 * jnp.pi * uniform(index, jnp.zeros((), jnp.int32))

        def at(angle: Array) -> Array:
            return c * jnp.cos(angle) + other * jnp.sin(angle)

        def outside(state: tuple[Array, ...]) -> Array:
            return (state[3] > 1) & (state[4] < TRIES)

        def shrink(state: tuple[Array, ...]) -> tuple[Array, ...]:
            angle, low, high, _, tried = state
            low, high = jnp.where(angle < 0, angle, low), jnp.where(angle < 0, high, angle)
            angle = low + (high - low) * uniform(index, tried)
            return angle, low, high, largest(at(angle)), tried + 1

        first = (angle, angle - 2 * jnp.pi, angle, largest(at(angle)), jnp.ones((), jnp.int32))
        angle, _, _, found, tried = jax.lax.while_loop(outside, shrink, first)
        moved = found <= 1  # else the bracket has shrunk to nothing, and c stays
        return jnp.where(moved, at(angle), c), (jnp.where(moved, found, largest(c)), tried)

    c, (largests, tried) = jax.lax.scan(step, c, jnp.arange(steps))
    return c, largests, tried
