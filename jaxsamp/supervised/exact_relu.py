"""The best single ReLU for labeled points in up to three dimensions, exactly."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import null_space

from jaxsamp.core import checks

DIMENSIONS, ROWS = 3, 200
RANK = 1e-13  # of the largest singular value of the rows, below which one is rounding
JITTER = 1e-9  # of rows that are not in general position


class SingleReLU(NamedTuple):
    """A global minimum.

    Attributes:
        weights: w, (d,).
        loss: sum_i (relu(w . x_i) - y_i)^2.
        faces: number of faces of the arrangement that were looked at.
    """

    weights: np.ndarray
    loss: float
    faces: int


def train_single_relu(x: Any, y: Any) -> SingleReLU:
    """min_w sum_i (relu(w . x_i) - y_i)^2, the global minimum.

    The loss is continuous, and quadratic on each face of the arrangement of the planes w . x_i = 0; its minimum is a
    stationary point of one of them. On every face (a set of rows with w . x_i = 0, and the signs of the others) the
    rows with w . x_i > 0 are fitted by least squares within the face's span, and the w of the least loss is taken: each
    is an upper bound, and one of them is the minimum. There are O(m^(d - 1)) faces. In any dimension it is NP-hard.

    Args:
        x: rows, (m, d), d <= 3, m <= 200; a column of ones for a bias counts as one. Rows that are not in general
            position (d of them dependent) are moved by 1e-9 of their norms, in orthonormal coordinates, to find the
            faces; the loss is that of the given rows.
        y: labels, (m,).

    Raises:
        ValueError: d is above 3, m above 200, shapes do not fit, or an entry is not finite.

    Source: Goel, Klivans, Manurangsi and Reichman, "Tight Hardness Results for Training Depth-2 ReLU Networks", arXiv
    2011.13550, for the hardness in high dimension; the enumeration is derived here.
    """
    x, y = checks.finite("x", np.asarray(x, float)), checks.finite("y", np.asarray(y, float))
    if x.ndim != 2 or not 1 <= x.shape[1] <= DIMENSIONS:
        raise ValueError(
            f"x must be (m, d) with d from 1 to {DIMENSIONS}, where all faces can be tried; got {x.shape}."
        )
    if not 1 <= len(x) <= ROWS:
        raise ValueError(f"x must have from 1 to {ROWS} rows; got {len(x)}.")
    if y.shape != (len(x),):
        raise ValueError(f"y must have shape ({len(x)},), one label per row of x; got {y.shape}.")
    # The minimum does not depend on the coordinates; the rank of normal equations would, and a shift of 1e-9.
    units = np.linalg.norm(x, axis=0)
    units = np.where(units > 0, units, 1.0)
    given, (x, back) = x, _orthonormal(x / units)
    placed = x if _general(x) else x + JITTER * np.random.default_rng(0).standard_normal(x.shape)
    best, loss, faces = (np.eye(x.shape[1]), np.zeros(len(x), bool)), float(y @ y), 0
    for basis, actives in _faces(placed):
        faces += len(actives)
        losses = _losses(x, y, basis, actives)
        if losses.min() < loss:
            best, loss = (basis, actives[np.argmin(losses)]), float(losses.min())
    basis, active = best
    w = back @ (basis @ np.linalg.lstsq(x[active] @ basis, y[active])[0]) / units
    return SingleReLU(w, float(np.sum((np.maximum(given @ w, 0) - y) ** 2)), faces)


def _orthonormal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal coordinates z (m, r) of rows x (m, d), and B (d, r) with x B = z."""
    z, sizes, across = np.linalg.svd(x, full_matrices=False)
    rank = max(1, int(np.sum(sizes > RANK * sizes[0])))
    return z[:, :rank], across[:rank].T / np.where(sizes[:rank] > 0, sizes[:rank], 1.0)


def _losses(x: np.ndarray, y: np.ndarray, basis: np.ndarray, actives: np.ndarray) -> np.ndarray:
    """The loss on all rows at the least squares of each set of active rows, by their normal equations."""
    z = x @ basis
    products = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
    grams = (actives @ products).reshape(len(actives), z.shape[1], z.shape[1])
    solved = np.linalg.pinv(grams, rcond=1e-12, hermitian=True) @ (actives @ (z * y[:, None]))[..., None]
    return np.sum((np.maximum(solved[..., 0] @ z.T, 0) - y) ** 2, 1)


def _general(x: np.ndarray) -> bool:
    """Whether any d rows are independent."""
    m, d = x.shape
    size = np.linalg.norm(x, axis=1)
    if not size.all():
        return False
    unit = x / size[:, None]
    return all(
        abs(np.linalg.det(unit[np.array(block)])).min(initial=1) > 1e-12 for block in _blocks(m, min(m, d)) if d <= m
    )


def _blocks(m: int, d: int, size: int = 100_000) -> Iterator[list[tuple[int, ...]]]:
    """All sets of d of m rows, so many at a time."""
    block = []
    for one in combinations(range(m), d):
        block.append(one)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _faces(x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each set of fewer than d rows that are zero: a basis of its span, and the active rows of its faces."""
    m, d = x.shape
    for zeros in range(min(d, m + 1)):
        for chosen in combinations(range(m), zeros):
            rows = list(chosen)
            basis = null_space(x[rows]) if rows else np.eye(d)
            others = np.ones(m, bool)
            others[rows] = False
            cells = _cells(x[others] @ basis)
            actives = np.zeros((len(cells), m), bool)
            actives[:, others] = cells
            yield basis, actives


def _cells(z: np.ndarray) -> np.ndarray:
    """Which rows are positive in each cell of the central arrangement of z (k, d), in general position: (cells, k)."""
    k, d = z.shape
    if d == 1:
        points = np.array([[1.0], [-1.0]])
    elif k == 0:
        points = np.ones((1, d))
    elif d == 2:
        crossing = np.sort(
            np.concatenate([np.arctan2(z[:, 1], z[:, 0]) + s * np.pi / 2 for s in (-1, 1)]) % (2 * np.pi)
        )
        middle = (crossing + np.append(crossing[1:], crossing[0] + 2 * np.pi)) / 2
        points = np.stack([np.cos(middle), np.sin(middle)], 1)
    elif k == 1:
        points = np.concatenate([z, -z])
    else:  # each cell touches a line where two planes cross: around it, both of their signs are free
        pairs = np.array([*combinations(range(k), 2)])
        lines = np.cross(z[pairs[:, 0]], z[pairs[:, 1]])
        around = []
        for side in (1, -1):
            signs = side * lines @ z.T > 0
            for first in (False, True):
                for second in (False, True):
                    signs[np.arange(len(pairs)), pairs[:, 0]] = first
                    signs[np.arange(len(pairs)), pairs[:, 1]] = second
                    around.append(signs.copy())
        _, first = np.unique(np.packbits(np.concatenate(around), axis=1), axis=0, return_index=True)
        return np.concatenate(around)[first]
    return points @ z.T > 0
