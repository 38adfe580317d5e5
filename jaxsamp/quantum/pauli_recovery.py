"""Error rates from random product probes: population recovery, prefix by prefix."""

import warnings
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from jaxsamp.quantum.pauli_intervals import Intervals
from jaxsamp.quantum.pauli_shots import ProductShots
from jaxsamp.quantum.pauli_strings import anticommute, indices_of_letters
from jaxsamp_kernels.pauli import MISMATCH, product_inverse

PREFIX = 2.0  # standard errors above zero at which a prefix is followed
FALSE_ALARM = 1e-3  # probability that any string is taken whose rate is zero
STRINGS = 512  # most prefixes that are followed
CHUNK = 2**16  # shots, or strings, at a time


class Recovered(NamedTuple):
    """Strings, their rates, the covariance matrix of these, and the number of shots."""

    indices: np.ndarray
    rates: np.ndarray
    covariance: np.ndarray
    shots: int


def recovered(data: ProductShots) -> Recovered:
    """The strings whose rates are clearly above zero, by the product inverse of probes.

    E prod_{i<=k} G_{Q_i}(A_i, r_i) is the rate of all errors that begin with Q_1 ... Q_k. Its terms are powers of -1/2,
    at most one, so its standard error is at most 1 / sqrt(shots), for every one of the 4^k prefixes. Prefixes more than
    2 standard errors above zero are followed to the next qubit, the 512 clearest at most; strings are taken in the end
    if their interval at the normal quantile of 0.001 / 4^n is above zero. It is never so with few shots, whose terms
    may all be 1 by chance: with fewer than 19 on one qubit, or 38 on six. The rates are of the same shots, so those
    that were barely taken are a little too large on average.
    """
    axes, flips = jnp.asarray(data.axes, jnp.int32), jnp.asarray(data.flips, jnp.int32)
    misses = np.asarray(product_inverse(axes, flips) == MISMATCH, np.int8)  # (shots, n, 4)
    shots, n, _ = misses.shape
    powers = MISMATCH ** np.arange(n + 1)
    letters, counts = np.zeros((1, 0), np.int8), np.zeros((shots, 1), np.int8)  # of misses so far, (shots, prefixes)
    for i in range(n):
        mean, error = _moments(powers, counts, misses[:, i])
        limit = PREFIX if i < n - 1 else float(norm.isf(FALSE_ALARM / 4.0**n))
        clear = mean / _half(shots, error, 1.0, limit)
        parents, letter = np.nonzero(clear > 1)
        if len(parents) > STRINGS:
            warnings.warn(f"{len(parents)} prefixes are above zero; the {STRINGS} clearest are kept.", stacklevel=4)
            best = np.sort(np.argsort(-clear[parents, letter])[:STRINGS])
            parents, letter = parents[best], letter[best]
        letters = np.concatenate([letters[parents], letter[:, None].astype(np.int8)], 1)
        counts = counts[:, parents] + misses[:, i][:, letter]
    return Recovered(indices_of_letters(letters), *_covariance(powers, counts), shots)


def _moments(powers: np.ndarray, counts: np.ndarray, misses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of each prefix with each letter after it, (prefixes, 4)."""
    factor = np.where(misses, MISMATCH, 1.0)
    first, second = np.zeros((2, counts.shape[1], 4))
    for start in range(0, len(counts), CHUNK):
        part = slice(start, start + CHUNK)
        values = powers[counts[part]].T
        first += values @ factor[part]
        second += values**2 @ factor[part] ** 2
    mean = first / len(counts)
    return mean, np.sqrt(np.maximum(second / len(counts) - mean**2, 0) / len(counts))


def _covariance(powers: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shots, k = counts.shape
    first, second = np.zeros(k), np.zeros((k, k))
    for start in range(0, shots, CHUNK):
        values = powers[counts[start : start + CHUNK]]
        first += values.sum(0)
        second += values.T @ values
    mean = first / shots
    return mean, (second / shots - np.outer(mean, mean)) / shots


def rates_of(found: Recovered, z: float, qubits: int) -> Intervals:
    """Normal intervals of the rates, not narrower than what the shots leave open of errors that none of them met."""
    error = np.sqrt(np.maximum(np.diagonal(found.covariance), 0))
    half = _half(found.shots, error, 1.0, z)
    low, high = np.maximum(found.rates - half, 0), np.minimum(found.rates + half, 1)
    return Intervals(found.indices, found.rates, error, low, high, qubits)


def eigenvalues_of(found: Recovered, indices: Any, z: float, qubits: int) -> Intervals:
    """Eigenvalues of strings, by index, from the rates of those that were found.

    What was not found has the rate 1 - sum p in all, and a sign that nobody knows: so an eigenvalue s.p + rest lies
    between (s + 1).p - 1 and (s - 1).p + 1, of which each is estimated with its own standard error. Where no string was
    found, eigenvalues are NaN.
    """
    indices = np.asarray(indices, np.int64)
    value, error, low, high = np.zeros((4, len(indices)))
    for start in range(0, len(indices), CHUNK):
        part = slice(start, start + CHUNK)
        signs = 1 - 2.0 * anticommute(indices[part, None], found.indices, qubits)
        value[part], error[part] = _linear(found, signs)
        below, above = _linear(found, signs + 1), _linear(found, signs - 1)
        half = _half(found.shots, error[part], 1.0, z)
        low[part] = np.minimum(below[0] - 1 - _half(found.shots, below[1], 2.0, z), value[part] - half)
        high[part] = np.maximum(above[0] + 1 + _half(found.shots, above[1], 2.0, z), value[part] + half)
    if not len(found.indices):
        value[:], error[:] = np.nan, np.inf
    sure = indices == 0
    value, error = np.where(sure, 1.0, value), np.where(sure, 0.0, error)
    low, high = (np.where(sure, 1.0, np.clip(end, -1, 1)) for end in (low, high))
    return Intervals(indices, np.clip(value, -1, 1), error, low, high, qubits)


def _linear(found: Recovered, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the rates with these weights, and their standard errors."""
    variance = ((weights @ found.covariance) * weights).sum(-1)
    return weights @ found.rates, np.sqrt(np.maximum(variance, 0))


def _half(shots: int, error: np.ndarray, weight: float, z: float) -> np.ndarray:
    """Half the width of intervals of sums of rates, given their standard errors and the largest weight in size.

    An event that none of n shots has met may have a probability of z^2 / n, and moves the term of a string, which is 1
    or a power of -1/2, by up to 1 - MISMATCH.
    """
    return np.hypot(z * error, weight * (1 - MISMATCH) * z**2 / shots)
