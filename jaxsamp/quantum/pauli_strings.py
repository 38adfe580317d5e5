"""Pauli strings by label, by index and by letter, and which of them commute."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from jaxsamp.discrete.base import fits

LETTERS = "IXYZ"
MOST = 15  # qubits of a table: the index of a string fits into 32 bits
LONGEST = 31  # qubits of a string: its index fits into 64 bits


def index_of(label: Any) -> int:
    """The index of a string such as "XZ": its bits x_1 ... x_n z_1 ... z_n, the first the highest.

    Raises:
        TypeError: the label is not a string.
        ValueError: it is empty, longer than 31 letters, or has others than I, X, Y and Z.
    """
    if not isinstance(label, str):
        raise TypeError(f"labels must be strings such as 'XZ'; got a {type(label).__name__}.")
    if not 0 < len(label) <= LONGEST or set(label) - set(LETTERS):
        raise ValueError(f"labels must have 1 to {LONGEST} letters, each I, X, Y or Z; got {label!r}.")
    bits = [letter in "XY" for letter in label] + [letter in "ZY" for letter in label]
    return int("".join("01"[bit] for bit in bits), 2)


def indices_of(labels: Iterable[Any], qubits: int | None = None) -> np.ndarray:
    """The indices of strings of the same length, (m,); raises ValueError if they are none, or of other lengths."""
    labels = [labels] if isinstance(labels, str) else list(labels)
    if not labels:
        raise ValueError("labels must be at least one Pauli string; got none.")
    found = np.array([index_of(label) for label in labels])
    n = len(labels[0]) if qubits is None else qubits
    for label in labels:
        if len(label) != n:
            raise ValueError(f"labels must have {n} letters, one for each qubit; got {label!r}.")
    return found


def labels_of(indices: Any, qubits: int) -> list[str]:
    """The labels of strings that are given by index."""
    return ["".join(LETTERS[letter] for letter in row) for row in letters_of(indices, qubits).reshape(-1, qubits)]


def letters_of(indices: Any, qubits: int) -> Any:
    """The letters of strings, 0 to 3 for I, X, Y and Z: (...) -> (..., n) of int8."""
    indices = indices if isinstance(indices, jax.Array) else np.asarray(indices, np.int64)
    places = np.arange(qubits - 1, -1, -1)
    x, z = ((indices[..., None] >> shift) & 1 for shift in (places + qubits, places))
    return (2 * (x & z) + (x ^ z) + 2 * (z & ~x & 1)).astype(np.int8)


def indices_of_letters(letters: Any) -> np.ndarray:
    """The indices of strings, (..., n) -> (...)."""
    letters = np.asarray(letters, np.int64)
    n = letters.shape[-1]
    places = np.arange(n - 1, -1, -1)
    x, z = (letters == 1) | (letters == 2), letters >= 2
    return (x.astype(np.int64) << (places + n)).sum(-1) + (z.astype(np.int64) << places).sum(-1)


def swapped(indices: Any, qubits: int) -> Any:
    """Indices with the x and z bits exchanged: a and b anticommute where a & swapped(b) has an odd number of bits."""
    return ((indices & (2**qubits - 1)) << qubits) | (indices >> qubits)


def anticommute(a: Any, b: Any, qubits: int) -> np.ndarray:
    """Whether strings anticommute, 0 or 1, by their indices, which are broadcast."""
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    return np.asarray(np.bitwise_count(a & swapped(b, qubits)) & 1)


def check_table(argument: str, qubits: int) -> int:
    """Return the number of qubits if a table of all 4^n strings can be held, else raise ValueError with its bytes."""
    if qubits > MOST:
        raise ValueError(
            f"{argument} must be of at most {MOST} qubits for a table of all 4^n Pauli strings; got n = {qubits}, "
            f"whose table has {4**qubits * 4:,} bytes."
        )
    fits(argument, 4**qubits)
    return qubits
