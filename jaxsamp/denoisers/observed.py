"""Observations: one that a denoiser holds for all samples, or one per sample, passed in `cond`."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, shown
from jaxsamp.core.types import Array, ArrayLike, PyTree
from jaxsamp.corruptions import MaskOperator
from jaxsamp.denoisers.base import Wrapper

OPERATORS = "an operator such as jaxsamp.corruptions.DenseOperator, or a boolean mask"


class Observed(NamedTuple):
    """The observations of n samples: the `cond` of a denoiser that holds no observation itself.

    Every array has one entry per sample, in the order of the samples, and is sliced with them.

    Attributes:
        y: the observations, (n, *shape of one); with masks (n, *event), ignored where the mask is False.
        operator: A of each sample: n operators as one (`jaxsamp.corruptions`; any callable pytree whose leaves have a
            leading axis n), or boolean masks (n, *event). An operator without arrays is the same for all. None
            if the denoiser holds one for all.
        noise: standard deviations, (n,) or of y's shape; None if the denoiser holds one for all, and for `inpaint`.
        cond: the condition of the inner denoiser, leaves (n, ...).
    """

    y: ArrayLike
    operator: PyTree = None
    noise: ArrayLike | None = None
    cond: PyTree = None

    def __repr__(self) -> str:
        return shown.line(self)


class Observing(Wrapper):
    """Base class of denoisers given an observation: y, the same for all samples, or, if y is None, that in `cond`."""

    y: Any
    operator: Any
    noise: Any = None
    needs: ClassVar[tuple[str, ...]] = ("operator", "noise")

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise unless `cond` is an `Observed` of n samples or, if this denoiser holds y, what the inner one takes.

        Raises:
            TypeError: `cond` is not an `Observed`, or an operator is not one.
            ValueError: no denoiser takes the `Observed`; a part is given twice or not at all; shapes do not fit;
                noise is negative; a seen entry of y is not finite.
        """
        if self.y is not None:
            if isinstance(cond, Observed) and not _takes_observed(self.denoiser):
                raise ValueError(
                    "cond must not be an Observed, because this denoiser holds an observation for all samples; make "
                    "the denoiser without y, or give the condition of the inner denoiser."
                )
            return super().check_cond(cond, n)
        if not isinstance(cond, Observed):
            got = "None" if cond is None else f"a {type(cond).__name__}"
            raise TypeError(
                "cond must be jaxsamp.denoisers.Observed(y, ...) with one observation per sample, because this "
                f"denoiser holds none; got {got}."
            )
        for name in self.needs:
            held, given = getattr(self, name), getattr(cond, name)
            if (held is None) == (given is None):
                got = "neither" if held is None else "both"
                raise ValueError(f"{name} must be given to the denoiser, for all samples, or in Observed; got {got}.")
        check_observed(cond, n, self.operator)
        return super().check_cond(cond.cond, n)

    def observation(self, x: Array, cond: PyTree) -> tuple[tuple[Any, Any, Any], tuple[int | None, ...], PyTree]:
        """(y, operator, noise) for the samples x, for each the axis of samples or None, and the inner `cond`."""
        self.check_cond(cond, len(x))
        if self.y is not None:
            known, axes = (self.y, self.operator, self.noise), (None, None, None)
        else:
            given = (cond.y, as_operator(cond.operator), cond.noise)
            held = (None, self.operator, self.noise)
            known = tuple(g if h is None else h for g, h in zip(given, held, strict=True))
            axes, cond = tuple(0 if h is None else None for h in held), cond.cond
        y, operator, noise = known
        if isinstance(operator, MaskOperator):
            shape = jnp.shape(operator.mask)[0 if axes[1] is None else 1 :]
            if shape != x.shape[1:]:
                raise ValueError(f"mask must be of the event's shape {x.shape[1:]}; got {shape}.")
            if self.y is None:  # a y that the denoiser holds is zero there already
                y = jnp.where(jnp.asarray(operator.mask), jnp.asarray(y), 0)
        return (y, operator, noise), axes, cond

    def apart(self, cond: PyTree) -> tuple[tuple[Any, Any, Any], PyTree]:
        """(y, operator, noise) of one sample, the leaves of whose `cond` have no axis of samples, and the inner `cond`.

        Used with the denoiser before the observation, `self.denoiser`.
        """
        if self.y is not None:
            return (self.y, self.operator, self.noise), cond
        y, operator, noise = cond.y, as_operator(cond.operator), cond.noise
        operator = self.operator if operator is None else operator
        if isinstance(operator, MaskOperator):
            y = jnp.where(jnp.asarray(operator.mask), jnp.asarray(y), 0)
        return (y, operator, self.noise if noise is None else noise), cond.cond


