"""The base class of targets, with the score and denoiser that follow from the posterior mean."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.calibration.measuring import LEVELS, MAX_PCA_DIM, SAMPLES, measure
from jaxsamp.calibration.placement import Placement, placed
from jaxsamp.calibration.tables import Calibration
from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.denoisers.base import BaseDenoiser, check_calibration, per_event
from jaxsamp.grids import SIGMA_MAX, SIGMA_MIN
from jaxsamp.schedules import VarianceExploding


class Target(ABC):
    """A law whose noised versions x_t = alpha x_0 + sigma z have a known density and posterior mean.

    In all methods `x` is (batch, *event), and the level's alpha and sigma are scalars or of shape (batch,). A subclass
    defines `event_shape`, `sample`, `log_prob` and `posterior_mean`.
    """

    @property
    @abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    @abstractmethod
    def sample(self, key: Array, n: int) -> Array:
        """Draw `n` clean samples, (n, *event)."""

    @abstractmethod
    def log_prob(self, x: Array, level: Level | None = None) -> Array:
        """Log density in nats of x_t at `x`, (batch,); of x_0 without a level."""

    @abstractmethod
    def posterior_mean(self, x: Array, level: Level) -> Array:
        """E[x_0 | x_t = x], shape (batch, *event)."""

    def score(self, x: Float[Array, "batch *event"], level: Level) -> Float[Array, "batch *event"]:
        """Score: grad log p_t(x) = (alpha E[x_0 | x_t = x] - x) / sigma^2 (Tweedie), for sigma > 0."""
        x, alpha, sigma = self.validated(x, level)
        mean = self.posterior_mean(x, level)
        return (per_event(alpha, x) * mean - x) / per_event(sigma, x) ** 2

    def denoiser(self, schedule: Schedule) -> "TargetDenoiser":
        """The exact denoiser of this law under `schedule`."""
        return TargetDenoiser(self, checks.schedule(schedule))

    @cached_property
    def calibration(self) -> Calibration:
        """The linear part of the exact denoiser, measured once, at first use, on samples drawn with a fixed key.

        It does not depend on the schedule. It has one curve per principal component of the law for up to 256 numbers
        per sample, and otherwise one curve per number.

        Raises:
            ValueError: the law itself is traced by a transformation.
        """
        return self._on_samples(lambda key, x, levels: measure(key, _exact(self), x, levels, self._basis, None, None))

    @cached_property
    def placement(self) -> Placement:
        """The sizes of the errors of steps along the exact flow, for grid="calibrated", measured once, at first use."""
        held = self.calibration
        return self._on_samples(lambda key, x, levels: placed(key, _exact(self), held, x, levels, None, None))

    @property
    def _basis(self) -> str:
        return "pca" if math.prod(self.event_shape) <= MAX_PCA_DIM else "coordinates"

    def _on_samples(self, measured: Callable[[Array, Array, np.ndarray], Any]) -> Any:
        """`measured` with a fixed key, on samples drawn with a fixed key and at fixed levels."""
        if not checks.is_concrete(self):
            raise ValueError(
                "target must be concrete where its calibration is measured: take target.calibration outside of jax.jit."
            )
        with jax.ensure_compile_time_eval():
            for_data, for_noise = jax.random.split(jax.random.key(0))
            x = jnp.asarray(checks.floating("x", self.sample(for_data, SAMPLES)))  # spins are of int8
            return measured(for_noise, x, np.geomspace(SIGMA_MAX, SIGMA_MIN, LEVELS))

    def mean_square(self) -> Array | None:
        """E[x_0^2] of each number of a sample, (*event); None for a law that does not know it."""
        return None

    @cached_property
    def magnitude(self) -> float | None:
        """Largest root mean square of a number of x_0, computed once; None if unknown, or if the law is traced."""
        if not checks.is_concrete(self):
            return None
        with jax.ensure_compile_time_eval():
            squares = _mean_square(self)
            return None if squares is None else float(jnp.sqrt(jnp.max(squares)))

    def validated(self, x: Array, level: Level) -> tuple[Array, Array, Array]:
        """Return x, alpha and sigma in the floating dtype of x; raise ValueError if their shapes do not fit."""
        x = checks.floating("x", x)
        if x.ndim == 0 or x.shape[1:] != self.event_shape:
            takes = ", ".join(map(str, ("batch", *self.event_shape)))
            raise ValueError(f"x must have shape ({takes}) for this target; got {x.shape}.")
        for name, shape in (("alpha", jnp.shape(level.alpha)), ("sigma", jnp.shape(level.sigma))):
            if shape not in ((), x.shape[:1]):
                raise ValueError(f"level.{name} must be a scalar or of shape {x.shape[:1]}; got {shape}.")
        return x, jnp.asarray(level.alpha, x.dtype), jnp.asarray(level.sigma, x.dtype)


def _exact(law: Target) -> "TargetDenoiser":
    """Under the schedule without scale, on which neither the linear part nor the flow depends."""
    return law.denoiser(VarianceExploding())


@jax.jit
def _mean_square(law: Target) -> Array | None:
    return law.mean_square()


def noisy(level: Level) -> Level:
    """Return `level` if its sigma is positive or traced; else raise ValueError."""
    if checks.is_concrete(level.sigma) and not (np.asarray(level.sigma) > 0).all():
        raise ValueError(f"level.sigma must be positive for this target; got {np.min(level.sigma)}.")
    return level


@pytree
@dataclass(frozen=True)
class TargetDenoiser(BaseDenoiser):
    """The exact posterior mean of a target as a denoiser, without a network.

    `target` is the law of x_0 and `schedule` says how noise grows. `calibration`, the measured linear part, is the
    argument of `with_calibration`, and by default the target's own.
    """

    target: Any
    schedule: Any
    measured: Any = None

    @property
    def calibration(self) -> Any:  # type: ignore[override]
        """The measured linear part."""
        return self.target.calibration if self.measured is None else self.measured

    @property
    def placement(self) -> Any:
        """That of the measured linear part if one with it was given, or the target's."""
        return getattr(self.measured, "placement", None) or self.target.placement

    @property
    def magnitude(self) -> float | None:
        """That of the measured linear part if one was given, or the target's."""
        return getattr(self.target if self.measured is None else self.measured, "magnitude", None)

    def with_calibration(self, calibration: Any) -> "TargetDenoiser":
        """The same denoiser with this linear part instead of the target's own.

        Raises:
            TypeError: it is not a calibration.
            ValueError: it is one of samples of another shape.
        """
        check_calibration(calibration, self.event_shape)
        return replace(self, measured=calibration)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.target.event_shape

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """E[x_0 | x_t = x], shape (batch, *event); `cond` is ignored, because a target has no conditions."""
        return self.target.posterior_mean(x, level)
