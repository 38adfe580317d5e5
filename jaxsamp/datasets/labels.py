"""Labels of any integers or names, numbered 0, 1, ... as networks take them."""

from typing import Any

import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Data

SHOWN = 20  # number of labels that a sentence lists


def renumber_labels(labels: Data | list[str], argument: str = "labels") -> tuple[np.ndarray, np.ndarray]:
    """The labels 3, 7, 2000000, or "cat", "dog", "fox", as 0, 1, 2: (numbers, table) with table[numbers] = labels.

    A network of `jaxsamp.models` with classes = K has the labels 0 ... K - 1, and weights for each of them.

    Args:
        labels: integers, booleans or names, (n,), n > 0.
        argument: what they are called in errors.

    Returns:
        The numbers (n,), int32, and the table (K,) of the labels that occur, in increasing order; names in the order
        of their characters.

    Raises:
        ValueError: the labels are not such an array.
    """
    values = as_labels(labels, argument, names=True)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{argument} must be integers or names of shape (n,); got shape {values.shape}.")
    table, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int32), table


def as_labels(labels: Any, argument: str, names: bool = False) -> np.ndarray:
    """Labels as integers, booleans as 0 and 1, or as names where they may be; raises ValueError for anything else."""
    try:
        values = np.asarray(labels)
    except ValueError:  # of several lengths
        values = np.asarray(labels, object)
    if names and values.dtype == object and values.size and all(isinstance(value, str) for value in values.ravel()):
        values = values.astype(str)  # a column of a table
    if values.dtype.kind not in ("iubU" if names else "iub"):
        first, takes = values.ravel()[:1].tolist(), "integers or names" if names else "integers"
        raise ValueError(
            f"{argument} must be {takes}; got dtype {values.dtype}" + (f", {first[0]!r} first." if first else ".")
        )
    return values.astype(np.int32) if values.dtype.kind == "b" else values


def is_one_each(labels: Any, n: int) -> bool:
    """Whether an array holds one integer or one name for each of n samples."""
    values = np.asarray(labels)
    return values.dtype.kind in "iubU" and values.shape == (n,)


def takes_labels(argument: str) -> str:
    """The start of a sentence about labels that cannot be used."""
    return f"{argument} must hold integers from 0, or names, (n,), in its `labels`"


def number_of(label: int | str, table: Data, argument: str = "label") -> int:
    """The number of a label, as it is in the data or as it is typed; raises ValueError if it is not in the table."""
    values = np.asarray(table)
    known = [str(value) for value in values.tolist()]
    if str(label) in known:
        return known.index(str(label))
    hint = checks.hint(label, known) if values.dtype.kind == "U" else ""
    raise ValueError(f"{argument} must be {listed(table)}; got {label}.{hint}")


def listed(table: Data) -> str:
    """The labels of a table in words: "from 0 to 9", "one of 3, 7, 2000000" or "one of cat, dog"."""
    values = np.asarray(table).tolist()
    if values == list(range(len(values))):
        return f"from 0 to {len(values) - 1}"
    more = f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else ""
    return f"one of {', '.join(map(str, values[:SHOWN]))}{more}"
