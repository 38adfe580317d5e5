"""Scales of guidance that depend on the noise level."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import is_function, pytree
from jaxsamp.core.types import Array, ArrayLike, Data, Level
from jaxsamp.denoisers.base import per_event

Scale: TypeAlias = ArrayLike | tuple[Data, Data] | Callable[[Array], ArrayLike]


@pytree
@dataclass(frozen=True)
class Table:
    """Scales at noise levels, linear in the log of the level between them and constant beyond."""

    log_levels: Any
    scales: Any

    def __call__(self, noise: Array) -> Array:
        """The scale at sigma / alpha = noise."""
        return jnp.interp(jnp.log(noise), self.log_levels, self.scales)


def noise_level(level: Level) -> Array:
    """sigma / alpha, infinite where alpha is 0."""
    return jnp.exp(-level.log_snr)


def scale_of(scale: Any) -> Any:
    """A scale as a pytree: a number, or a callable of sigma / alpha; errors are those of `guide`."""
    if isinstance(scale, tuple):
        return _table(scale)
    if is_function(scale):
        return jax.tree_util.Partial(scale)
    if not callable(scale) and (shape := jnp.shape(checks.floating("scale", scale))):
        raise ValueError(
            f"scale must be a number, a function of the noise level, or a tuple (levels, scales); got shape {shape}."
        )
    return scale


def scale_at(scale: Any, level: Level, x: Array) -> Array:
    """The scale of each sample at its level, which broadcasts against x, (batch, *event), and has its dtype."""
    if not callable(scale):
        return jnp.asarray(scale, x.dtype)
    noise = noise_level(level)
    found = jnp.asarray(scale(noise), x.dtype)
    if found.shape not in ((), noise.shape):
        raise ValueError(f"scale must return the shape of the level, {noise.shape}; got {found.shape}.")
    return per_event(found, x)


def _table(scale: tuple[Any, ...]) -> Table:
    if len(scale) != 2:
        raise ValueError(f"scale must be a number, a function, or a table (levels, scales); got {len(scale)} parts.")
    levels, scales = (jnp.asarray(checks.floating("scale", part)) for part in scale)
    if levels.ndim != 1 or levels.shape != scales.shape or not levels.size:
        raise ValueError(f"scale must have as many levels as scales, (k,); got {levels.shape} and {scales.shape}.")
    if checks.is_concrete(levels):
        concrete = np.asarray(levels)
        if not (concrete[0] > 0 and (np.diff(concrete) > 0).all()):
            raise ValueError(f"scale must have levels sigma / alpha above 0 that increase; got {concrete}.")
    return Table(jnp.log(levels), scales)
