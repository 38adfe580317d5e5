"""The condition of a denoiser that sees a part of x_t alone: the operator of each sample, and other conditions."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp.core import shown
from jaxsamp.core.types import Array, PyTree


class Corrupted(NamedTuple):
    """The operators A of n samples, and what else the network is conditioned on.

    As the `cond` of a denoiser D it means E[x_0 | P x_t, A, cond], with P = A^+ A: whatever x_t is where A does not see
    it, the answer is the same. Without another condition the operators can be given themselves.

    Attributes:
        operator: n operators as one (`jaxsamp.corruptions`), whose arrays have a leading axis n.
        cond: the condition of the network, leaves (n, ...), or None.
    """

    operator: PyTree
    cond: PyTree = None

    def __repr__(self) -> str:
        return shown.line(self)


def split(cond: PyTree) -> tuple[Any, PyTree]:
    """(operator, other conditions) of a `cond`; the operator is None if there is none."""
    if isinstance(cond, Corrupted):
        return cond.operator, cond.cond
    return (cond, None) if hasattr(cond, "projector") else (None, cond)


def projected(operator: Any, x: Array) -> Array:
    """P_i x_i of each sample, (n, *event)."""
    return jax.vmap(lambda a, event: a.projector(event))(operator, x)


def for_network(operator: Any, cond: PyTree) -> dict[str, Array]:
    """The condition of a network of `jaxsamp.models`: what it is told of each operator, beside its other conditions.

    Raises:
        ValueError: both have a part of the same name, "vector" or "channels".
    """
    told = jax.vmap(lambda a: a.condition())(operator)
    if not isinstance(cond, dict):
        kind = None if cond is None else "label" if jnp.issubdtype(cond.dtype, jnp.integer) else "vector"
        cond = {} if kind is None else {kind: cond}
    if both := told.keys() & cond.keys():
        raise ValueError(
            f"cond must not have {sorted(both)[0]!r} beside a {type(operator).__name__}, which is told to the network "
            "by that name."
        )
    return cond | told
