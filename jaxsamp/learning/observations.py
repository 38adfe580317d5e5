"""Observations to learn from: y_i = A_i x_i + noise n_i, with an operator of its own for each sample."""

from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import adopted
from jaxsamp.core.types import Array, PyTree
from jaxsamp.corruptions import MaskOperator
from jaxsamp.denoisers import Observed
from jaxsamp.denoisers.observed import as_operator, check_observed

PARTS = ("y", "operator", "noise")


class Observations(NamedTuple):
    """What was observed of n samples that nobody has seen.

    Attributes:
        given: y, the operators and the noise, with one entry per sample; y is 0 where a mask hides it.
        event: shape of one sample.
    """

    given: Observed
    event: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of entries of one sample."""
        return prod(self.event)

    @property
    def measured(self) -> int:
        """Number of entries of one observation."""
        return np.size(self.given.y) // len(self)

    def __len__(self) -> int:
        return len(self.given.y)  # pyright: ignore[reportArgumentType]


def observations(measured: Any) -> Observations:
    """The observations in `Measurements`, or in any object with attributes y, operator and noise, as an `Observed`.

    Raises:
        TypeError: it has no such attributes, a part is not an array, or the operator has no adjoint.
        ValueError: a part is None, parts do not fit each other, noise is negative, or seen entries are not finite.
    """
    if isinstance(measured, type) or not all(hasattr(measured, name) for name in PARTS):
        got = f"an array of shape {measured.shape}" if hasattr(measured, "shape") else f"a {type(measured).__name__}"
        raise TypeError(
            "measured must be jaxsamp.corruptions.Measurements, as jaxsamp.corruptions.corrupt makes them, or have "
            f"attributes y, operator and noise, as a jaxsamp.denoisers.Observed; clean samples are learned by "
            f"jaxsamp.fit; got {got}."
        )
    y, operator, noise = (getattr(measured, name) for name in PARTS)
    for name, part in zip(PARTS, (y, operator, noise), strict=True):
        if part is None:
            raise ValueError(f"measured.{name} must be given for each sample; got None.")
    if isinstance(measured, Observed) and measured.cond is not None:
        raise ValueError("measured.cond must be None, because the law is learned without conditions; got conditions.")
    y = np.asarray(checks.floating("measured.y", y))
    if y.ndim < 2 or len(y) < 2:
        raise ValueError(f"measured.y must be at least 2 observations, of shape (n, *shape of one); got {y.shape}.")
    if np.ndim(noise) == 0:
        noise = np.full(len(y), noise)
    operator = as_operator(operator)
    if not hasattr(operator, "adjoint"):
        raise TypeError(
            f"measured.operator must have an adjoint, or be boolean masks; got a {type(operator).__name__}."
        )
    operator = adopted("measured.operator", operator)
    given = Observed(y, operator, np.asarray(checks.floating("measured.noise", noise)))
    check_observed(given, len(y))
    if isinstance(operator, MaskOperator):
        seen = np.asarray(operator.mask)
        return Observations(given._replace(y=np.where(seen, y, 0).astype(y.dtype)), seen.shape[1:])
    event = jax.eval_shape(jax.vmap(lambda a, y: a.adjoint(y)), operator, y).shape[1:]
    back = jax.eval_shape(jax.vmap(lambda a, x: a(x)), operator, jnp.zeros((len(y), *event), y.dtype)).shape
    if back != y.shape:
        raise ValueError(f"measured.operator must return y's shape {y.shape[1:]}; got {back[1:]}.")
    return Observations(given, event)


def matrix(operator: PyTree, units: Array) -> Array:
    """The operator of one sample as (m, d), for the unit vectors (d, *event)."""
    return jax.vmap(operator)(units).reshape(len(units), -1).T
