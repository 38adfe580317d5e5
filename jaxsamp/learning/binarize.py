"""Measurements as spins, for the estimators of scikit-learn: the argument `binarize`."""

from typing import Any

import numpy as np

from jaxsamp.core import checks


def thresholds(binarize: Any, x: np.ndarray) -> np.ndarray | None:
    """The number above which a column of x (m, n) is +1, (n,): `binarize` itself, its "median", or None for spins."""
    if binarize is None:
        return None
    if isinstance(binarize, str):
        checks.one_of("binarize", binarize, ("median",))
        return np.median(x, 0)
    return np.broadcast_to(checks.finite("binarize", binarize).astype(float), x.shape[1:])


def spins(x: Any, limits: np.ndarray | None) -> np.ndarray:
    """-1 and +1 as int8 (m, n), from above and below the limits (n,); without limits x as it is, if that is of spins.

    Raises:
        ValueError: there are no limits, and x is not of -1 and +1, or of 0 and 1.
    """
    x = np.asarray(x)
    if limits is not None:
        return np.where(x > limits, 1, -1).astype(np.int8)
    other = ~((x == 1) | (x == 0) | (x == -1))
    if other.any():
        raise ValueError(f"X must be of -1 and +1, or of 0 and 1, unless binarize is given; got {x[other][0]}.")
    if (x == 0).any() and (x == -1).any():
        raise ValueError("X must be of -1 and +1, or of 0 and 1, unless binarize is given; got -1, 0 and 1.")
    return x
