"""Classifier-free guidance."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree, wide
from jaxsamp.corruptions import Corrupted
from jaxsamp.corruptions.condition import split
from jaxsamp.denoisers.base import Wrapper, per_event
from jaxsamp.denoisers.scales import Scale, noise_level, scale_at, scale_of


@pytree
@dataclass(frozen=True)
class Guided(Wrapper):
    """Classifier-free guidance; made by `guide`."""

    denoiser: Denoiser
    scale: Any
    null: Any
    interval: Any = None
    rescale: Any = None
    calibration: Any = None

    @property
    def evaluations(self) -> int:
        """Twice the number of the inner denoiser: with an interval the largest number of a call, at whatever level."""
        return 2 * super().evaluations

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise one sentence unless `cond` is given and the inner denoiser takes it."""
        _fitting(self.null, split(cond)[1])
        super().check_cond(cond, n)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D_null + scale (D_cond - D_null), in one call of twice the batch, or in two if the second may be left out."""
        operator, given = split(cond)
        _fitting(self.null, given)  # the values of `cond` are checked once at the front door, not at every step
        given = jax.tree.map(wide, given)
        null = jax.tree.map(lambda leaf, like: jnp.broadcast_to(leaf, like.shape).astype(like.dtype), self.null, given)
        if operator is not None:
            null, given = Corrupted(operator, null), Corrupted(operator, given)
        if self.interval is None:
            twice = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), (null, x), (given, x))
            doubled = jax.tree.map(lambda v: jnp.tile(v, 2) if jnp.ndim(v) else v, level)
            free, conditional = jnp.split(self.denoiser(twice[1], doubled, twice[0]), 2)
            return self._combined(free, conditional, level)
        noise = noise_level(level)
        inside = (self.interval[0] < noise) & (noise <= self.interval[1])
        conditional = self.denoiser(x, level, given)

        def guided() -> Array:
            found = self._combined(self.denoiser(x, level, null), conditional, level)
            return jnp.where(per_event(inside, x), found, conditional)

        return lax.cond(jnp.any(inside), guided, lambda: conditional)

    def _combined(self, free: Array, conditional: Array, level: Level) -> Array:
        """The guided posterior mean."""
        guided = free + scale_at(self.scale, level, free) * (conditional - free)
        if self.rescale is None:
            return guided
        before, after = (jnp.std(d, tuple(range(1, d.ndim)), keepdims=True) for d in (conditional, guided))
        ratio = jnp.where(after > 0, before / jnp.where(after > 0, after, 1), 1)
        return guided * (1 + jnp.asarray(self.rescale, free.dtype) * (ratio - 1))


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


def _never_seen(denoiser: Any, null: PyTree) -> bool:
    """Whether `null` is the "no condition" of a `Model`, its label `classes` or zeros, and no condition of the data."""
    label = null.get("label", 0) if isinstance(null, dict) else null
    own = getattr(getattr(denoiser.apply, "network", None), "classes", 0)
    return checks.is_concrete(label) and bool(np.all(np.asarray(label) == own))


def guide(
    denoiser: Denoiser,
    scale: Scale,
    null: PyTree,
    interval: tuple[ArrayLike, ...] | None = None,
    rescale: ArrayLike | None = None,
) -> Guided:
    """Classifier-free guidance: D_null + scale (D_cond - D_null); scale 1 is plain conditioning.

    All settings are leaves, so new values do not recompile. With an interval the evaluation of D_null is left out where
    all levels of a call are outside, under `jit` too, if samples share the levels, as they do in samplers that step
    along the grid; samplers that draw levels for each sample compute it always, and use it inside. `stats` counts two
    evaluations per call either way, which is the largest number.

    Args:
        denoiser: a conditional denoiser.
        scale: guidance scale: a number; a table (levels, scales), of increasing noise levels sigma / alpha and the
            scales there, linear in the log of the level between them and constant beyond; or a function of
            sigma / alpha, in the shape of the level, () or (batch,). A function is compared by identity: pass its own
            numbers by `jax.tree_util.Partial(function, numbers)`, and new ones do not recompile.
        null: the `cond` of "no condition" for one sample, or a value that broadcasts to a batch of them. Where `cond`
            is a `jaxsamp.corruptions.Corrupted`, it is that of its other conditions: both calls have the operator.
        interval: (low, high), noise levels sigma / alpha, 0 <= low < high: guidance where low < sigma / alpha <= high,
            and D_cond elsewhere. None: everywhere.
        rescale: phi in [0, 1]: the guided D is multiplied by 1 + phi (r - 1), where r is the standard deviation of the
            numbers of D_cond over that of the guided D, in each sample. None: no rescaling, which is 0.

    The network must have been trained with some conditions replaced by "no condition", as
    `jaxsamp.training.denoising_loss(drop=0.1)` and `jaxsamp train` do; `jaxsamp.fit` by itself drops none.

    Raises:
        ValueError: null is the "no condition" of a network that `jaxsamp.fit` has never shown it; or is None, or, once
            cond is known, does not fit it; the table, the interval or rescale is not as above.
        TypeError: scale is none of these, or one of the others is not a number.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598 (scale = 1 + their w); Kynkaanniemi
    et al., "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion Models",
    arXiv 2404.07724 (interval); Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", arXiv
    2305.08891, which rescales the prediction of the network (rescale).
    """
    if null is None:
        raise ValueError('null must be the cond that means "no condition", such as a label of its own; got None.')
    if getattr(denoiser, "dropped", None) == 0 and _never_seen(denoiser, null):
        raise ValueError(
            "denoiser must have been trained with some conditions dropped, as by "
            "jaxsamp.fit(..., loss=jaxsamp.training.denoising_loss(drop=0.1)); of this one none were."
        )
    scale = scale_of(scale)
    if interval is not None:
        interval = _interval(interval)
    if rescale is not None:
        concrete = checks.is_concrete(checks.floating("rescale", rescale))
        if concrete and not 0 <= float(jnp.asarray(rescale)) <= 1:
            raise ValueError(f"rescale must be in [0, 1]; got {rescale}.")
    return Guided(denoiser, scale, null, interval, rescale)


def _interval(interval: Any) -> tuple[Any, Any]:
    """The interval as it was given, if it is one."""
    if not isinstance(interval, tuple | list) or len(interval) != 2:
        raise TypeError(f"interval must be two noise levels sigma / alpha, (low, high); got {interval!r}.")
    low, high = (checks.floating("interval", end) for end in interval)
    if checks.is_concrete(low, high) and not 0 <= np.asarray(low) < np.asarray(high):
        raise ValueError(f"interval must be (low, high) with 0 <= low < high; got {tuple(interval)}.")
    return low, high
