"""The base classes of denoisers, and of denoisers that wrap another denoiser."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import jax.numpy as jnp

from jaxsamp.calibration.tables import Calibration
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree


def per_event(values: ArrayLike, x: Array) -> Array:
    """A scalar, or one number per item of the batch, shaped to broadcast against x of shape (batch, *event)."""
    values = jnp.asarray(values)
    return values.reshape(values.shape + (1,) * (x.ndim - 1)) if values.ndim else values


def check_calibration(got: Any, event: tuple[int, ...] | None) -> None:
    """Raise unless `got` is None or a calibration of samples of this shape, which may be unknown."""
    if got is None:
        return
    if not isinstance(got, Calibration):
        raise TypeError(
            "calibration must be one from jaxsamp.calibrate(key, denoiser, data) or jaxsamp.calibration, or None; "
            f"got a {type(got).__name__}."
        )
    if event is not None:
        got.check_event(event)


class BaseDenoiser(ABC):
    """Base class of denoisers: frozen registered dataclasses with a `schedule` and a `calibration`.

    A subclass must define `__call__`. `event_shape` is None if the denoiser takes any shape; `evaluations` is the
    number of network calls per sample in one call. `draft` is None, or a cheap denoiser of the same law, such as a
    smaller network that was trained beside this one, for `jaxsamp.samplers.ParallelMidpoint(surrogate=...)`.
    """

    schedule: Any
    calibration: Any
    event_shape: tuple[int, ...] | None = None
    evaluations: int = 1
    draft: Any = None

    @abstractmethod
    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """E[x_0 | x_t = x], (batch, *event), for x of that shape and a level of scalars or of shape (batch,)."""

    @property
    def magnitude(self) -> float | None:
        """Root mean square of the numbers of x_0, as far as the calibration knows it, else None."""
        return getattr(self.calibration, "magnitude", None)

    @property
    def placement(self) -> Any:
        """The sizes of the errors of steps, which grid="calibrated" reads, if its calibration has them, else None."""
        return getattr(self.calibration, "placement", None)

    def with_calibration(self, calibration: Calibration | None) -> Any:
        """The same denoiser with a measured linear part, which the frame "calibrated" reads; None for none.

        Raises:
            TypeError: it is not a calibration.
            ValueError: it is one of samples of another shape, as far as the denoiser knows its own.
        """
        check_calibration(calibration, self.event_shape)
        return dataclasses.replace(self, calibration=calibration)  # type: ignore[type-var]

    def check_cond(self, cond: PyTree, n: int) -> None:  # noqa: B027  (most denoisers take any `cond`)
        """Raise one sentence unless this denoiser takes `cond` for n samples; under a trace, check shapes alone."""


class Wrapper(BaseDenoiser):
    """Base class of denoisers that wrap another: schedule, event shape and cost are those of the inner denoiser."""

    denoiser: Denoiser

    @property
    def schedule(self) -> Any:
        """The inner denoiser's schedule."""
        return self.denoiser.schedule

    @property
    def event_shape(self) -> tuple[int, ...] | None:
        """The inner denoiser's event shape."""
        return getattr(self.denoiser, "event_shape", None)

    @property
    def magnitude(self) -> float | None:
        """That of its own calibration, or the inner denoiser's."""
        own = super().magnitude
        return getattr(self.denoiser, "magnitude", None) if own is None else own

    @property
    def draft(self) -> Any:
        """The same wrapper around the draft of the inner denoiser, or None if that has none."""
        draft = getattr(self.denoiser, "draft", None)
        return None if draft is None else dataclasses.replace(self, denoiser=draft)  # type: ignore[type-var]

    @property
    def evaluations(self) -> int:
        """The number of network calls per sample of the inner denoiser."""
        return getattr(self.denoiser, "evaluations", 1)

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise one sentence unless the inner denoiser takes `cond`."""
        check = getattr(self.denoiser, "check_cond", None)  # a user's own denoiser need not have one
        if check is not None:
            check(cond, n)
