"""Rows that are read some at a time, and their moments: are they standard normal, and which subspace do labels need?"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array
from jaxsamp_kernels.hermite import stein_moment4, stein_moments

NUMBERS = 2_000_000  # numbers of x in memory at once
THRESHOLD = 1.3  # eigenvalues of the second moment above which a direction counts, in units of their noise
ALARM = 5.5  # standard errors from those of standard normal rows at which a statistic is said


class Rows(NamedTuple):
    """The rows x (n, d) and labels y (n,) from `start` to `stop`, arrays or memory maps, `size` at once."""

    x: Any
    y: Any
    start: int
    stop: int
    size: int

    def __len__(self) -> int:
        return self.stop - self.start

    def chunks(self, size: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """x and y in float64, in order."""
        size = self.size if size is None else size
        for low in range(self.start, self.stop, size):
            high = min(low + size, self.stop)
            x, y = np.asarray(self.x[low:high], float), np.asarray(self.y[low:high], float)
            for name, block in (("x", x), ("y", y)):
                if not np.isfinite(block).all():
                    row = low + int(np.argwhere(~np.isfinite(block))[0][0])
                    raise ValueError(f"{name} must be finite; got {np.asarray(getattr(self, name)[row])} in row {row}.")
            yield x, y

    def first(self, number: int) -> "Rows":
        """The first of them, in memory."""
        high = min(self.start + number, self.stop)
        x, y = np.asarray(self.x[self.start : high], float), np.asarray(self.y[self.start : high], float)
        return Rows(x, y, 0, len(y), self.size)


class Summary(NamedTuple):
    """Means over n rows: of x, x x^T, |x|^4, the x_i^4 averaged over i, y, y^2 and y x."""

    n: int
    mean: np.ndarray
    second: np.ndarray
    radius: float
    fourth: float
    label: float
    square: float
    back: np.ndarray

    def linear(self) -> tuple[np.ndarray, float]:
        """The least squares of y on x and 1."""
        centered = self.second - np.outer(self.mean, self.mean)
        slope = np.linalg.lstsq(centered, self.back - self.label * self.mean, rcond=1e-12)[0]
        return slope, float(self.label - slope @ self.mean)

    def departures(self) -> dict[str, float]:
        """How many standard errors each statistic is from that of standard normal rows.

        Of the mean and covariance the chi-squared statistics n |mean|^2 and n |S - I|^2 / 2, made normal by their cube
        roots (below zero they are nearer than by chance, as those of whitened rows are); and the sizes of what E |x|^4
        is off d (d + 2), with variance 8 d (d + 2)(d + 3), and E x_i^4 off 3, with variance 96.
        """
        n, d = self.n, len(self.mean)
        return {
            "mean": _normal(n * np.sum(self.mean**2), float(d)),
            "covariance": _normal(n * np.sum((self.second - np.eye(d)) ** 2) / 2, d * (d + 1) / 2),
            "E |x|^4": float(abs(self.radius - d * (d + 2)) / np.sqrt(8 * d * (d + 2) * (d + 3) / n)),
            "E x_i^4": float(abs(self.fourth - 3) / np.sqrt(96 / (n * d))),
        }


def _normal(square: float, freedom: float) -> float:
    """A chi-squared statistic as one of a standard normal law (Wilson and Hilferty)."""
    part = 2 / (9 * freedom)
    return float(((square / freedom) ** (1 / 3) - 1 + part) / np.sqrt(part))


def summary(rows: Rows) -> Summary:
    """The means that are needed before any other, in one pass."""
    n, d = len(rows), rows.x.shape[1]
    mean, second, back, numbers = np.zeros(d), np.zeros((d, d)), np.zeros(d), np.zeros(4)
    for x, y in rows.chunks():
        square = np.square(x)
        mean, second, back = mean + x.sum(0), second + x.T @ x, back + y @ x
        numbers += np.sum(square.sum(1) ** 2), np.sum(square**2) / d, y.sum(), y @ y
    radius, fourth, label, total = (float(value) for value in numbers / n)
    return Summary(n, mean / n, second / n, radius, fourth, label, total, back / n)


class Subspace(NamedTuple):
    """Orthonormal directions that the labels need, (r, d); eigenvalues of the second moment by size; their noise."""

    basis: np.ndarray
    values: np.ndarray
    noise: float


def subspace(
    rows: Rows, rest: Callable[[np.ndarray, np.ndarray], np.ndarray], k: int, rank: int | None, directions: np.ndarray
) -> Subspace:
    """The directions in which `rest(x, y)`, labels without their mean and linear part, has second or fourth moments.

    Those of the second moment are eigenvectors with |eigenvalue| > 1.3 nu, at most k (or `rank` of them), where
    nu = 2 sd sqrt(d / n) is the edge of the spectrum of noise. If they are fewer than k, k more come from the mean of
    squares of the fourth moment, contracted with each of the random unit `directions`.
    """
    d = rows.x.shape[1]
    second, square = _mean(rows, rest, _second)
    noise = 2 * float(np.sqrt(square * d / len(rows)))
    values, vectors = np.linalg.eigh(second)
    order = np.argsort(-np.abs(values))
    values, vectors = values[order], vectors[:, order]
    found = min(k, int(np.sum(np.abs(values) > THRESHOLD * noise)) if rank is None else rank)
    basis = vectors[:, :found]
    if found < min(k, d):
        with_all = jnp.asarray(directions, jnp.result_type(float))
        fourth = _mean(rows, rest, partial(_fourth, with_all))[0]
        more = np.linalg.eigh(np.einsum("gij,gjk->ik", fourth, fourth))[1][:, ::-1][:, : min(k, d)]
        left, size, _ = np.linalg.svd(np.concatenate([basis, more], 1), full_matrices=False)
        basis = left[:, size > 1e-6]
    return Subspace(basis.T, np.abs(values), noise)


@jax.jit
def _second(x: Array, y: Array) -> list[Array]:
    """The second moment, and the mean of y^2."""
    return [stein_moments(x, y, 2), jnp.mean(y**2)]


@jax.jit
def _fourth(directions: Array, x: Array, y: Array) -> list[Array]:
    """The contractions of the fourth moment."""
    return [jax.lax.map(partial(stein_moment4, x, y), directions)]


def _mean(
    rows: Rows, rest: Callable[[np.ndarray, np.ndarray], np.ndarray], of: Callable[[Array, Array], list[Array]]
) -> list[Any]:
    """The means of what `of` says about parts of the rows, in float64; all parts are filled up to one size."""
    total, size = [], min(rows.size, len(rows))
    for x, y in rows.chunks(size):
        lacks = size - len(y)  # rows with label 0 add nothing to a sum
        x, y = np.pad(x, ((0, lacks), (0, 0))), np.pad(rest(x, y), (0, lacks))
        made = of(jnp.asarray(x, jnp.result_type(float)), jnp.asarray(y, jnp.result_type(float)))
        parts = [np.asarray(part, float) * (size / len(rows)) for part in made]
        total = [old + new for old, new in zip(total, parts, strict=True)] if total else parts
    return total
