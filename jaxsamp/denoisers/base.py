"""What denoisers have in common, and what those around another denoiser do."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import jax.numpy as jnp

from jaxsamp.calibration.tables import Calibration
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree


def per_event(values: ArrayLike, x: Array) -> Array:
    """Scalars, or one number for each item of the batch, shaped to broadcast against x of shape (batch, *event)."""
    values = jnp.asarray(values)
    return values.reshape(values.shape + (1,) * (x.ndim - 1)) if values.ndim else values


class BaseDenoiser(ABC):
    """What denoisers share: frozen registered dataclasses with a `schedule` and a `calibration`.

    A class without `__call__` is refused when an object of it is made. `event_shape` is None where any shape will do;
    `evaluations` counts the network calls that one call makes for one sample.
    """

    schedule: Any
    calibration: Any
    event_shape: tuple[int, ...] | None = None
    evaluations: int = 1

    @abstractmethod
    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """E[x_0 | x_t = x], (batch, *event), for x of that shape and a level of scalars or of shape (batch,)."""

    def with_calibration(self, calibration: Calibration | None) -> Any:
        """The same denoiser carrying a measured linear part, which the frame "calibrated" reads."""
        return dataclasses.replace(self, calibration=calibration)  # type: ignore[type-var]

    def check_cond(self, cond: PyTree, n: int) -> None:  # noqa: B027  (most denoisers take any)
        """Raise one sentence unless `cond` is what this denoiser takes for n samples; shapes alone under a trace."""


class Wrapper(BaseDenoiser):
    """A denoiser around another: schedule, event shape and cost are the inner one's."""

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
    def evaluations(self) -> int:
        """The inner denoiser's cost."""
        return getattr(self.denoiser, "evaluations", 1)

    def check_cond(self, cond: PyTree, n: int) -> None:
        """What the inner denoiser takes."""
        check = getattr(self.denoiser, "check_cond", None)  # a user's own denoiser need not have one
        if check is not None:
            check(cond, n)
