"""Many samples by a function of one."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from jaxsamp.core.types import PyTree


def each(function: Callable[[Any], PyTree], items: PyTree, microbatch: int | None) -> PyTree:
    """`function` of every item, the leaves' first axis: all at once, or at most `microbatch` at a time."""
    if microbatch is None or microbatch >= jax.tree.leaves(items)[0].shape[0]:
        return jax.vmap(function)(items)
    return lax.map(function, items, batch_size=microbatch)
