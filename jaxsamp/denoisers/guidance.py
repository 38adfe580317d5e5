"""Classifier-free guidance."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree, wide
from jaxsamp.corruptions import Corrupted
from jaxsamp.corruptions.condition import split
from jaxsamp.denoisers.base import Wrapper


@pytree
@dataclass(frozen=True)
class Guided(Wrapper):
    """Classifier-free guidance; made by `guide`."""

    denoiser: Denoiser
    scale: Any
    null: Any
    calibration: Any = None

    @property
    def evaluations(self) -> int:
        """Twice the number of the inner denoiser."""
        return 2 * super().evaluations

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise one sentence unless `cond` is given and the inner denoiser takes it."""
        _fitting(self.null, split(cond)[1])
        super().check_cond(cond, n)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D_null + scale (D_cond - D_null), both in one call of twice the batch."""
        operator, given = split(cond)
        _fitting(self.null, given)  # the values of `cond` are checked once at the front door, not at every step
        given = jax.tree.map(wide, given)
        null = jax.tree.map(lambda leaf, like: jnp.broadcast_to(leaf, like.shape).astype(like.dtype), self.null, given)
        if operator is not None:
            null, given = Corrupted(operator, null), Corrupted(operator, given)
        twice = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), (null, x), (given, x))
        doubled = jax.tree.map(lambda v: jnp.tile(v, 2) if jnp.ndim(v) else v, level)
        free, conditional = jnp.split(self.denoiser(twice[1], doubled, twice[0]), 2)
        return free + jnp.asarray(self.scale, free.dtype) * (conditional - free)


def _fitting(null: PyTree, cond: PyTree) -> None:
    """Raise one sentence unless `cond` is given and has the structure of `null`, which broadcasts to it."""
    if cond is None:
        raise ValueError("cond must be given to a guided denoiser; got None.")
    if jax.tree.structure(null) != jax.tree.structure(cond):
        found = f"{jax.tree.structure(null)} and {jax.tree.structure(cond)}"
        raise ValueError(f"null must have the structure of cond, of which it is one; got {found}.")
    for leaf, like in zip(jax.tree.leaves(null), jax.tree.leaves(cond), strict=True):
        sizes, shape = jnp.shape(leaf), jnp.shape(like)
        if len(sizes) > len(shape) or any(a not in (1, b) for a, b in zip(sizes[::-1], shape[::-1], strict=False)):
            raise ValueError(f"null must have leaves that broadcast to those of cond, {shape}; got {sizes}.")


def guide(denoiser: Denoiser, scale: ArrayLike, null: PyTree) -> Guided:
    """Classifier-free guidance: D_null + scale (D_cond - D_null); scale 1 is plain conditioning.

    Args:
        denoiser: a conditional denoiser.
        scale: guidance scale, a number. It is a leaf, so new values do not recompile.
        null: the `cond` of "no condition" for one sample, or a value that broadcasts to a batch of them. Where `cond`
            is a `jaxsamp.corruptions.Corrupted`, it is that of its other conditions: both calls have the operator.

    Raises:
        ValueError: null is None, or, once cond is known, does not fit it.
        TypeError: scale is not a number.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598 (scale = 1 + their w).
    """
    if null is None:
        raise ValueError('null must be the cond that means "no condition", such as a label of its own; got None.')
    checks.floating("scale", scale)
    return Guided(denoiser, scale, null)
