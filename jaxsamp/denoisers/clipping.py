"""Posterior means kept in the range of the data."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.denoisers.base import Wrapper


@pytree
@dataclass(frozen=True)
class Clipped(Wrapper):
    """A denoiser with a bounded output; made by `clip`."""

    denoiser: Denoiser
    low: Any
    high: Any
    calibration: Any = None

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """The posterior mean clipped to [low, high]."""
        inner = self.denoiser(x, level, cond)
        return jnp.clip(inner, jnp.asarray(self.low, inner.dtype), jnp.asarray(self.high, inner.dtype))


def clip(denoiser: Denoiser, low: ArrayLike = -1.0, high: ArrayLike = 1.0) -> Clipped:
    """Clip the posterior mean to the range of the data, [low, high].

    Raises:
        ValueError: `low` is not below `high`.
        TypeError: one of them is not a number.
    """
    for name, end in (("low", low), ("high", high)):
        checks.floating(name, end)
    if checks.is_concrete(low, high) and not np.all(np.asarray(low) < np.asarray(high)):
        raise ValueError(f"low must be below high; got {low} and {high}.")
    return Clipped(denoiser, low, high)
