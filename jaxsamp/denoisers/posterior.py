"""Inverse problems, y = A(x_0) + noise n: denoisers given an observation, made from denoisers without."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser, Operator
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level, PyTree
from jaxsamp.corruptions import MaskOperator
from jaxsamp.denoisers.conjugate_gradients import conjugate_gradients
from jaxsamp.denoisers.observed import Observing, seen
from jaxsamp.denoisers.operators import TAKES, linear, of_all


@pytree
@dataclass(frozen=True)
class PosteriorDenoiser(Observing):
    """E[x_0 | x_t, y] to second order; made by `posterior`."""

    denoiser: Denoiser
    y: Any
    operator: Any
    noise: Any
    variance: Any = None
    iterations: int = field(default=4, metadata={"static": True})
    covariance: str = field(default="full", metadata={"static": True})
    calibration: Any = None

    @property
    def evaluations(self) -> int:
        """The number of the inner denoiser, and the same again for each backward pass through it."""
        passes = {"full": self.iterations, "row_sums": 2}[self.covariance] if self.variance is None else 1
        return (1 + passes) * super().evaluations

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Also raise if noise and variance are both zero."""
        super().check_cond(cond, n)
        if self.y is None and cond.noise is not None:
            _not_both_zero(cond.noise, self.variance)

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """D + V A^T (A V A^T + noise^2)^-1 (y - A D)."""
        x = checks.floating("x", x)
        known, axes, cond = self.observation(x, cond)
        levels = jax.tree.map(lambda v: jnp.broadcast_to(v, x.shape[:1]), level)
        return jax.vmap(self._one, (0, 0, *axes, 0))(x, levels, *known, cond)

    def _one(self, x: Array, level: Level, y: Any, operator: Any, noise: Any, cond: PyTree) -> Array:
        """The posterior mean of one sample, whose linear system is independent of other samples."""
        alpha, s = (jnp.asarray(v, x.dtype) for v in (level.alpha, jnp.exp(-level.log_snr)))
        single = jax.tree.map(lambda leaf: leaf[None], (level, cond))

        def mean(u: Array) -> Array:
            return self.denoiser((alpha * u)[None], *single)[0]

        denoised, pull = jax.vjp(mean, x / alpha)
        predicted, forward, back = linear(operator, denoised)
        if predicted.shape != jnp.shape(y):
            raise ValueError(f"operator must return y's shape {jnp.shape(y)}; got {predicted.shape}.")
        if jnp.shape(noise) not in ((), predicted.shape):
            raise ValueError(f"noise must be a number or of y's shape {predicted.shape}; got shape {jnp.shape(noise)}.")
        residual = jnp.asarray(y, x.dtype) - predicted
        noise = jnp.asarray(noise, x.dtype)

        def covariance(v: Array) -> Array:
            return s**2 * pull(v)[0]  # V is symmetric, so the transposed product is V v

        def moments(u: Array) -> tuple[Array, Array]:
            moved = covariance(back(u))
            return forward(moved) + noise**2 * u, moved

        def isotropic(u: Array) -> tuple[Array, Array]:
            variance = jnp.asarray(self.variance, x.dtype)
            lifted = back(u)
            return variance * s**2 / (variance + s**2) * forward(lifted) + noise**2 * u, lifted

        if self.variance is not None:
            return denoised + covariance(conjugate_gradients(isotropic, residual, denoised, self.iterations))
        if self.covariance == "full":
            return denoised + conjugate_gradients(moments, residual, denoised, self.iterations)
        sums = jnp.maximum(forward(covariance(back(jnp.ones_like(residual)))), 0) + noise**2
        weighted = jnp.where(sums > 0, residual / jnp.where(sums > 0, sums, 1), 0)  # what is not seen has neither
        return denoised + covariance(back(weighted))


