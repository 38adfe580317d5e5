"""Inpainting by replacement: the seen entries replace those of the posterior mean."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp

from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.corruptions import MaskOperator
from jaxsamp.denoisers.observed import Observing, seen


@pytree
@dataclass(frozen=True)
class Inpainted(Observing):
    """A denoiser whose output is partly known; made by `inpaint`."""

    denoiser: Denoiser
    y: Any
    operator: Any
    calibration: Any = None
    needs: ClassVar[tuple[str, ...]] = ("operator",)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """The observation where the mask is True, and the posterior mean elsewhere."""
        (y, operator, _), _, cond = self.observation(x, cond)
        inner = self.denoiser(x, level, cond)
        return jnp.where(operator.mask, jnp.asarray(y, inner.dtype), inner)

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Also raise unless the operators are masks and there is no noise."""
        super().check_cond(cond, n)
        if self.y is not None:
            return
        if callable(cond.operator) and not isinstance(cond.operator, MaskOperator):
            raise TypeError(f"Observed.operator must be boolean masks; got a {type(cond.operator).__name__}.")
        if cond.noise is not None:
            raise ValueError("Observed.noise must be None for inpaint, which takes y as exact.")


def inpaint(denoiser: Denoiser, y: ArrayLike | None = None, mask: ArrayLike | MaskOperator | None = None) -> Inpainted:
    """Replace the posterior mean by y where mask is True: no backward pass, and the seen entries end at y exactly.

    During sampling the seen entries of x_t are alpha y + sigma z, with their starting noise z. The other entries follow
    the law given *these* noisy values, not given y, which is an approximation even for normal data. Langevin steps
    between the steps of the sampler (`jaxsamp.samplers.PredictorCorrector`) serve the same purpose as the returns to
    higher noise in RePaint.

    Args:
        denoiser: of the law before the observation.
        y: the observation, of the event's shape, the same for all samples; ignored where mask is False. None if
            each sample has its own, which is passed in `cond` as a `jaxsamp.denoisers.Observed`.
        mask: boolean, of the event's shape, or its `jaxsamp.corruptions.MaskOperator`; None if each sample has its own.

    Returns:
        A denoiser.

    Raises:
        ValueError: shapes do not fit, a seen entry of y is not finite, or y is given without a mask.
        TypeError: the mask is not boolean.

    Source: Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", arXiv 2011.13456
    (imputation); Lugmayr et al., "RePaint: Inpainting Using Denoising Diffusion Probabilistic Models", arXiv
    2201.09865.
    """
    mask = mask.mask if isinstance(mask, MaskOperator) else mask
    if mask is None:
        if y is not None:
            raise ValueError("mask must be given with y; got None.")
        return Inpainted(denoiser, None, None)
    y = seen(denoiser, y, mask, "mask must be boolean")
    return Inpainted(denoiser, y, MaskOperator(jnp.asarray(mask)))
