"""Inpainting by replacement: what was seen is put in the place of the posterior mean."""

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
    """A denoiser whose output is known in part; made by `inpaint`."""

    denoiser: Denoiser
    y: Any
    operator: Any
    calibration: Any = None
    needs: ClassVar[tuple[str, ...]] = ("operator",)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """The observation where there is one, elsewhere the posterior mean."""
        (y, operator, _), _, cond = self.observation(x, cond)
        return jnp.where(operator.mask, jnp.asarray(y, x.dtype), self.denoiser(x, level, cond))

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Also that the operators are masks, and that there is no noise."""
        super().check_cond(cond, n)
        if self.y is not None:
            return
        if callable(cond.operator) and not isinstance(cond.operator, MaskOperator):
            raise TypeError(f"Observed.operator must be boolean masks; got a {type(cond.operator).__name__}.")
        if cond.noise is not None:
            raise ValueError("Observed.noise must be None for inpaint, which takes y for exact.")


def inpaint(denoiser: Denoiser, y: ArrayLike | None = None, mask: ArrayLike | MaskOperator | None = None) -> Inpainted:
    """Replace the posterior mean by y where mask is True: no backward pass, and the seen entries end at y exactly.

    Along the way the seen entries of x_t are alpha y + sigma z, with the noise z that they started with. The others
    follow the law given *these*, not given y: an approximation even for normal data. Langevin steps between those of
    the sampler (`jaxsamp.samplers.PredictorCorrector`) do what RePaint's returns to higher noise do.

    Args:
        denoiser: of the law before the observation.
        y: the observation, of the event's shape, the same for all samples; ignored where mask is False. None where
            each sample has its own, which `cond` then brings as a `jaxsamp.denoisers.Observed`.
        mask: boolean, of the event's shape, or its `jaxsamp.corruptions.MaskOperator`; None where each sample has its
            own.

    Returns:
        A denoiser.

    Raises:
        ValueError: shapes that do not fit, y not finite where it was seen, or y without a mask.
        TypeError: a mask that is not boolean.

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
