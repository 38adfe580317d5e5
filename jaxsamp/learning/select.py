"""The coordinates that a label depends on, where the coordinates depend on each other: `select`."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from jaxsamp.core import checks, shown
from jaxsamp.learning import select_statistics as statistics
from jaxsamp.learning.spins import fit_spins
from jaxsamp.learning.spins_data import SpinRows


class Selection(NamedTuple):
    """What `select` returns.

    Attributes:
        indices: the coordinates that the label depends on, increasing.
        path: the coordinates in the order in which they were found; the last is one that was not taken, if the search
            ended there. `indices` are those of them that the pruning left.
        z_path: the largest |z| over cells of each of `path`.
        limits: what each of `z_path` had to exceed.
        table: mean label by the values of `indices`, (2^k,), in the order of `jaxsamp.discrete.states(k)`; each is
            shrunk to the mean of all labels by the weight of one row.
        control: largest |z| of labels that cannot depend on a coordinate, which must be below `control_limit`:
            shuffled labels, and products of as many other coordinates as the model of them has in a term.
        control_limit: 5, or the quantile for the number of controls if that is larger.
        calibrated: whether control < control_limit. If not, the model of the coordinates is wrong and so may be the
            selection.
        ended: why the search ended: "limit", no further |z| exceeded it; "max_size"; or "rows", no cell had enough.
    """

    indices: tuple[int, ...]
    path: tuple[int, ...]
    z_path: np.ndarray
    limits: np.ndarray
    table: np.ndarray
    control: float
    control_limit: float
    calibrated: bool
    ended: str

    def predict(self, x: Any) -> np.ndarray:
        """The entry of the table for each row of x, (m, n) of -1 and +1 or of 0 and 1, (m,)."""
        return self.table[statistics.cells(np.asarray(x), list(self.indices))]

    def __repr__(self) -> str:
        return shown.line(self)


def select(
    x: Any,
    y: Any,
    unlabeled: Any = None,
    max_size: int = 6,
    alpha: float = 1e-4,
    *,
    min_rows: int = 400,
    order: int = 2,
    conditional_mean: Callable[[Any], Any] | None = None,
) -> Selection:
    """The few coordinates of spins x that the mean of y depends on, although all coordinates depend on each other.

    T_i = E[ y (x_i - E[x_i | x_-i]) ] is zero if the mean of y given x does not depend on x_i; and so is it where other
    coordinates are held fixed, and with the mean of y there subtracted. With r the label less its mean in a cell of
    coordinates that were found before, and e_i = x_i - E[x_i | x_-i], the statistic is

        z_i = |sum r e_i| / sqrt( sum r^2 (1 - E[x_i | x_-i]^2) ),

    whose terms have mean zero and known probabilities given all else. Sums of few rare terms are not near normal, so
    where the largest is above 3 it is replaced by the z of the bound of Chernoff, z^2 / 2 = max_t (t |sum r e_i| -
    log E e^(t sum r e_i)). The coordinate with the largest z_i over all cells of at least `min_rows` rows is taken,
    until none is above the normal quantile of alpha / (2 (n - k) 2^k), k the number found. In the end a coordinate is
    dropped whose z_i given the others is below that of alpha / 2^k. E[x_i | x_-i] is that of a model of the
    coordinates, fitted by `jaxsamp.learning.fit_spins` to rows that are not used otherwise: unlabeled ones, or of two
    halves of the rows, even and odd, each to the other.

    A label whose T is zero is not found, such as the parity of an even number of spins in a law without fields. No
    method finds a parity of k coordinates in much less than n^k time. Coordinates are found to k = log2(m / min_rows).

    Args:
        x: (m, n), of -1 and +1, or of 0 and 1, which are read as 2 x - 1.
        y: labels, (m,), any numbers: classes as two numbers.
        unlabeled: other samples of x, (M, n), from which the model of the coordinates is fitted.
        max_size: most coordinates that are found.
        alpha: probability that a coordinate is taken which does not matter, in each of at most max_size + 1 steps.
        min_rows: least rows of a cell whose z counts; the search does not look at smaller ones.
        order: of the model of the coordinates; see `fit_spins`.
        conditional_mean: E[x_i | x_-i] as a function of rows, (m, n) -> (m, n), instead of a fitted model:
            `law.conditional_mean`. Then `order` is that of the law, for the controls alone.

    Returns:
        A `Selection`; a warning says so if it is not calibrated.

    Raises:
        ValueError: x is not of spins or is constant in a column, y does not fit it or is constant, or a setting is out
            of range.

    Source: Chandrasekaran and Klivans, "Learning Juntas under Markov Random Fields", arXiv 2506.00764 (the two phases);
    the statistic (a generalized covariance measure, arXiv 1804.07203), the search and the controls are this library's.
    """
    for name, value, least in (("max_size", max_size, 1), ("min_rows", min_rows, 2), ("order", order, 2)):
        checks.at_least(name, value, least)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1; got {alpha}.")
    data = SpinRows(np.asarray(x))
    spins = next(data.chunks(data.rows))[0]
    labels = _labels(y, data.rows)
    if unlabeled is not None and conditional_mean is not None:
        raise ValueError("conditional_mean must be None with unlabeled samples, to which a model of them is fitted.")
    means = _means(spins, unlabeled, order, conditional_mean)
    found, path, z_path, limits, ended = _greedy(spins, means, labels, max_size, alpha, min_rows)
    found = _pruned(spins, means, labels, found, alpha, min_rows)
    control, control_limit = statistics.controls(spins, means, labels, order)
    if control >= control_limit:
        warnings.warn(
            f"The selection is not calibrated: |z| = {control:.1f}, above {control_limit:.1f}, of a label that cannot "
            f"depend on the coordinate. The model of the coordinates does not fit them: raise order = {order}, or give "
            "a better conditional_mean.",
            stacklevel=2,
        )
    return Selection(
        tuple(sorted(found)), tuple(path), np.array(z_path), np.array(limits), _table(spins, labels, sorted(found)),
        control, control_limit, control < control_limit, ended,
    )  # fmt: skip


def dependence(x: Any, y: Any, conditional_mean: Callable[[Any], Any], weights: Any = None) -> np.ndarray:
    """T_i = E[ y (x_i - E[x_i | x_-i]) ] of each coordinate, (n,), over rows x (m, n), or states with their weights."""
    weights = np.full(len(x), 1 / len(x)) if weights is None else np.asarray(weights)
    return (weights * np.asarray(y)) @ (np.asarray(x) - np.asarray(conditional_mean(jnp.asarray(x))))


def _labels(y: Any, rows: int) -> np.ndarray:
    labels = checks.finite("y", y).astype(float)
    if labels.shape != (rows,):
        raise ValueError(f"y must have shape (m,) = ({rows},), as the rows of x; got {labels.shape}.")
    if np.ptp(labels) == 0:
        raise ValueError(f"y must vary; got {labels[0]:g} in every row.")
    return labels


def _means(spins: np.ndarray, unlabeled: Any, order: int, given: Callable[[Any], Any] | None) -> np.ndarray:
    """E[x_i | x_-i] of each row, by a model that has not seen it."""
    if given is not None:
        means = np.asarray(given(jnp.asarray(spins)))
        if means.shape != spins.shape:
            raise ValueError(f"conditional_mean must return an array of x's shape {spins.shape}; got {means.shape}.")
        if np.abs(checks.finite("conditional_mean(x)", means)).max() > 1:
            raise ValueError(f"conditional_mean must be of numbers in [-1, 1]; got {np.abs(means).max():g}.")
        return means.astype(float)
    if unlabeled is not None:
        others = np.asarray(unlabeled)
        if others.ndim != 2 or others.shape[1] != spins.shape[1]:
            raise ValueError(f"unlabeled must have shape (M, {spins.shape[1]}), as x; got {others.shape}.")
        return np.asarray(fit_spins(others, order).model.conditional_mean(jnp.asarray(spins)), float)
    means = np.zeros(spins.shape)
    for half in (0, 1):
        model = fit_spins(spins[1 - half :: 2], order).model
        means[half::2] = np.asarray(model.conditional_mean(jnp.asarray(spins[half::2])))
    return means


def _greedy(
    spins: np.ndarray, means: np.ndarray, labels: np.ndarray, max_size: int, alpha: float, min_rows: int
) -> tuple[list[int], list[int], list[float], list[float], str]:
    """Coordinates that were found, and the search: the coordinate, largest |z| and limit of each step, and its end."""
    n = spins.shape[1]
    found, path, z_path, limits = [], [], [], []
    while len(found) < min(max_size, n):
        others = [i for i in range(n) if i not in found]
        best = statistics.largest(spins, means, labels, found, others, min_rows)
        if best is None:
            return found, path, z_path, limits, "rows"
        for values, value in zip((path, z_path), best, strict=True):
            values.append(value)
        limits.append(float(norm.isf(alpha / (2 * len(others) * 2 ** len(found)))))
        if z_path[-1] < limits[-1]:
            return found, path, z_path, limits, "limit"
        found.append(path[-1])
    return found, path, z_path, limits, "max_size"


def _pruned(
    spins: np.ndarray, means: np.ndarray, labels: np.ndarray, found: list[int], alpha: float, min_rows: int
) -> list[int]:
    """Those of `found` that matter given the others."""
    limit, kept = norm.isf(alpha / 2 / 2 ** (len(found) - 1)), []
    for i in found:
        best = statistics.largest(spins, means, labels, [j for j in found if j != i], [i], min_rows)
        if best is None or best[1] >= limit:
            kept.append(i)
    return kept


def _table(spins: np.ndarray, labels: np.ndarray, found: list[int]) -> np.ndarray:
    """Mean labels of the cells of `found`, each with one row more that has the mean of all."""
    cells, size = statistics.cells(spins, found), 2 ** len(found)
    sums, counts = np.bincount(cells, labels, size), np.bincount(cells, minlength=size)
    return (sums + labels.mean()) / (counts + 1)
