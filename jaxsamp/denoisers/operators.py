"""Operators as denoisers take them: linear or not, with or without an adjoint, a mask, or a plain function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxsamp.core.pytrees import adopted, is_function
from jaxsamp.core.types import Array
from jaxsamp.corruptions import MaskOperator
from jaxsamp.denoisers.observed import boolean

TAKES = "operator must be an operator of jaxsamp.corruptions, a function of one event, or a boolean mask"


def of_all(operator: Any) -> Any:
    """The operator of all samples as a pytree: that of a mask, a user's own, or a function by identity."""
    if isinstance(operator, MaskOperator) or not callable(operator):
        mask = operator.mask if isinstance(operator, MaskOperator) else operator
        return MaskOperator(jnp.asarray(boolean(mask, TAKES)))
    return Partial(operator) if is_function(operator) else adopted("operator", operator)


def linear(operator: Any, at: Array) -> tuple[Array, Callable[[Array], Array], Callable[[Array], Array]]:
    """A at the point `at`, and the linear functions u -> A u and v -> A^T v."""
    if not hasattr(operator, "adjoint"):
        value, forward = jax.linearize(operator, at)
        transposed = jax.linear_transpose(forward, at)
        return value, forward, lambda v: transposed(v)[0]
    value = operator(at)
    shape = jax.eval_shape(operator.adjoint, value).shape
    if shape != at.shape:
        raise ValueError(f"operator.adjoint must return an array of the event's shape {at.shape}; got {shape}.")
    return value, operator, operator.adjoint
