"""Eigenvalues from the decay of signals under many uses, whatever preparation and measurement lose."""

import numpy as np
from scipy.special import xlogy

from jaxsamp.quantum.pauli_intervals import Intervals
from jaxsamp.quantum.pauli_shots import DecayShots

SEEN = 3  # standard errors that a signal must be above zero
GRID, HALVINGS, FISHER_STEPS = (
    201,
    30,
    4,
)  # eigenvalues at which a profile is seen first; steps to its crossing, and of A


def of_decays(data: DecayShots, z: float) -> Intervals:
    """A fit of A lambda^m to the mean sign at each depth m, for each string.

    A weighted line through log |mean|, over the depths before the signal is first lost, gives A and lambda; one
    Gauss-Newton step on the means themselves, each weighted by its binomial variance, takes away the bias of the
    logarithm, and its covariance gives the standard error. Where fewer than two depths show a signal, the estimate is
    NaN. The interval is that of the profile likelihood: all lambda that some A from 0 to 1 makes likely enough.
    """
    depths, shots = np.asarray(data.depths, float), data.shots
    means = 2 * np.asarray(data.positives) / shots - 1
    shares = np.logical_and.accumulate(np.abs(means) > SEEN / np.sqrt(shots), axis=1).astype(float)
    known = shares.sum(1) >= 2
    size = np.abs(np.where(shares > 0, means, 1.0))
    weights = shares * size**2 / np.maximum(1 - size**2, 1 / shots)
    weights[~known] = 1.0
    start = _line(depths, np.log(size), weights)
    amplitude, value = np.exp(start[0]), np.exp(start[1]) * np.where(means[:, 0] < 0, -1, 1)
    value, error = _step(depths, means, amplitude[:, None], value[:, None], shots)
    value, error = np.where(known, np.clip(value, -1, 1), np.nan), np.where(known, error, np.inf)
    low, high = _likely(depths, np.asarray(data.positives), shots, value, z**2)
    return Intervals(np.asarray(data.paulis), value, error, low, high, data.qubits)


def _line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercepts and slopes of weighted lines, one a row."""
    total = weights.sum(1)
    x_mean, y_mean = (weights * x).sum(1) / total, (weights * y).sum(1) / total
    off = x - x_mean[:, None]
    slope = (weights * off * y).sum(1) / (weights * off**2).sum(1)
    return y_mean - slope * x_mean, slope


def _step(
    depths: np.ndarray, means: np.ndarray, amplitude: np.ndarray, value: np.ndarray, shots: int
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues after one Gauss-Newton step, and their standard errors."""
    powers = value**depths
    fitted = amplitude * powers
    weights = shots / np.maximum(1 - fitted**2, 1 / shots)
    slopes = np.stack([powers, amplitude * depths * value ** (depths - 1)], -1)
    weighted = weights[..., None] * slopes
    normal = np.swapaxes(weighted, 1, 2) @ slopes
    right = (weighted * (means - fitted)[..., None]).sum(1)
    (a, b), c = normal[:, 0].T, normal[:, 1, 1]
    determinant = np.maximum(a * c - b**2, np.finfo(float).tiny)
    return value[:, 0] + (a * right[:, 1] - b * right[:, 0]) / determinant, np.sqrt(a / determinant)


def _likely(
    depths: np.ndarray, positives: np.ndarray, shots: int, value: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """The least and largest eigenvalue whose deviance, with the best A, is within `limit` of the smallest one."""

    def profile(values: np.ndarray) -> np.ndarray:
        return _deviance(depths, positives, shots, values)

    grid = np.linspace(-1, 1, GRID)
    on_grid = np.stack([profile(np.full(len(value), v)) for v in grid], 1)
    best = np.where(np.isnan(value), grid[on_grid.argmin(1)], value)
    at_best = profile(best)
    limit_of = np.minimum(at_best, on_grid.min(1)) + limit
    inside, ends = on_grid <= limit_of[:, None], []
    for outward in (-1, 1):
        last = np.where(inside, outward * grid, -np.inf).max(1)  # the outermost point of the grid inside
        near = np.maximum(last, outward * best)
        far = np.minimum(near + grid[1] - grid[0], 1.0)
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            within = profile(outward * middle) <= limit_of
            near, far = np.where(within, middle, near), np.where(within, far, middle)
        ends.append(outward * np.where(profile(outward * far) <= limit_of, far, near))
    return ends[0], ends[1]


def _deviance(depths: np.ndarray, positives: np.ndarray, shots: int, values: np.ndarray) -> np.ndarray:
    """-2 log likelihood of an eigenvalue for each string, with the likeliest A from 0 to 1, by Fisher scoring."""
    powers, means = values[:, None] ** depths, 2 * positives / shots - 1
    weights = 1 / np.maximum(1 - (means * shots / (shots + 4)) ** 2, 1 / shots)
    fitted = np.zeros_like(powers)
    for _ in range(FISHER_STEPS):
        share = (weights * powers * means).sum(1) / np.maximum((weights * powers**2).sum(1), np.finfo(float).tiny)
        fitted = np.clip(share, 0, 1)[:, None] * powers
        weights = 1 / np.maximum(1 - fitted**2, 1 / shots)
    up = np.clip((1 + fitted) / 2, 1e-12, 1 - 1e-12)
    return -2 * (xlogy(positives, up) + xlogy(shots - positives, 1 - up)).sum(1)
