"""Linear inverse problems, y = A x_0 + noise n: denoisers that know an observation, from denoisers that do not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.denoisers import Wrapper


@pytree
@dataclass(frozen=True)
class Posterior(Wrapper):
    """E[x_0 | x_t, y] to second order; made by `posterior`."""

    denoiser: Any
    y: Any
    operator: Any
    noise: Any
    variance: Any = None
    iterations: int = field(default=4, metadata={"static": True})
    calibration: Any = None

    @property
    def evaluations(self) -> int:
        """The inner denoiser's, and as many for each backward pass through it."""
        return (1 + (self.iterations if self.variance is None else 1)) * super().evaluations

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D + V A^T (A V A^T + noise^2)^-1 (y - A D)."""
        levels = jax.tree.map(lambda v: jnp.broadcast_to(v, x.shape[:1]), level)
        return jax.vmap(self._one)(x, levels, cond)

    def _one(self, x: Array, level: Level, cond: PyTree) -> Array:
        """For one sample: its own linear system, of no other's size or stopping."""
        alpha, s = (jnp.asarray(v, x.dtype) for v in (level.alpha, jnp.exp(-level.log_snr)))
        single = jax.tree.map(lambda leaf: leaf[None], (level, cond))

        def mean(u: Array) -> Array:
            return self.denoiser((alpha * u)[None], *single)[0]

        denoised, pull = jax.vjp(mean, x / alpha)
        predicted, forward = jax.linearize(self.operator, denoised)
        if predicted.shape != jnp.shape(self.y):
            raise ValueError(f"operator must return y's shape {jnp.shape(self.y)}; got {predicted.shape}.")
        back = jax.linear_transpose(forward, denoised)
        residual = jnp.asarray(self.y, x.dtype) - predicted
        noise = jnp.asarray(self.noise, x.dtype)

        def covariance(v: Array) -> Array:
            return s**2 * pull(v)[0]  # V is symmetric, so that the transposed product will do

        def moments(u: Array) -> tuple[Array, Array]:
            moved = covariance(back(u)[0])
            return forward(moved) + noise**2 * u, moved

        def isotropic(u: Array) -> tuple[Array, Array]:
            variance = jnp.asarray(self.variance, x.dtype)
            lifted = back(u)[0]
            return variance * s**2 / (variance + s**2) * forward(lifted) + noise**2 * u, lifted

        if self.variance is None:
            return denoised + _solve(moments, residual, denoised, self.iterations)
        return denoised + covariance(_solve(isotropic, residual, denoised, self.iterations))


def posterior(
    denoiser: Any,
    y: ArrayLike,
    operator: ArrayLike | Callable[[Array], Array],
    noise: ArrayLike,
    *,
    variance: ArrayLike | None = None,
    iterations: int = 4,
) -> Posterior:
    """E[x_0 | x_t, y] for an observation y = A x_0 + noise n with n standard normal, to second order.

    D_y = D + V A^T (A C A^T + noise^2 I)^-1 (y - A D), where V = Cov[x_0 | x_t] = (sigma^2 / alpha) dD/dx_t is the
    denoiser's own Jacobian, and C stands for V in the inverse. Exact where x_0 given x_t is normal and C = V, so for
    normal data; for other laws an approximation, worst where a few modes explain the observation equally well.

    Args:
        denoiser: of the law before the observation.
        y: the observation, one for all samples; `jax.vmap` over `jaxsamp.sample` for many. A leaf.
        operator: A, a function of one event to an array of y's shape, compared by identity unless it is a
            `jax.tree_util.Partial`; linear, or else linearized at D. Or a boolean mask of the event's shape, True
            where y was seen; the rest of y is ignored.
        noise: standard deviation of the observation, a number or of y's shape; 0 for an exact one.
        variance: None for C = V. A number v for C = v s^2 / (v + s^2) I, s = sigma / alpha, the covariance for data
            N(0, v I): Pi-GDM's; 0 leaves noise^2 I, which is DPS before its step sizes are normalized.
        iterations: of conjugate gradients, each a backward pass through the network where C = V. As many as A V A^T
            has distinct eigenvalues are exact.

    Returns:
        A denoiser.

    Raises:
        ValueError: shapes that do not fit; noise or variance negative, or both zero; y not finite where it was seen.
        TypeError: operator neither a function nor a boolean mask.

    Source: Rozet et al., "Learning Diffusion Priors from Observations by Expectation Maximization", arXiv 2405.13712
    (C = V by conjugate gradients); Boys et al., "Tweedie Moment Projected Diffusions for Inverse Problems", arXiv
    2310.06721; Song et al., "Pseudoinverse-Guided Diffusion Models for Inverse Problems", ICLR 2023; Chung et al.,
    "Diffusion Posterior Sampling for General Noisy Inverse Problems", arXiv 2209.14687.
    """
    checks.at_least("iterations", iterations, 1)
    for name, value in (("noise", noise), ("variance", variance)):
        if value is not None and checks.is_concrete(value) and not (checks.finite(name, value) >= 0).all():
            raise ValueError(f"{name} must be at least 0; got {value}.")
    if checks.is_concrete(noise, variance) and variance is not None and np.any(np.add(noise, variance) == 0):
        raise ValueError("noise must be above 0 with variance = 0, for nothing else is left to divide by.")
    if jnp.shape(noise) not in ((), jnp.shape(y)):
        raise ValueError(f"noise must be a number or of y's shape {jnp.shape(y)}; got shape {jnp.shape(noise)}.")
    if variance is not None and jnp.ndim(variance):
        raise ValueError(f"variance must be a number or None; got shape {jnp.shape(variance)}.")
    if not callable(operator):
        y = _seen(denoiser, y, operator, "operator must be a function of one event, or a boolean mask")
        return Posterior(denoiser, y, Partial(jnp.multiply, jnp.asarray(operator)), noise, variance, iterations)
    if checks.is_concrete(y):
        checks.finite("y", y)
    operator = operator if isinstance(operator, Partial) else Partial(operator)
    return Posterior(denoiser, jnp.asarray(y), operator, noise, variance, iterations)


