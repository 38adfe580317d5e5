"""Bases for calibrations with one curve per coordinate: orthogonal maps from a sample to a flat vector."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
from jax.scipy import fft

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
        return fft.dctn(x, axes=(0, 1), norm="ortho").ravel()

    def out_of(self, x: Array) -> Array:
        """The image, (*event)."""
        return fft.idctn(x.reshape(self.event), axes=(0, 1), norm="ortho")

    def arrays(self) -> dict[str, Any]:
        """The event's shape and the kind of basis."""
        return {"event": self.event, "kind": "dct"}


PLAIN = Plain()
BY_NAME = {"coordinates": Flat, "dct": CosineTransform}


def from_arrays(held: dict[str, Any]) -> Basis:
    """The basis whose `arrays` are `held`."""
    if "event" not in held:
        return PLAIN
    event = tuple(int(size) for size in held["event"])
    kind = str(held["kind"])
    return Orthogonal(jnp.asarray(held["columns"], float), event) if kind == "pca" else BY_NAME[kind](event)
