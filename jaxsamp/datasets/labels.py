"""Labels of any integers, numbered 0, 1, ... as networks take them."""

from typing import Any

import numpy as np

from jaxsamp.core.types import Data

SHOWN = 20  # number of labels that a sentence lists


def renumber_labels(labels: Data, argument: str = "labels") -> tuple[np.ndarray, np.ndarray]:
    """The labels 3, 7, 2000000 as 0, 1, 2: (numbers, table) with table[numbers] = labels.

    A network of `jaxsamp.models` with classes = K has the labels 0 ... K - 1, and weights for each of them.

    Args:
        labels: integers or booleans, (n,), n > 0.
        argument: their name in errors.

    Returns:
        The numbers (n,), int32, and the table (K,) of the labels that occur, in increasing order.

    Raises:
        ValueError: the labels are not such an array.
    """
    values = as_labels(labels, argument)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{argument} must be integers of shape (n,); got shape {values.shape}.")
    table, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int32), table


def as_labels(labels: Any, argument: str) -> np.ndarray:
    """Labels as integers, booleans as 0 and 1; raises ValueError for anything else."""
    try:
        values = np.asarray(labels)
    except ValueError:  # of several lengths
        values = np.asarray(labels, object)
    if values.dtype.kind not in "iub":
        first = values.ravel()[:1].tolist()
        raise ValueError(
            f"{argument} must be integers; got dtype {values.dtype}" + (f", {first[0]!r} first." if first else ".")
        )
    return values.astype(np.int32) if values.dtype.kind == "b" else values


def listed(table: Data) -> str:
    """The labels of a table in words: "from 0 to 9", or "one of 3, 7, 2000000"."""
    values = np.asarray(table).tolist()
    if values == list(range(len(values))):
        return f"from 0 to {len(values) - 1}"
    more = f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else ""
    return f"one of {', '.join(map(str, values[:SHOWN]))}{more}"
