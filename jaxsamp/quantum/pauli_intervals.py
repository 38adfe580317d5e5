"""Estimates with their confidence intervals."""

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from jaxsamp.core import shown
from jaxsamp.quantum.pauli_strings import indices_of, labels_of


class Intervals(NamedTuple):
    """Estimates of one number for each of some Pauli strings.

    Attributes:
        indices: of the strings, (m,).
        values: the estimates, (m,).
        standard_error: of each, (m,).
        low: lower ends of the confidence intervals, (m,).
        high: upper ends, (m,).
        qubits: n.
    """

    indices: np.ndarray
    values: np.ndarray
    standard_error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    qubits: int

    @property
    def labels(self) -> list[str]:
        """The strings by label."""
        return labels_of(self.indices, self.qubits)

    def of(self, label: str) -> dict[str, float]:
        """The `value`, `standard_error`, `low` and `high` of one string.

        Raises:
            ValueError: the label does not fit, or nothing was estimated of it.
        """
        places = np.flatnonzero(self.indices == indices_of([label], self.qubits)[0])
        if not len(places):
            raise ValueError(f"label must be of a string that was estimated; got {label!r}.")
        names = ("values", "standard_error", "low", "high")
        found = {name: float(getattr(self, name)[places[0]]) for name in names}
        return {"value": found.pop("values"), **found}

    def taken(self, indices: Any) -> "Intervals":
        """The same of some strings, by index, in a table of all of them."""
        return Intervals(
            self.indices[indices], self.values[indices], self.standard_error[indices],
            self.low[indices], self.high[indices], self.qubits,
        )  # fmt: skip

    def __repr__(self) -> str:
        return shown.line(self)


def quantile(confidence: float, intervals: int = 1) -> float:
    """The number of standard errors of an interval, such that all of `intervals` hold at this confidence."""
    return float(norm.isf((1 - confidence) / 2 / intervals))


def of_signs(indices: Any, means: np.ndarray, shots: Any, z: float, qubits: int) -> Intervals:
    """Intervals of Wilson for means of independent signs, +1 and -1; of the identity, whose sign is sure, a point."""
    sure = np.asarray(indices) == 0
    center, spread = 1 + z**2 / shots, (1 - means**2) / shots
    half = z * np.sqrt(np.maximum(spread, 0) + z**2 / shots**2) / center
    low, high = np.where(sure, 1.0, means / center - half), np.where(sure, 1.0, means / center + half)
    values = np.where(sure, 1.0, means)
    error = np.where(sure, 0.0, np.sqrt(np.maximum(spread, 0)))
    return Intervals(np.asarray(indices), values, error, np.maximum(low, -1), np.minimum(high, 1), qubits)


def of_counts(counts: np.ndarray, shots: int, z: float, qubits: int) -> Intervals:
    """Intervals of Wilson for the rates of all strings, from how often each was seen."""
    signs = of_signs(np.arange(1, len(counts) + 1), 2 * counts / shots - 1, shots, z, qubits)
    values, low, high = ((1 + column) / 2 for column in (signs.values, signs.low, signs.high))
    return Intervals(np.arange(len(counts)), values, signs.standard_error / 2, low, high, qubits)
