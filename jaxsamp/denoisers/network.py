"""Any network as a denoiser."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.pytrees import is_function, pytree
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.corruptions.condition import split
from jaxsamp.denoisers.base import BaseDenoiser, per_event
from jaxsamp_kernels import prediction as predictions


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
    draft: Any = None
    dropped: float | None = field(default=None, metadata={"static": True, "fact": True})  # of conditions, in training

    @property
    def magnitude(self) -> float | None:
        """That of the calibration, or of the data that a `jaxsamp.models.Model` was trained on."""
        own, found = super().magnitude, getattr(self.apply, "magnitude", None)
        return found if own is None and isinstance(found, float) else own

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise one sentence if the network knows its labels, as a `jaxsamp.models.Model` does, and has not these."""
        if self.dropped == 0 and split(cond)[1] is None:
            raise ValueError(
                "cond must be given to a network that was trained with conditions of which none was dropped; got None."
            )
        check = getattr(self.apply, "check_cond", None)  # most networks do not know what they take
        if check is not None:
            check(cond, n)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """E[x_0 | x_t = x], (batch, *event), in the floating dtype of x, in which the prediction is also converted."""
        x = checks.floating("x", x)
        t = self.schedule.level(level.log_snr).t if level.t is None else level.t
        shown, params = x, self.params
        if self.dtype is not None:
            shown, params = _cast((x, params), self.dtype)
        if isinstance(params, Parts):
            params = params.whole()
        out = self.apply(params, shown, jnp.broadcast_to(t, x.shape[:1]), cond)
        if not hasattr(out, "dtype") or jnp.issubdtype(out.dtype, jnp.complexfloating):
            got = out.dtype if hasattr(out, "dtype") else f"a {type(out).__name__}"
            raise TypeError(f"apply must return one array of real numbers, of x's shape {x.shape}; got {got}.")
        if out.shape != x.shape:
            raise ValueError(f"apply must return an array of x's shape {x.shape}; got {out.shape}.")
        rates = self.schedule.rates(t) if self.prediction == "velocity" else ()
        coefficients = [per_event(c, x).astype(x.dtype) for c in (level.alpha, level.sigma, *rates)]
        return predictions.to_x0(self.prediction, out.astype(x.dtype), x, *coefficients)


@pytree
@dataclass(frozen=True)
class Parts:
    """Weights of a module that holds functions too, as in Equinox: its arrays, and all else as structure."""

    arrays: tuple[Any, ...]
    functions: tuple[Any, ...] = field(metadata={"static": True})  # None where there is an array
    structure: Any = field(metadata={"static": True})

    @classmethod
    def of(cls, params: PyTree) -> PyTree:
        """The parts of `params`; `params` itself if no function is in it."""
        leaves, structure = jax.tree.flatten(params)
        functions = tuple(leaf if is_function(leaf) else None for leaf in leaves)
        arrays = tuple(leaf for leaf, function in zip(leaves, functions, strict=True) if function is None)
        return params if len(arrays) == len(leaves) else cls(arrays, functions, structure)

    def whole(self) -> PyTree:
        """The module."""
        arrays = iter(self.arrays)
        return jax.tree.unflatten(self.structure, [next(arrays) if f is None else f for f in self.functions])


def denoiser(
    apply: Callable[..., Array],
    params: PyTree,
    schedule: Schedule,
    prediction: str = "epsilon",
    dtype: jax.typing.DTypeLike | None = None,
) -> NetworkDenoiser:
    """Make a denoiser of any network: Linen, NNX, Equinox, Haiku or a plain function.

    Args:
        apply: (params, x, t, cond) -> output of x's shape, for x (batch, *event) and t (batch,) in the schedule's
            own time. It is compared by identity: pass the same function each time, or every call compiles again.
        params: the weights, any pytree; functions in it, as in an Equinox module, are part of its structure.
        schedule: how noise grew in training; see `jaxsamp.schedules`.
        prediction: what the network predicts: "x0", "epsilon" = (x - alpha x0) / sigma, "score" = -epsilon / sigma,
            "v" = (alpha epsilon - sigma x0) / sqrt(alpha^2 + sigma^2), or "velocity" = dx_t / dt.
        dtype: compute dtype of the network (weights and x are cast to it); times, levels and the state stay in
            the precision of x.

    Raises:
        ValueError: the prediction is unknown.
        TypeError: `apply` does not take four arguments or, when it is called, does not return real numbers; `schedule`
            is not a schedule, or the prediction is "velocity" and the schedule has no derivative.

    Source: Salimans and Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", arXiv 2202.00512 (v).
    """
    _check_apply(apply)
    checks.one_of("prediction", prediction, predictions.NAMES)
    checks.schedule(schedule)
    if prediction == "velocity":
        schedule.rates(0.5)
    return NetworkDenoiser(apply, Parts.of(params), schedule, prediction, None if dtype is None else jnp.dtype(dtype))


def _check_apply(apply: Any) -> None:
    """Raise TypeError unless it can be called with (params, x, t, cond)."""
    if not callable(apply):
        raise TypeError(f"apply must be a function (params, x, t, cond); got a {type(apply).__name__}.")
    try:
        signature = inspect.signature(apply)
    except (TypeError, ValueError):  # not known, as of some functions that are not written in Python
        return
    try:
        signature.bind(*range(4))
    except TypeError:
        raise TypeError(f"apply must take four arguments, (params, x, t, cond); got a function {signature}.") from None


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    """The tree with its floating leaves in `dtype`."""
    floating = lambda leaf: jnp.issubdtype(jnp.result_type(leaf), jnp.floating)  # noqa: E731
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if floating(leaf) else leaf, tree)
