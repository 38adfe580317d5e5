"""Denoisers: E[x_0 | x_t] from any network, and wrappers that are denoisers again.

Everything here is a pytree: weights, guidance scales and clipping bounds are leaves, so new values never recompile.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.calibration.tables import Calibration
from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp_kernels import prediction as predictions


def per_event(values: ArrayLike, x: Array) -> Array:
    """Scalars, or one number for each item of the batch, shaped to broadcast against x of shape (batch, *event)."""
    values = jnp.asarray(values)
    return values.reshape(values.shape + (1,) * (x.ndim - 1)) if values.ndim else values


class BaseDenoiser:
    """What denoisers share: frozen registered dataclasses with a `schedule` and a `calibration`.

    `event_shape` is None where any shape will do; `evaluations` counts the network calls that one call makes for
    one sample.
    """

    schedule: Any
    calibration: Any
    event_shape: tuple[int, ...] | None = None
    evaluations: int = 1

    def with_calibration(self, calibration: Calibration | None) -> Any:
        """The same denoiser carrying a measured linear part, which the frame "calibrated" reads."""
        return dataclasses.replace(self, calibration=calibration)  # type: ignore[type-var]


class Wrapper(BaseDenoiser):
    """A denoiser around another: schedule, event shape and cost are the inner one's."""

    denoiser: Any

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


@pytree
@dataclass(frozen=True)
class NetworkDenoiser(BaseDenoiser):
    """A network as a denoiser; made by `denoiser`."""

    apply: Callable[..., Array] = field(metadata={"static": True})
    params: Any
    schedule: Any
    prediction: str = field(metadata={"static": True})
    dtype: Any = field(default=None, metadata={"static": True})
    calibration: Any = None

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """E[x_0 | x_t = x], (batch, *event), in the dtype of x; the conversion is never done in `dtype`."""
        t = self.schedule.level(level.log_snr).t if level.t is None else level.t
        shown, params = x, self.params
        if self.dtype is not None:
            shown, params = _cast((x, params), self.dtype)
        out = self.apply(params, shown, jnp.broadcast_to(t, x.shape[:1]), cond)
        if out.shape != x.shape:
            raise ValueError(f"apply must return an array of x's shape {x.shape}; got {out.shape}.")
        rates = self.schedule.rates(t) if self.prediction == "velocity" else ()
        coefficients = [per_event(c, x).astype(x.dtype) for c in (level.alpha, level.sigma, *rates)]
        return predictions.to_x0(self.prediction, out.astype(x.dtype), x, *coefficients)


def denoiser(
    apply: Callable[..., Array],
    params: PyTree,
    schedule: Any,
    prediction: str = "epsilon",
    dtype: jax.typing.DTypeLike | None = None,
) -> NetworkDenoiser:
    """Make a denoiser of any network: Linen, NNX, Equinox, Haiku or a plain function.

    Args:
        apply: (params, x, t, cond) -> output of x's shape, for x (batch, *event) and t (batch,) in the schedule's
            own time. It is compared by identity: pass the same function each time, or every call compiles anew.
        params: the weights, any pytree.
        schedule: how noise grew in training; see `jaxsamp.schedules`.
        prediction: what the network predicts: "x0", "epsilon" = (x - alpha x0) / sigma, "score" = -epsilon / sigma,
            "v" = (alpha epsilon - sigma x0) / sqrt(alpha^2 + sigma^2), or "velocity" = dx_t / dt.
        dtype: compute dtype of the network (weights and x are cast to it); times, levels and the state stay in
            the precision of x.

    Raises:
        ValueError: unknown prediction.
        TypeError: "velocity" under a schedule without a derivative.

    Source: Salimans and Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", arXiv 2202.00512 (v).
    """
    checks.one_of("prediction", prediction, predictions.NAMES)
    if prediction == "velocity":
        schedule.rates(0.5)
    return NetworkDenoiser(apply, params, schedule, prediction, None if dtype is None else jnp.dtype(dtype))


@pytree
@dataclass(frozen=True)
class Guided(Wrapper):
    """Classifier-free guidance; made by `guide`."""

    denoiser: Any
    scale: Any
    null: Any
    calibration: Any = None

    @property
    def evaluations(self) -> int:
        """Twice the inner denoiser's."""
        return 2 * super().evaluations

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D_null + scale (D_cond - D_null), both in one call of twice the batch."""
        if cond is None:
            raise ValueError("cond must be given to a guided denoiser; got None.")
        null = jax.tree.map(lambda leaf, like: jnp.broadcast_to(leaf, like.shape).astype(like.dtype), self.null, cond)
        twice = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), (null, x), (cond, x))
        doubled = jax.tree.map(lambda v: jnp.tile(v, 2) if jnp.ndim(v) else v, level)
        free, conditional = jnp.split(self.denoiser(twice[1], doubled, twice[0]), 2)
        return free + jnp.asarray(self.scale, x.dtype) * (conditional - free)


def guide(denoiser: Any, scale: ArrayLike, null: PyTree) -> Guided:
    """Classifier-free guidance: D_null + scale (D_cond - D_null); scale 1 is plain conditioning.

    Args:
        denoiser: a conditional denoiser.
        scale: guidance scale, a number; a leaf, so that new values do not recompile.
        null: the `cond` of "no condition" for one sample, or anything that broadcasts to a batch of them.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598 (scale = 1 + their w).
    """
    return Guided(denoiser, scale, null)


@pytree
@dataclass(frozen=True)
class Clipped(Wrapper):
    """A denoiser with a bounded output; made by `clip`."""

    denoiser: Any
    low: Any
    high: Any
    calibration: Any = None

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """The posterior mean clipped to [low, high]."""
        inner = self.denoiser(x, level, cond)
        return jnp.clip(inner, jnp.asarray(self.low, x.dtype), jnp.asarray(self.high, x.dtype))


def clip(denoiser: Any, low: ArrayLike = -1.0, high: ArrayLike = 1.0) -> Clipped:
    """Clip the posterior mean to the range of the data, [low, high].

    Raises:
        ValueError: low is not below high.
    """
    if checks.is_concrete(low, high) and not jnp.all(jnp.asarray(low) < jnp.asarray(high)):
        raise ValueError(f"low must be below high; got {low} and {high}.")
    return Clipped(denoiser, low, high)


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    """The tree with its floating leaves in `dtype`."""
    floating = lambda leaf: jnp.issubdtype(jnp.result_type(leaf), jnp.floating)  # noqa: E731
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if floating(leaf) else leaf, tree)
