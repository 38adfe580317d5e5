"""Eigenvalues from the decay of signals under many uses, whatever preparation and measurement lose."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import xlogy
from scipy.stats import chi2, norm

from jaxsamp.quantum.pauli_intervals import Intervals
from jaxsamp.quantum.pauli_shots import DecayShots

SEEN = 3  # standard errors that a signal must be above zero
CELLS, FINE = 50, 20  # of the grid of eigenvalues from 0 to 1, and of its last cell, which large depths divide
GOLDEN = (np.sqrt(5) - 1) / 2
SECTIONS, HALVINGS, OF_SIGNAL = 40, 30, 25  # steps to the maximum of a profile, to its crossing, and to a signal

Profile = Callable[[np.ndarray], np.ndarray]


def of_decays(data: DecayShots, z: float) -> Intervals:
    """A fit of A lambda^m to the mean sign at each depth m, for each string, by maximum likelihood.

    The estimate leaves A free, as far as the signal of the first depth is at most one, because a bound would give it a
    bias where A is nearly 1; its standard error is from the Fisher information of both. Where fewer than two depths,
    from the first on, show a signal, the estimate is NaN. The interval is that of the profile likelihood: all lambda
    that some A from 0 to 1 makes likely enough, for one degree of freedom, or for two where the estimate is NaN,
    because A too is then not known. An estimate outside of the interval is moved to its end.
    """
    depths, shots = np.asarray(data.depths, float)[:, None], data.shots
    positives = np.ascontiguousarray(np.asarray(data.positives).T)  # (depths, k): sums of few long rows are fast
    means, grid = 2 * positives / shots - 1, _grid(depths[-1, 0])
    known = np.logical_and.accumulate(np.abs(means) > SEEN / np.sqrt(shots)).sum(0) >= 2
    bounded, free = (partial(_deviance, depths, positives, shots, bound) for bound in (True, False))
    limit = np.where(known, z**2, chi2.isf(2 * norm.sf(z), 2))
    low, high = _likely(bounded, grid, limit)
    best, _, _ = _likeliest(free, grid)
    error = np.where(known, _error(depths, means, shots, best), np.inf)
    value = np.where(known, np.clip(best, low, high), np.nan)
    return Intervals(np.asarray(data.paulis), value, error, low, high, data.qubits)


def _grid(most: float) -> np.ndarray:
    """Eigenvalues from -1 to 1, closer together near both ends, where the largest depth sees small differences."""
    near = 1 - np.geomspace(1 / CELLS, 1 / (CELLS * most), FINE)
    half = np.concatenate([np.linspace(0, 1, CELLS + 1)[:-1], near[1:], [1.0]])
    return np.concatenate([-half[:0:-1], half])


def _likeliest(profile: Profile, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The eigenvalue of least deviance for each string, its deviance, and those on the grid, (k, points).

    Golden sections between the neighbors of the best point of the grid.
    """
    on_grid = np.stack([profile(value) for value in grid], 1)
    place = on_grid.argmin(1)
    low, high = grid[np.maximum(place - 1, 0)], grid[np.minimum(place + 1, len(grid) - 1)]
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = profile(left), profile(right)
    for _ in range(SECTIONS):
        down = at_left <= at_right
        low, high = np.where(down, low, left), np.where(down, right, high)
        new = np.where(down, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_new = profile(new)
        left, right = np.where(down, new, right), np.where(down, left, new)
        at_left, at_right = np.where(down, at_new, at_right), np.where(down, at_left, at_new)
    found = (low + high) / 2
    at_found, at_grid = profile(found), on_grid.min(1)
    better = at_found < at_grid  # else it is at an end of the grid
    return np.where(better, found, grid[place]), np.where(better, at_found, at_grid), on_grid


def _likely(profile: Profile, grid: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and largest eigenvalue whose deviance is within `limit` of the least one."""
    best, least, on_grid = _likeliest(profile, grid)
    most = least + limit
    inside, ends = on_grid <= most[:, None], []
    for outward in (-1, 1):
        points = np.sort(outward * grid)
        near = np.maximum(outward * best, np.where(inside, outward * grid, -np.inf).max(1))
        far = points[np.minimum(np.searchsorted(points, near, "right"), len(points) - 1)]  # the next one of the grid
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            within = profile(outward * middle) <= most
            near, far = np.where(within, middle, near), np.where(within, far, middle)
        ends.append(outward * np.where(profile(outward * far) <= most, far, near))
    return ends[0], ends[1]


def _error(depths: np.ndarray, means: np.ndarray, shots: int, value: np.ndarray) -> np.ndarray:
    """Standard errors of eigenvalues that are fitted together with the signal of the first depth."""
    powers, tiny = _powers(depths, value), np.finfo(float).tiny
    first = _first(powers, means)
    # a signal of 1 has no variance, but shots that all agree do not show that it is 1
    weights = shots / np.maximum(1 - (first * powers) ** 2, 1 / shots)
    later = depths - depths[0]
    by_value = first * np.sign(value) * later * value ** np.maximum(later - 1, 0)
    share = (weights * powers * by_value).sum(0) / np.maximum((weights * powers**2).sum(0), tiny)
    left = (weights * (by_value - share * powers) ** 2).sum(0)  # of the information of the eigenvalue
    return 1 / np.sqrt(np.maximum(left, tiny))


def _powers(depths: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Signals, (depths, k), in units of the size of that of the first depth, which is odd."""
    return np.sign(values) * values ** (depths - depths[0])


def _first(powers: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The likeliest size from 0 to 1 of the first signal, by bisection: the likelihood is concave in it."""
    low, high = np.zeros(means.shape[1]), np.ones(means.shape[1])
    for _ in range(OF_SIGNAL):
        middle = (low + high) / 2
        fitted = middle * powers
        rises = (powers * (means - fitted) / (1 - fitted**2)).sum(0) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return high


def _deviance(depths: np.ndarray, positives: np.ndarray, shots: int, bound: bool, values: Any) -> np.ndarray:
    """-2 log likelihood of an eigenvalue for each string, with its likeliest A: at most 1, if there is a bound."""
    values = np.broadcast_to(values, positives.shape[1])
    powers = _powers(depths, values)
    first = _first(powers, 2 * positives / shots - 1)
    if bound:
        first = np.minimum(first, np.abs(values) ** depths[0])
    up = np.clip((1 + first * powers) / 2, 1e-12, 1 - 1e-12)
    return -2 * (xlogy(positives, up) + xlogy(shots - positives, 1 - up)).sum(0)