def check_observed(given: Observed, n: int, held: Any = None) -> None:
    """Raise unless the parts that are given are those of n samples and fit each other; `held` is A of all samples.

    Raises:
        TypeError: a part is not an array, or an operator is not one.
        ValueError: shapes do not fit; noise is negative; a seen entry of y is not finite.
    """
    _check_leaves(given, n)
    _check_values(given, held if given.operator is None else given.operator)


def as_operator(got: Any) -> Any:
    """A mask as an operator; other operators unchanged."""
    return got if got is None or callable(got) else MaskOperator(got)


def boolean(mask: Any, takes: str) -> Any:
    """The mask if it is a boolean array, else TypeError; `takes` is the start of its sentence."""
    if not (hasattr(mask, "dtype") and mask.dtype == jnp.bool_):
        got = f"dtype {mask.dtype}" if hasattr(mask, "dtype") else f"a {type(mask).__name__}"
        raise TypeError(f"{takes}; got {got}.")
    return mask


def seen(denoiser: Any, y: ArrayLike | None, mask: Any, takes: str) -> Array | None:
    """y where the mask is True, and zero elsewhere; `denoiser`, or a law, may know the event's shape.

    `takes` is the start of the sentence if the mask is not boolean.
    """
    mask, event = boolean(mask, takes), getattr(denoiser, "event_shape", None)
    if event is not None and mask.shape != tuple(event) or y is not None and jnp.shape(y) != mask.shape:
        shape = "" if event is None else f" {tuple(event)}"
        what, got = ("mask", "") if y is None else ("y and mask", f"{jnp.shape(y)} and ")
        raise ValueError(f"{what} must have the event's shape{shape}; got {got}{mask.shape}.")
    if y is None:
        return None
    known = jnp.where(mask, jnp.asarray(y), 0)
    if checks.is_concrete(known):
        checks.finite("y", known)
    return known


def _takes_observed(denoiser: Any) -> bool:
    """Whether this denoiser, or one inside it, takes an `Observed`."""
    while denoiser is not None:
        if isinstance(denoiser, Observing) and denoiser.y is None:
            return True
        denoiser = getattr(denoiser, "denoiser", None)
    return False


def _check_leaves(given: Observed, n: int) -> None:
    """Raise unless all parts but the inner `cond` are arrays with one entry per sample, n of them."""
    if given.operator is not None and not callable(given.operator):
        boolean(given.operator, f"Observed.operator must be {OPERATORS}")
    if not jax.tree.leaves(given.y):
        raise ValueError(f"Observed.y must be an array of shape ({n}, ...); got {given.y}.")
    for name in ("y", "operator", "noise"):
        for leaf in jax.tree.leaves(getattr(given, name)):
            if not isinstance(leaf, bool | int | float) and not hasattr(leaf, "shape"):
                takes, got = OPERATORS if name == "operator" else "an array", type(leaf).__name__
                raise TypeError(
                    f"Observed.{name} must be {takes}, with one entry per sample; got a {got}, which only the "
                    "denoiser takes, for all samples."
                )
            if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != n:
                got = jnp.shape(leaf)
                raise ValueError(f"Observed.{name} must have one entry per sample, shape ({n}, ...); got {got}.")


def _check_values(given: Observed, operator: Any) -> None:
    """Raise unless the observations fit the masks and the noise, and seen entries are finite."""
    y, noise, mask = given.y, given.noise, None
    if isinstance(operator := as_operator(operator), MaskOperator):
        mask, held = operator.mask, given.operator is None
        if jnp.shape(y)[1 if held else 0 :] != jnp.shape(mask):
            raise ValueError(f"Observed.y must have the masks' shape; got {jnp.shape(y)} for {jnp.shape(mask)}.")
        boolean(mask, "Observed.operator must have a boolean mask")
    if noise is not None and jnp.shape(noise) not in (jnp.shape(y)[:1], jnp.shape(y)):
        raise ValueError(
            f"Observed.noise must be of shape {jnp.shape(y)[:1]} or y's {jnp.shape(y)}; got {jnp.shape(noise)}."
        )
    if noise is not None and checks.is_readable(noise) and not (checks.finite("Observed.noise", noise) >= 0).all():
        raise ValueError(f"Observed.noise must be at least 0; got {np.min(noise)}.")
    if checks.is_readable(y, mask):
        checks.finite("Observed.y", y if mask is None else np.where(mask, y, 0))
