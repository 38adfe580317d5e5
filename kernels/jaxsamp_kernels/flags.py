"""The heat bath of Keyl's frames: unitary U with a density in Haar's measure, for m_k = lambda_k - lambda_{k+1} >= 0,

    prod_k pm_k(U^dag rho U)^m_k,    pm_k the k-th leading principal minor.

The minors are those of R^dag R for the triangular R of sqrt(rho) U = Q R. Mixing the columns k and k + 1 of U by a
unitary matrix changes pm_k alone, as v^dag A v for the new first direction v in C^2, with A = B^dag B of the 2 x 2
block B of R at k. So v can be drawn from its exact law, and R follows by one rotation of two rows: O(d) a move, none is
rejected.
"""

import jax.numpy as jnp
from jax import Array, lax

EQUAL = 1e-6  # of two eigenvalues, relative: below, the law of v is uniform to all digits


def bloch_cosine(u: Array, log_ratio: Array, power: Array) -> Array:
    """A cosine z in [-1, 1] of density ((1 + r z) / 2)^m, up to a constant, from u uniform in [0, 1).

    Args:
        u: uniform numbers.
        log_ratio: log((1 - r) / (1 + r)) <= 0: of the smaller to the larger eigenvalue.
        power: m + 1.
    """
    # z = (2 (a + u (b - a))^(1 / power) - 1) / r with a, b = ((1 -+ r) / 2)^power, which would overflow and cancel.
    apart = -jnp.expm1(log_ratio)  # 2 r / (1 + r)
    near = apart < EQUAL
    grown = jnp.log1p((1 - u) * jnp.expm1(power * log_ratio))
    z = 1 + 2 * jnp.expm1(grown / power) / jnp.where(near, 1, apart)
    return jnp.clip(jnp.where(near, 2 * u - 1, z), -1, 1)


def direction(z: Array, angle: Array) -> Array:
    """The unit vector of C^2 at these polar coordinates of the Bloch sphere, (2,)."""
    phase = lax.complex(jnp.cos(angle), jnp.sin(angle))
    return jnp.stack([jnp.sqrt((1 + z) / 2) + 0 * phase, jnp.sqrt((1 - z) / 2) * phase])


def completed(v: Array) -> Array:
    """The special unitary matrix (2, 2) with the first column v."""
    return jnp.stack([v, jnp.stack([-v[1].conj(), v[0].conj()])], 1)


def heat_bath_move(frame: Array, triangle: Array, k: Array, m: Array, u: Array) -> tuple[Array, Array]:
    """Draw the direction of column k in the plane of columns k and k + 1; returns the frame and its triangle.

    Args:
        frame: U, (d, d).
        triangle: R, (d, d), upper triangular.
        k: from 0 to d - 2.
        m: m_k.
        u: two uniform numbers in [0, 1), (2,).
    """
    rows = lax.dynamic_slice_in_dim(triangle, k, 2, 0)
    block = lax.dynamic_slice_in_dim(rows, k, 2, 1)
    axis, log_ratio = _axis(block)
    turn = _times(axis, completed(direction(bloch_cosine(u[0], log_ratio, m + 1), 2 * jnp.pi * u[1])))
    first = _times(block, turn)[:, 0]
    length = jnp.sqrt(jnp.sum(jnp.abs(first) ** 2))
    first = jnp.where(length > 0, first / jnp.where(length > 0, length, 1), jnp.array([1, 0], first.dtype))
    rows = _times(completed(first).conj().T, rows)
    triangle = _turned(lax.dynamic_update_slice_in_dim(triangle, rows, k, 0), k, turn)
    return _turned(frame, k, turn), jnp.triu(triangle)


def _axis(block: Array) -> tuple[Array, Array]:
    """Eigenvectors of B^dag B for triangular B, the larger first, (2, 2), and the log of the ratio of eigenvalues."""
    tiny = jnp.finfo(block.real.dtype).tiny
    first, second = jnp.sum(jnp.abs(block) ** 2, 0)
    across = jnp.vdot(block[:, 1], block[:, 0])  # row 1, column 0
    apart = first - second
    root = jnp.sqrt(apart**2 + 4 * jnp.abs(across) ** 2)
    larger = jnp.maximum((first + second + root) / 2, tiny)
    # The product of the eigenvalues is |det B|^2, which has no cancellation, unlike first + second - root.
    determinant = jnp.abs(block[0, 0]) / larger * jnp.abs(block[1, 1])
    log_ratio = jnp.minimum(2 * jnp.log(jnp.maximum(determinant, tiny)), 0)
    x = jnp.where(apart >= 0, root + apart + 0j, 2 * across.conj())
    y = jnp.where(apart >= 0, 2 * across, root - apart + 0j)
    length = jnp.sqrt(jnp.abs(x) ** 2 + jnp.abs(y) ** 2)
    known = length > 0
    scale = jnp.where(known, length, 1)
    return completed(jnp.stack([jnp.where(known, x / scale, 1), jnp.where(known, y / scale, 0)])), log_ratio


def _times(a: Array, b: Array) -> Array:
    """a b of small matrices, in one loop with what surrounds it: on CPUs six times as fast as `matmul`."""
    return jnp.sum(a[:, :, None] * b, 1)


def _turned(matrix: Array, k: Array, turn: Array) -> Array:
    """The matrix with columns k and k + 1 mixed."""
    columns = lax.dynamic_slice_in_dim(matrix, k, 2, 1)
    return lax.dynamic_update_slice_in_dim(matrix, _times(columns, turn), k, 1)


def orthonormal(frame: Array) -> Array:
    """The frame without what rounding has added: one Newton step toward the nearest unitary matrix."""
    gram = _times(frame.conj().T, frame)
    return _times(frame, 1.5 * jnp.eye(len(frame), dtype=frame.dtype) - gram / 2)
