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
    percentile: Any = None
    calibration: Any = None

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """The posterior mean in [low, high]: clipped, or first drawn toward the middle."""
        inner = self.denoiser(x, level, cond)
        low, high = jnp.asarray(self.low, inner.dtype), jnp.asarray(self.high, inner.dtype)
        if self.percentile is None:
            return jnp.clip(inner, low, high)
        middle, half = (low + high) / 2, (high - low) / 2
        u = (inner - middle) / half
        percentile = jnp.asarray(self.percentile, inner.dtype)
        reach = jnp.percentile(jnp.abs(u), percentile, axis=tuple(range(1, u.ndim)), keepdims=True)
        return jnp.clip(middle + half * u / jnp.maximum(reach, 1), low, high)


def clip(
    denoiser: Denoiser, low: ArrayLike = -1.0, high: ArrayLike = 1.0, percentile: ArrayLike | None = None
) -> Clipped:
    """Keep the posterior mean in the range of the data, [low, high], by clipping or by dynamic thresholding.

    With m the middle of the range, h half its length and u = (D - m) / h, dynamic thresholding is

        m + h clip(u / s, -1, 1),    s = max(1, the given percentile of |u| over the numbers of the sample):

    where guidance has driven many numbers of a sample out of the range, all of them come closer to its middle, and few
    stick to its ends. Each sample has its own s. It is for events of many numbers, such as images.

    Args:
        denoiser: any denoiser.
        low, high: the range of the data, numbers or arrays that broadcast to an event.
        percentile: above 0 and at most 100, of dynamic thresholding, such as 99.5. None: plain clipping.

    Raises:
        ValueError: `low` is not below `high`, or the percentile is not in its range.
        TypeError: one of them is not a number.

    Source: Saharia et al., "Photorealistic Text-to-Image Diffusion Models with Deep Language Understanding", arXiv
    2205.11487 (Imagen; dynamic thresholding).
    """
    for name, end in (("low", low), ("high", high)):
        checks.floating(name, end)
    if checks.is_concrete(low, high) and not np.all(np.asarray(low) < np.asarray(high)):
        raise ValueError(f"low must be below high; got {low} and {high}.")
    if percentile is not None:
        concrete = checks.is_concrete(checks.floating("percentile", percentile))
        if concrete and not 0 < float(jnp.asarray(percentile)) <= 100:
            raise ValueError(f"percentile must be above 0 and at most 100; got {percentile}.")
    return Clipped(denoiser, low, high, percentile)
