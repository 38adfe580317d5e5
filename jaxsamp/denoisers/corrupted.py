"""Denoisers that see x_t through operators: one operator for all samples, guidance by several, and restoration.

The denoiser of a network that was trained on measurements takes the operator of each sample in `cond`, and answers
E[x_0 | P x_t, A]. To sample from it is to choose operators: those that the law draws ("fixed mask": each sample is made
through one operator of its own), or one that hides nothing (`with_operator`, "full mask").
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.corruptions import Corrupted, Measurements
from jaxsamp.corruptions.condition import split
from jaxsamp.denoisers.base import Wrapper, per_event

CLEANEST = 0.02  # sigma / alpha at which exact measurements are restored: few networks train at lower ones


@pytree
@dataclass(frozen=True)
class OperatorDenoiser(Wrapper):
    """A denoiser that holds one operator for all samples; made by `with_operator`."""

    denoiser: Denoiser
    operator: Any
    calibration: Any = None

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise ValueError if `cond` has operators too, or one sentence unless the inner denoiser takes the rest."""
        if split(cond)[0] is not None:
            raise ValueError("cond must not have operators, because this denoiser holds one for all samples.")
        super().check_cond(self._given(cond, n), n)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """E[x_0 | P x_t, A, cond]."""
        return self.denoiser(x, level, self._given(cond, len(x)))

    def _given(self, cond: PyTree, n: int) -> Corrupted:
        shared = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n, *jnp.shape(leaf))), self.operator)
        return Corrupted(shared, cond)


def with_operator(denoiser: Denoiser, operator: Any) -> OperatorDenoiser:
    """The denoiser with one operator for all samples, so that `cond` needs none.

    With `law.full(event_shape)`, which hides nothing, it is an ordinary denoiser of x_0. In training such an operator
    was rarely seen, if at all, so that it may be worse or better than operators drawn by the law: compare both.

    Args:
        denoiser: takes operators in `cond`, such as that of a network trained on measurements.
        operator: A, one operator of `jaxsamp.corruptions`, without a leading axis.

    Raises:
        TypeError: the operator has no `projector`.
    """
    if not hasattr(operator, "projector"):
        raise TypeError(
            "operator must be one of jaxsamp.corruptions, such as Mask(0.5).full(event_shape); got a "
            f"{type(operator).__name__}."
        )
    return OperatorDenoiser(denoiser, operator)


@pytree
@dataclass(frozen=True)
class ReconstructionGuidance(Wrapper):
    """A denoiser guided by several operators; made by `guide_reconstruction`."""

    denoiser: Denoiser
    scale: Any
    operators: int = field(metadata={"static": True})
    calibration: Any = None

    @property
    def evaluations(self) -> int:
        """One of the inner denoiser for each operator, and a backward pass through each."""
        return 2 * self.operators * super().evaluations

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise unless `cond` has `operators` operators for each sample, on an axis after that of the samples."""
        operator, rest = split(cond)
        if operator is None:
            raise TypeError("cond must have the operators of each sample, such as `draw` of a law makes; got none.")
        for leaf in jax.tree.leaves(operator):
            if jnp.ndim(leaf) < 2 or jnp.shape(leaf)[:2] != (n, self.operators):
                raise ValueError(
                    f"cond must have operators whose arrays have leading axes ({n}, {self.operators}), for "
                    f"{self.operators} operators of each of {n} samples; got shape {jnp.shape(leaf)}."
                )
        super().check_cond(Corrupted(jax.tree.map(lambda leaf: leaf[:, 0], operator), rest), n)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D_1 - scale (sigma / alpha)^2 grad_u 1/2 mean_k |D_1 - D_k|^2 with x_t = alpha u."""
        self.check_cond(cond, len(x))
        operator, rest = split(cond)
        alpha = per_event(jnp.asarray(level.alpha, x.dtype), x)
        s = per_event(jnp.exp(-level.log_snr).astype(x.dtype), x)

        def gap(u: Array) -> tuple[Array, Array]:
            def one(k: Any) -> Array:
                chosen = jax.tree.map(lambda leaf: leaf[:, k], operator)
                return self.denoiser(alpha * u, level, Corrupted(chosen, rest))

            means = jax.lax.map(one, jnp.arange(self.operators))
            return 0.5 * jnp.sum(jnp.square(means[:1] - means[1:])) / (self.operators - 1), means[0]

        slope, mean = jax.grad(gap, has_aux=True)(x / alpha)
        return mean - jnp.asarray(self.scale, x.dtype) * s**2 * slope


def guide_reconstruction(denoiser: Denoiser, operators: int = 4, scale: ArrayLike = 1.0) -> ReconstructionGuidance:
    """Sample through one operator, guided towards agreement with what the denoiser makes of x_t through others.

    D = D_1 - scale s^2 grad_u 1/2 mean_k |D_1 - D_k|^2 with D_k = E[x_0 | P_k x_t, A_k], s = sigma / alpha and
    x_t = alpha u, so that a scale means the same at all step sizes, for all samplers and schedules. `cond` holds the
    operators, with an axis of their own after that of the samples: arrays (n, operators, ...).

    Args:
        denoiser: takes operators in `cond`.
        operators: number of operators of each sample, at least 2; the cost grows in proportion.
        scale: strength, a number that is not negative; 0 leaves D_1.

    Raises:
        ValueError: `operators` is less than 2, or the scale is negative.

    Source: in the spirit of reconstruction guidance in Daras et al., "Ambient Diffusion: Learning Clean Distributions
    from Corrupted Data", arXiv 2305.19256, which subtracts the gradient from x in each step; here it is a denoiser.
    """
    checks.at_least("operators", operators, 2)
    if checks.is_concrete(checks.floating("scale", scale)) and not float(jnp.asarray(scale)) >= 0:
        raise ValueError(f"scale must be at least 0; got {scale}.")
    return ReconstructionGuidance(denoiser, scale, operators)


def restore(
    denoiser: Denoiser, measured: Measurements, cond: PyTree = None, sigma: float = CLEANEST
) -> Float[Array, "n *event"]:
    """E[x_0 | y, A] of each measurement in one evaluation: the denoiser at the noise level of the measurements.

    The level is that of the noise of y, or `sigma` if that is larger, with x_t = alpha A^+ y.

    Args:
        denoiser: of a network trained on measurements, or `GaussianMixture.corrupted_denoiser`.
        measured: y and A of each sample.
        cond: other conditions of the network, leaves (n, ...).
        sigma: smallest level sigma / alpha, above 0. A network guesses at levels far below those of its training.

    Returns:
        (n, *event); its entries change where A sees them too, as far as y has noise.

    Raises:
        TypeError: `measured` are not `Measurements`.
        ValueError: `sigma` is not above 0.

    Source: the one-step restoration of Daras et al., "Ambient Diffusion", arXiv 2305.19256.
    """
    if not isinstance(measured, Measurements):
        raise TypeError(f"measured must be jaxsamp.corruptions.Measurements; got a {type(measured).__name__}.")
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0; got {sigma}.")
    level = denoiser.schedule.level(-jnp.log(jnp.asarray(max(measured.law.noise, sigma))))
    x = measured.back_projection()
    return _denoised(denoiser, jnp.asarray(level.alpha, x.dtype) * x, level, Corrupted(measured.operator, cond))


@jax.jit
def _denoised(denoiser: Any, x: Array, level: Level, cond: Corrupted) -> Array:
    return denoiser(x, level, jax.tree.map(jnp.asarray, cond))