@pytree
@dataclass(frozen=True)
class Inpainted(Wrapper):
    """A denoiser whose output is known in part; made by `inpaint`."""

    denoiser: Any
    y: Any
    mask: Any
    calibration: Any = None

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """The observation where there is one, elsewhere the posterior mean."""
        return jnp.where(self.mask, jnp.asarray(self.y, x.dtype), self.denoiser(x, level, cond))


def inpaint(denoiser: Any, y: ArrayLike, mask: ArrayLike) -> Inpainted:
    """Replace the posterior mean by y where mask is True: no backward pass, and the seen entries end at y exactly.

    Along the way the seen entries of x_t are alpha y + sigma z, with the noise z that they started with. The others
    follow the law given *these*, not given y: an approximation even for normal data. Langevin steps between those of
    the sampler (`jaxsamp.samplers.PredictorCorrector`) do what RePaint's returns to higher noise do.

    Args:
        denoiser: of the law before the observation.
        y: the observation, of the event's shape; ignored where mask is False.
        mask: boolean, of the event's shape.

    Raises:
        ValueError: shapes that do not fit, or y not finite where it was seen.
        TypeError: a mask that is not boolean.

    Source: Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", arXiv 2011.13456
    (imputation); Lugmayr et al., "RePaint: Inpainting Using Denoising Diffusion Probabilistic Models", arXiv
    2201.09865.
    """
    return Inpainted(denoiser, _seen(denoiser, y, mask, "mask must be boolean"), jnp.asarray(mask))


def _seen(denoiser: Any, y: ArrayLike, mask: Any, takes: str) -> Array:
    """y where the mask is True, and zero elsewhere; `takes` begins the sentence about another mask."""
    if not (hasattr(mask, "dtype") and mask.dtype == jnp.bool_):
        got = f"dtype {mask.dtype}" if hasattr(mask, "dtype") else f"a {type(mask).__name__}"
        raise TypeError(f"{takes}; got {got}.")
    event = getattr(denoiser, "event_shape", None)
    if event is not None and mask.shape != tuple(event) or jnp.shape(y) != mask.shape:
        shape = "" if event is None else f" {tuple(event)}"
        raise ValueError(f"y and mask must have the event's shape{shape}; got {jnp.shape(y)} and {mask.shape}.")
    seen = jnp.where(mask, jnp.asarray(y), 0)
    if checks.is_concrete(seen):
        checks.finite("y", seen)
    return seen


def _solve(apply: Callable[[Array], tuple[Array, Array]], residual: Array, like: Array, iterations: int) -> Array:
    """L M^-1 residual by conjugate gradients, where apply(u) = (M u, L u) and L u has the shape of `like`.

    L is summed along the way, so that no product is needed at the end. A direction of no positive curvature, which
    the Jacobian of a trained network may have, ends the iteration, and so does a residual of rounding errors.
    """
    whole = jnp.vdot(residual, residual)
    least = jnp.finfo(residual.dtype).eps ** 2 * whole

    def body(carry: Any, _: None) -> tuple[Any, None]:
        total, r, p, square = carry
        moved, lifted = apply(p)
        curvature = jnp.vdot(p, moved)
        good = (curvature > 0) & (square > least)
        step = jnp.where(good, square / jnp.where(good, curvature, 1), 0)
        r = r - step * moved
        new = jnp.vdot(r, r)
        p = jnp.where(good, r + new / jnp.where(good, square, 1) * p, 0)
        return (total + step * lifted, r, p, new), None

    start = (jnp.zeros_like(like), residual, residual, whole)
    return jax.lax.scan(body, start, None, length=iterations)[0][0]
