"""Inverse problems, y = A(x_0) + noise, by the gradient of the distance to the observation (DPS)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser, Operator
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.corruptions import MaskOperator
from jaxsamp.denoisers.observed import Observing, seen
from jaxsamp.denoisers.operators import TAKES, linear, of_all


@pytree
@dataclass(frozen=True)
class DPSDenoiser(Observing):
    """A denoiser pulled towards an observation; made by `dps`."""

    denoiser: Denoiser
    y: Any
    operator: Any
    scale: Any = 1.0
    calibration: Any = None
    needs: ClassVar[tuple[str, ...]] = ("operator",)

    @property
    def evaluations(self) -> int:
        """One of the inner denoiser, and a backward pass through it."""
        return 2 * super().evaluations

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Also raise if a noise is given, which is not used."""
        super().check_cond(cond, n)
        if self.y is None and cond.noise is not None:
            raise ValueError("Observed.noise must be None for dps, whose scale takes its place.")

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D - scale s grad_u |y - A(D)| with x_t = alpha u."""
        x = checks.floating("x", x)
        (y, operator, _), axes, cond = self.observation(x, cond)
        levels = jax.tree.map(lambda v: jnp.broadcast_to(v, x.shape[:1]), level)
        return jax.vmap(self._one, (0, 0, *axes[:2], 0))(x, levels, y, operator, cond)

    def _one(self, x: Array, level: Level, y: Any, operator: Any, cond: PyTree) -> Array:
        """The result of one sample, whose gradient has a length of its own."""
        alpha, s = (jnp.asarray(v, x.dtype) for v in (level.alpha, jnp.exp(-level.log_snr)))
        single = jax.tree.map(lambda leaf: leaf[None], (level, cond))
        denoised, pull = jax.vjp(lambda u: self.denoiser((alpha * u)[None], *single)[0], x / alpha)
        predicted, _, back = linear(operator, denoised)
        if predicted.shape != jnp.shape(y):
            raise ValueError(f"operator must return y's shape {jnp.shape(y)}; got {predicted.shape}.")
        residual = jnp.asarray(y, x.dtype) - predicted
        length = jnp.sqrt(jnp.sum(residual**2))
        direction = residual / jnp.where(length > 0, length, 1)  # at the observation itself, no pull
        return denoised + jnp.asarray(self.scale, x.dtype) * s * pull(back(direction))[0]


def dps(
    denoiser: Denoiser,
    y: ArrayLike | None = None,
    operator: Operator | Callable[[Array], Array] | ArrayLike | None = None,
    scale: ArrayLike = 1.0,
) -> DPSDenoiser:
    """Pull the posterior mean towards an observation y = A(x_0) by the gradient of its distance, A linear or not.

    D_y = D - scale s grad_u |y - A(D)| with D = E[x_0 | x_t], x_t = alpha u and s = sigma / alpha. The distance is that
    of one sample, so that no sample depends on the others, and the denoiser serves every sampler at every step size. It
    is a heuristic, whose law depends on the scale, and of little use without trying several; `posterior` approximates
    the law given y and needs no scale.

    Args:
        denoiser: of the law before the observation; of a network trained on measurements, `with_operator`.
        y: the observation; None if each sample has its own, passed in `cond` as a `jaxsamp.denoisers.Observed`.
        operator: A, as for `posterior`; None if each sample has its own.
        scale: strength, a number that is not negative, in units of the data per unit of s; 0 leaves D.

    Raises:
        ValueError: shapes do not fit, the scale is negative, a seen entry of y is not finite, or y is given without an
            operator.
        TypeError: the operator is none of these.

    Source: Chung et al., "Diffusion Posterior Sampling for General Noisy Inverse Problems", arXiv 2209.14687, which
    subtracts the gradient from x in each step of DDPM; here it is a denoiser.
    """
    if y is not None and operator is None:
        raise ValueError("operator must be given with y; got None.")
    if checks.is_concrete(checks.floating("scale", scale)) and not float(jnp.asarray(scale)) >= 0:
        raise ValueError(f"scale must be at least 0; got {scale}.")
    operator = None if operator is None else of_all(operator)
    if isinstance(operator, MaskOperator):
        y = seen(denoiser, y, operator.mask, TAKES)
    elif y is not None and checks.is_concrete(y):
        checks.finite("y", y)
    return DPSDenoiser(denoiser, None if y is None else jnp.asarray(y), operator, scale)
