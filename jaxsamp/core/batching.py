"""A function of one sample applied to many."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from jaxsamp.core.types import PyTree


def each(function: Callable[[Any], PyTree], items: PyTree, microbatch: int | None) -> PyTree:
    """`function` of every item along the first axis of the leaves: all at once, or at most `microbatch` at a time."""
    if microbatch is None or microbatch >= jax.tree.leaves(items)[0].shape[0]:
        return jax.vmap(function)(items)
    return lax.map(function, items, batch_size=microbatch)
