"""Operators of observations y = A(x_0) + noise n that are not linear: magnitudes, clipping and saturation.

They keep the protocol `jaxsamp.core.protocols.Operator`, and have no adjoint: `jaxsamp.posterior` and
`jaxsamp.denoisers.dps` differentiate them where they need to.
"""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array


@pytree
@dataclass(frozen=True)
class MagnitudeOperator:
    """A(x) = |F x|, the magnitudes of the discrete Fourier transform over the first two axes: phase retrieval.

    The transform is unitary. Events are images (h, w) or (h, w, c); with `oversampling` r they are padded with zeros to
    (r h, r w), which makes almost every image the only one with its magnitudes, up to its sign, shifts in the padded
    frame, and the turn by 180 degrees. Those are left, so the law given y has several modes. The derivative at a
    magnitude of 0 is taken as 0.

    Attributes:
        oversampling: r, an integer of at least 1, static.

    Raises:
        ValueError: oversampling is below 1, or x is not an image.
    """

    oversampling: int = field(default=2, metadata={"static": True})

    def __post_init__(self) -> None:
        checks.at_least("oversampling", self.oversampling, 1)

    def __call__(self, x: Array) -> Array:
        """The magnitudes, (r h, r w) or (r h, r w, c)."""
        if x.ndim not in (2, 3):
            raise ValueError(f"x must be an image (h, w) or (h, w, c), without a batch; got {x.shape}.")
        h, w = (self.oversampling * side for side in x.shape[:2])
        square = jnp.square(jnp.abs(jnp.fft.fft2(x, (h, w), (0, 1), "ortho")))
        return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


@pytree
@dataclass(frozen=True)
class ClipOperator:
    """A(x) = min(max(gain x, low), high): an exposure of a scene whose range is wider than the sensor's.

    Its derivative is 0 where it clips: a number that D puts outside of the range is pulled nowhere by gradients there.

    Attributes:
        gain: factor, a number, or of the event's shape; (n, ...) for n operators, and so are the others.
        low, high: limits of the sensor, low < high.
    """

    gain: Any = 2.0
    low: Any = -1.0
    high: Any = 1.0

    def __post_init__(self) -> None:
        if _not_above(self.high, self.low):
            raise ValueError(f"high must be above low; got low = {self.low} and high = {self.high}.")

    def __call__(self, x: Array) -> Array:
        """The exposed image, of the shape of x."""
        gain, low, high = (_of(name, getattr(self, name), x) for name in ("gain", "low", "high"))
        return jnp.clip(gain * x, low, high)


@pytree
@dataclass(frozen=True)
class SaturationOperator:
    """A(x) = limit tanh(gain x / limit): gain x where that is small, and never beyond +-limit.

    Attributes:
        gain: factor at 0, a number, or of the event's shape; (n, ...) for n operators, and so is the limit.
        limit: largest magnitude, above 0.
    """

    gain: Any = 1.0
    limit: Any = 1.0

    def __post_init__(self) -> None:
        if _not_above(self.limit, 0.0):
            raise ValueError(f"limit must be above 0; got {self.limit}.")

    def __call__(self, x: Array) -> Array:
        """The response, of the shape of x."""
        gain, limit = (_of(name, getattr(self, name), x) for name in ("gain", "limit"))
        return limit * jnp.tanh(gain * x / limit)


def _not_above(high: Any, low: Any) -> bool:
    """Whether both are numbers that can be read, and the one that must be above the other is not."""
    return jnp.shape(high) == jnp.shape(low) == () and checks.is_readable(high, low) and not float(high) > float(low)


def _of(name: str, value: Any, x: Array) -> Array:
    """A setting in the dtype of x, or in the default one if x is of whole numbers.

    Raises ValueError unless it is a number or of the shape of x.
    """
    if jnp.shape(value) not in ((), x.shape):
        raise ValueError(f"{name} must be a number or of the event's shape {x.shape}; got shape {jnp.shape(value)}.")
    return jnp.asarray(value, x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else float)