def posterior(
    denoiser: Denoiser,
    y: ArrayLike | None = None,
    operator: Operator | Callable[[Array], Array] | ArrayLike | None = None,
    noise: ArrayLike | None = None,
    *,
    variance: ArrayLike | None = None,
    iterations: int = 4,
    covariance: str = "full",
) -> PosteriorDenoiser:
    """E[x_0 | x_t, y] for an observation y = A(x_0) + noise n with n standard normal, to second order.

    D_y = D + V A^T (A C A^T + noise^2 I)^-1 (y - A D), where V = Cov[x_0 | x_t] = (sigma^2 / alpha) dD/dx_t is the
    denoiser's own Jacobian, and C replaces V in the inverse. It is exact if x_0 given x_t is normal, A is linear and
    C = V, as for normal data; for other laws it is an approximation, worst where a few modes explain the observation
    equally well. An A that is not linear is linearized at D: A stands for its Jacobian there, and y - A D for y - A(D).

    Arguments given here are the same for all samples. Without y each sample has its own observation, passed in `cond`
    as a `jaxsamp.denoisers.Observed`, together with the operator and the noise if they are left out here too.

    Args:
        denoiser: of the law before the observation.
        y: the observation, a leaf; None if each sample has its own.
        operator: A, one of three kinds: an operator of `jaxsamp.corruptions` or any pytree with the protocol
            `jaxsamp.core.protocols.Operator` or `LinearOperator`; a function of one event that returns an array of y's
            shape, which is compared by identity unless it is a `jax.tree_util.Partial`; a boolean mask of the event's
            shape, True where y was seen (other entries of y are ignored). Without an `adjoint` it is linearized.
        noise: standard deviation of the noise, a number or of the shape of one observation; 0 if y is exact.
        variance: None for C = V. A number v for C = v s^2 / (v + s^2) I, s = sigma / alpha, the covariance for data
            N(0, v I): Pi-GDM's; 0 leaves noise^2 I, which is DPS before its step sizes are normalized.
        iterations: number of iterations of conjugate gradients, each a backward pass through the network if C = V. The
            result is exact with as many as A V A^T has distinct eigenvalues.
        covariance: "full", C = V by conjugate gradients; or "row_sums", where the diagonal matrix of the row sums of
            A V A^T, or of 0 where a sum is negative, replaces A C A^T: two backward passes, whatever the operator. With
            a single number in y both are the same.

    Returns:
        A denoiser.

    Raises:
        ValueError: shapes do not fit; noise or variance is negative, or both are zero; a seen entry of y is not finite;
            y is given without an operator or a noise.
        TypeError: the operator is none of these.

    Source: Rozet et al., "Learning Diffusion Priors from Observations by Expectation Maximization", arXiv 2405.13712
    (C = V by conjugate gradients); Boys et al., "Tweedie Moment Projected Diffusions for Inverse Problems", arXiv
    2310.06721 (row sums); Song et al., "Pseudoinverse-Guided Diffusion Models for Inverse Problems", ICLR 2023 (a
    number); Chung et al., "Diffusion Posterior Sampling for General Noisy Inverse Problems", arXiv 2209.14687.
    """
    checks.at_least("iterations", iterations, 1)
    checks.one_of("covariance", covariance, ("full", "row_sums"))
    if variance is not None and covariance != "full":
        raise ValueError(f"covariance must be 'full' with a variance, which replaces it; got {covariance!r}.")
    for name, value in (("operator", operator), ("noise", noise)):
        if y is not None and value is None:
            raise ValueError(f"{name} must be given with y; got None.")
    for name, value in (("noise", noise), ("variance", variance)):
        if value is not None and checks.is_concrete(value) and not (checks.finite(name, value) >= 0).all():
            raise ValueError(f"{name} must be at least 0; got {value}.")
    if noise is not None:
        _not_both_zero(noise, variance)
    if y is not None and noise is not None and jnp.shape(noise) not in ((), jnp.shape(y)):
        raise ValueError(f"noise must be a number or of y's shape {jnp.shape(y)}; got shape {jnp.shape(noise)}.")
    if variance is not None and jnp.ndim(variance):
        raise ValueError(f"variance must be a number or None; got shape {jnp.shape(variance)}.")
    if operator is not None:
        operator = of_all(operator)
    if isinstance(operator, MaskOperator):
        y = seen(denoiser, y, operator.mask, TAKES)
    elif y is not None and checks.is_concrete(y):
        checks.finite("y", y)
    y = None if y is None else jnp.asarray(y)
    return PosteriorDenoiser(denoiser, y, operator, noise, variance, iterations, covariance)


def _not_both_zero(noise: Any, variance: Any) -> None:
    if variance is not None and checks.is_concrete(noise, variance) and np.any(np.add(noise, variance) == 0):
        raise ValueError("noise must be above 0 with variance = 0, because the matrix to invert would be zero.")
