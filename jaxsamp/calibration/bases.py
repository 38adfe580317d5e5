"""Coordinates in which a calibration has one curve each: orthogonal maps of one sample onto a flat vector."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax.scipy import fft

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array


class Basis:
    """Base of the bases, and the plain one: the sample as it is.

    `into` maps one sample (*event) to its coordinates and `out_of` maps them back; both are orthogonal, so that
    standard normal noise stays standard normal.
    """

    def into(self, x: Array) -> Array:
        """The coordinates of one sample."""
        return x

    def out_of(self, x: Array) -> Array:
        """The sample of these coordinates."""
        return x

    def arrays(self) -> dict[str, Any]:
        """What `from_arrays` makes it of again."""
        return {}


@pytree
@dataclass(frozen=True)
class Plain(Basis):
    """The sample as it is."""


@pytree
@dataclass(frozen=True)
class Flat(Basis):
    """The numbers of the sample themselves, in a row."""

    event: tuple[int, ...] = field(metadata={"static": True})

    def into(self, x: Array) -> Array:
        """x, (d,)."""
        return x.ravel()

    def out_of(self, x: Array) -> Array:
        """x, (*event)."""
        return x.reshape(self.event)

    def arrays(self) -> dict[str, Any]:
        """The event's shape, and which basis."""
        return {"event": self.event, "kind": "coordinates"}


@pytree
@dataclass(frozen=True)
class Orthogonal(Basis):
    """The columns of an orthogonal matrix, such as principal components.

    Args:
        columns: (d, d), for events of d numbers.
        event: shape of one sample.
    """

    columns: Array
    event: tuple[int, ...] = field(metadata={"static": True})

    def into(self, x: Array) -> Array:
        """U^T x, (d,)."""
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

    Natural images are nearly uncorrelated in it, and it costs no matrix.
    """

    event: tuple[int, ...] = field(metadata={"static": True})

    def into(self, x: Array) -> Array:
        """The coefficients, (d,)."""
        return fft.dctn(x, axes=(0, 1), norm="ortho").ravel()

    def out_of(self, x: Array) -> Array:
        """The image, (*event)."""
        return fft.idctn(x.reshape(self.event), axes=(0, 1), norm="ortho")

    def arrays(self) -> dict[str, Any]:
        """The event's shape, and which basis."""
        return {"event": self.event, "kind": "dct"}


PLAIN = Plain()
BY_NAME = {"coordinates": Flat, "dct": CosineTransform}


def from_arrays(held: dict[str, Any]) -> Basis:
    """The basis whose `arrays` these are."""
    if "event" not in held:
        return PLAIN
    event = tuple(int(size) for size in held["event"])
    kind = str(held["kind"])
    return Orthogonal(jnp.asarray(held["columns"], float), event) if kind == "pca" else BY_NAME[kind](event)
