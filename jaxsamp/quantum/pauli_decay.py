"""Eigenvalues from the decay of signals under many uses, whatever preparation and measurement lose."""

import numpy as np

from jaxsamp.quantum.pauli_intervals import Intervals
from jaxsamp.quantum.pauli_shots import DecayShots

SEEN = 3  # standard errors that a signal must be above zero


def of_decays(data: DecayShots, z: float) -> Intervals:
    """A fit of A lambda^m to the mean sign at each depth m, for each string.

    A weighted line through log |mean|, over the depths before the signal is first lost, gives A and lambda; one
    Gauss-Newton step on the means themselves, each weighted by its binomial variance, takes away the bias of the
    logarithm, and its covariance gives the standard error. Where fewer than two depths show a signal, the eigenvalue
    is not known: NaN, with the interval [-1, 1].
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
    low, high = np.nan_to_num(value - z * error, nan=-1), np.nan_to_num(value + z * error, nan=1)
    return Intervals(np.asarray(data.paulis), value, error, np.maximum(low, -1), np.minimum(high, 1), data.qubits)


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
