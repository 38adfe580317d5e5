"""Bases for calibrations with one curve per coordinate: orthogonal maps from a sample to a flat vector."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy import fft

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array


class Basis:
    """Base class of the bases; by itself it leaves the sample as it is.

    `into` maps one sample, (*event), to its coordinates and `out_of` maps them back; both are orthogonal, so standard
    normal noise stays standard normal.
    """

    def into(self, x: Array) -> Array:
        """The coordinates of one sample."""
        return x

    def out_of(self, x: Array) -> Array:
        """The sample with these coordinates."""
        return x

    def arrays(self) -> dict[str, Any]:
        """Arrays from which `from_arrays` makes the same basis."""
        return {}


@pytree
@dataclass(frozen=True)
class Plain(Basis):
    """The sample as it is."""


@pytree
@dataclass(frozen=True)
class Flat(Basis):
    """The entries of the sample, flattened."""

    event: tuple[int, ...] = field(metadata={"static": True})

    def into(self, x: Array) -> Array:
        """x, (d,)."""
        _check_shape(x, self.event)
        return x.ravel()

    def out_of(self, x: Array) -> Array:
        """x, (*event)."""
        return x.reshape(self.event)

    def arrays(self) -> dict[str, Any]:
        """The event's shape and the kind of basis."""
        return {"event": self.event, "kind": "coordinates"}


@pytree
@dataclass(frozen=True)
class Orthogonal(Basis):
    """The columns of an orthogonal matrix, such as principal components.

    Args:
        columns: (d, d), orthogonal, for events of d numbers.
        event: shape of one sample.
    """

    columns: Array
    event: tuple[int, ...] = field(metadata={"static": True})

    def into(self, x: Array) -> Array:
        """U^T x, (d,)."""
        _check_shape(x, self.event)
        return jnp.matmul(x.ravel(), self.columns.astype(x.dtype), precision="highest")

    def out_of(self, x: Array) -> Array:
        """U x, (*event)."""
        return jnp.matmul(self.columns.astype(x.dtype), x, precision="highest").reshape(self.event)

    def arrays(self) -> dict[str, Any]:
        """The columns and the event's shape."""
        return {"event": self.event, "kind": "pca", "columns": self.columns}


@pytree
@dataclass(frozen=True)
class CosineTransform(Basis):
    """The discrete cosine transform over the first two axes of an image (height, width, channels).

    Its coefficients are nearly uncorrelated for natural images, and it needs no matrix.
    """

    event: tuple[int, ...] = field(metadata={"static": True})

    def into(self, x: Array) -> Array:
        """The coefficients, (d,)."""
        _check_shape(x, self.event)
        return fft.dctn(x, axes=(0, 1), norm="ortho").ravel()

    def out_of(self, x: Array) -> Array:
        """The image, (*event)."""
        return fft.idctn(x.reshape(self.event), axes=(0, 1), norm="ortho")

    def arrays(self) -> dict[str, Any]:
        """The event's shape and the kind of basis."""
        return {"event": self.event, "kind": "dct"}


PLAIN = Plain()
KNOWN = Flat | Orthogonal | CosineTransform  # whose coordinates are a vector of all numbers of the event
BY_NAME = {"coordinates": Flat, "dct": CosineTransform}


def from_arrays(held: dict[str, Any]) -> Basis:
    """The basis whose `arrays` are `held`.

    Raises:
        ValueError: they do not belong to a basis.
        KeyError: one of them is missing.
    """
    if "event" not in held:
        return PLAIN
    event, kind = _event(held["event"]), checks.one_of("kind", str(held["kind"]), ("pca", *BY_NAME))
    if kind == "dct" and len(event) < 2:
        raise ValueError(f"event must be that of images for 'dct'; got {list(event)}.")
    if kind != "pca":
        return BY_NAME[kind](event)
    columns, d = checks.finite("columns", held["columns"]), math.prod(event)
    if columns.shape != (d, d):
        raise ValueError(f"columns must be of shape {(d, d)} for samples of shape {event}; got {columns.shape}.")
    return Orthogonal(jnp.asarray(columns, float), event)


def _event(held: np.ndarray) -> tuple[int, ...]:
    """A shape that was stored as an array, which is one of floats for the shape () of numbers."""
    whole = not held.size or (np.issubdtype(held.dtype, np.integer) and held.min() > 0)
    if held.ndim != 1 or not whole:
        raise ValueError(f"event must be the shape of a sample; got {held.tolist()!r}.")
    return tuple(int(size) for size in held)


def _check_shape(x: Array, event: tuple[int, ...]) -> None:
    """Raise ValueError unless `x` is one sample of this shape."""
    if jnp.shape(x) != event:
        raise ValueError(f"calibration must be of samples of shape {jnp.shape(x)}; its basis has shape {event}.")
