"""Ranks of true values among draws from their posteriors, which are uniform if the posteriors are exact."""

from typing import Any

import jax
import numpy as np

from jaxsamp.core.checks import at_least, finite, typed_key
from jaxsamp.core.types import Array


def simulations(parameters: Any, draws: Any) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (n, d) and draws (n, m, d) in float64; an error of one sentence names the argument that is wrong."""
    parameters, draws = (finite(name, a) for name, a in (("parameters", parameters), ("draws", draws)))
    if parameters.ndim < 1 or not parameters.size:
        raise ValueError(f"parameters must have shape (n, *event); got {parameters.shape}.")
    n, event = len(parameters), parameters.shape[1:]
    if draws.ndim < 2 or len(draws) != n or draws.shape[2:] != event or not draws.shape[1]:
        takes = ", ".join(map(str, (n, "m", *event)))
        raise ValueError(f"draws must have shape ({takes}), m for each of the parameters; got {draws.shape}.")
    at_least("the number of parameters", n, 2)
    return parameters.reshape(n, -1).astype(float), draws.reshape(n, draws.shape[1], -1).astype(float)


def randoms(key: Array) -> np.random.Generator:
    """A generator of NumPy for what is decided by chance here: equal values, references, the places within a step."""
    return np.random.default_rng(np.asarray(jax.random.key_data(typed_key(key))).ravel())


def ranks_of(values: np.ndarray, draws: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """How many of the m draws are below the value, where equal ones are placed by chance.

    Args:
        values: (n, Q).
        draws: (n, m, Q).
        random: places equal values.

    Returns:
        Integers from 0 to m, (n, Q): uniform and independent over n if value and draws are exchangeable.
    """
    below = np.sum(draws < values[:, None], axis=1)
    equal = np.sum(draws == values[:, None], axis=1)
    return below + random.integers(0, equal, endpoint=True)
