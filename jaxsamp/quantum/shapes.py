"""The law of the Young diagram that Schur-Weyl sampling of t copies of a state measures."""

from collections.abc import Iterator
from math import lgamma
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.tree_util import Partial

from jaxsamp import running
from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike, Data, PRNGKey
from jaxsamp.quantum.states import TOLERANCE
from jaxsamp_kernels import young

MOST = 40  # copies up to which determinants of Jacobi and Trudi are right in float64


def partitions(t: int, d: int) -> np.ndarray:
    """All Young diagrams of t boxes in at most d rows, (m, d) of int32, from the longest first row.

    Raises:
        ValueError: t or d is below 1.
    """
    checks.at_least("t", t, 1)
    checks.at_least("d", d, 1)
    return np.array([*_diagrams(t, t, d)], np.int32)


def _diagrams(boxes: int, longest: int, rows: int) -> Iterator[tuple[int, ...]]:
    if rows == 0:
        if boxes == 0:
            yield ()
        return
    for first in range(min(boxes, longest), -(-boxes // rows) - 1, -1):
        for rest in _diagrams(boxes - first, first, rows - 1):
            yield (first, *rest)


def schur_weyl(eigenvalues: Data, t: int) -> tuple[np.ndarray, np.ndarray]:
    """The law of the diagram of t copies of a state, dim(S_lambda) s_lambda(p), as a table.

    Args:
        eigenvalues: p of the state, (d,), not negative with sum 1.
        t: number of copies, at most 40. The Schur polynomial s_lambda is det(h_{lambda_i - i + j}(p_j, ..., p_d)) in
            float64, which neither equal eigenvalues nor nearly pure states disturb.

    Returns:
        The diagrams (m, d) and their probabilities (m,), float64.

    Raises:
        ValueError: p is not a law, or t is not from 1 to 40.
    """
    p = _eigenvalues(eigenvalues)
    if checks.at_least("t", t, 1) > MOST:
        raise ValueError(f"t must be at most {MOST} for an exact law; got {t}. sample_partitions takes any t.")
    shapes = partitions(t, len(p))
    return shapes, np.exp(_log_dimensions(shapes)) * np.maximum(_schur(shapes, p), 0)


def _eigenvalues(got: Any) -> np.ndarray:
    p = checks.finite("eigenvalues", got).astype(float)
    if p.ndim != 1 or not len(p) or p.min() < 0 or abs(p.sum() - 1) > TOLERANCE:
        raise ValueError(
            f"eigenvalues must be numbers (d,) that are not negative with sum 1; got shape {p.shape}, least "
            f"{p.min(initial=0):.3g}, sum {p.sum():.6g}."
        )
    return p / p.sum()


def _schur(shapes: np.ndarray, p: np.ndarray) -> np.ndarray:
    """s_lambda(p) of each diagram, by the determinant of complete symmetric polynomials.

    Column j may leave out p_1 to p_{j - 1}: h_k without p_1 is h_k - p_1 h_{k-1}, a difference of neighboring columns.
    With the largest numbers left out first, and rows and columns from last to first, all pivots are sums of positive
    terms, where the determinant of all of p loses every digit for a nearly pure state.
    """
    t, d = int(shapes[0].sum()), len(p)
    h = np.zeros((d, t + 1))  # row a: of the a + 1 smallest
    h[:, 0] = 1
    for a, x in enumerate(np.sort(p)):  # h_k(..., x) = h_k(...) + x h_{k-1}(..., x)
        for k in range(1, t + 1):
            h[a, k] = (h[a - 1, k] if a else 0) + x * h[a, k - 1]
    column = np.arange(d)
    index = shapes[:, ::-1, None] + column[:, None] - column
    held = (index >= 0) & (index <= t)
    return np.linalg.det(np.where(held, h[column, np.clip(index, 0, t)], 0.0))


def _log_dimensions(shapes: np.ndarray) -> np.ndarray:
    """log dim(S_lambda), of standard tableaux: t! prod_{i<j} (l_i - l_j) / prod l_i! with l_i = lambda_i + d - i."""
    d = shapes.shape[1]
    beads = (shapes + np.arange(d - 1, -1, -1)).astype(float)
    i, j = np.triu_indices(d, 1)
    factorials = np.vectorize(lgamma)(beads + 1).sum(1)
    return lgamma(shapes[0].sum() + 1) + np.log(beads[:, i] - beads[:, j]).sum(1) - factorials


def draw_partition(key: Array, eigenvalues: Array, t: ArrayLike) -> Array:
    """One diagram, (d,): t independent letters of law p, inserted one after another; any t, without compiling anew."""
    d, edges = len(eigenvalues), jnp.cumsum(eigenvalues)

    def insert(k: Array, table: Array) -> Array:
        u = jax.random.uniform(jax.random.fold_in(key, k), (), edges.dtype)
        return young.rsk_insert(table, jnp.sum(u * edges[-1] >= edges[:-1]))

    return young.row_lengths(lax.fori_loop(0, t, insert, jnp.zeros((d, d), jnp.int32)))


def sample_partitions(
    key: PRNGKey,
    eigenvalues: Data,
    t: int,
    n: int,
    *,
    mesh: Mesh | None = None,
    microbatch: int | None = None,
    progress: bool = False,
) -> Array:
    """Draw n diagrams of t copies, (n, d): the shape of t letters of law p after Robinson-Schensted-Knuth insertion.

    Diagram i depends on fold_in(key, i). The work grows like n t d^2.

    Args:
        key: a typed key.
        eigenvalues: p, (d,), not negative with sum 1.
        t: number of copies.
        n: number of diagrams.
        mesh, microbatch, progress: as for `jaxsamp.running.rows`.

    Raises:
        ValueError: p is not a law, or a count is below 1.
        TypeError: the key is not a typed key.

    Source: O'Donnell and Wright, "Quantum spectrum testing", arXiv 1501.05028.
    """
    p = jnp.asarray(_eigenvalues(eigenvalues), float)
    checks.at_least("t", t, 1)
    one = Partial(_one, p, jnp.asarray(t))
    return running.rows(key, one, n, mesh=mesh, microbatch=microbatch, progress=progress)


def _one(eigenvalues: Array, t: Array, key: Array, _: None) -> Array:
    return draw_partition(key, eigenvalues, t)


def keyl_error(eigenvalues: Data, t: int) -> float:
    """E ||rho_hat - rho||_F^2 of the debiased estimate of one measurement of t copies by `Keyl`, exact.

    It is E sum_i donate(lambda)_i^2 / t^2 - sum_i p_i^2: the law of the diagram says it all, because the frame does not
    change the Frobenius norm and the estimate has no bias.

    Args:
        eigenvalues: p of the state, (d,), not negative with sum 1.
        t: number of copies, at most 40.

    Raises:
        ValueError: p is not a law, or t is not from 1 to 40.
    """
    shapes, chance = schur_weyl(eigenvalues, t)
    donated = np.asarray(young.donate(shapes), float)  # pyright: ignore[reportArgumentType]  (NumPy will do)
    return float(chance @ (donated**2).sum(1) / t**2 - (_eigenvalues(eigenvalues) ** 2).sum())


def linear_response(t: int, d: int) -> float:
    """c(t, d): what Keyl's estimator of t copies shows of a small deviation from I / d, to first order.

        c = d / (t (d^2 - 1)) (E sum_i lambda_i^2 - t^2 / d), with lambda of t copies of I / d

    Raises:
        ValueError: t is not from 1 to 40, or d below 2.
    """
    checks.at_least("d", d, 2)
    shapes, chance = schur_weyl(np.full(d, 1 / d), t)
    return float(d / (t * (d**2 - 1)) * (chance @ (shapes.astype(float) ** 2).sum(1) - t**2 / d))
