"""Where the levels of a grid belong: the size of the error of one step, by frame and level, measured along the flow.

A step from kappa to kappa + h in the clock of a frame, exact for an integrand f that is a polynomial of degree p - 1,
is wrong by a constant times h^(p+1) f^(p), and what remains of this at the end of the flow is, in the scale of x_0,

    e_p = G(lambda) scale(lambda) |d^p f / dkappa^p| |dkappa / dlambda|^(p+1)    per step of length 1 in lambda,

where G = Phi(end) / Phi(lambda) is how the average linear part of the denoiser (the frame "calibrated") shrinks or
grows a perturbation. With rho steps per unit of lambda the errors add up to int e_p rho^-p dlambda, which is least, for
a given number of steps int rho dlambda, for rho proportional to e_p^(1/(p+1)).

This is the classical placement of nodes by equal shares of the error. Relatives that search for the levels instead:
Sabour, Fidler and Kreis, "Align Your Steps: Optimizing Sampling Schedules in Diffusion Models", arXiv 2404.14507;
Watson, Ho, Norouzi and Chan, "Learning to Efficiently Sample from Diffusion Probabilistic Models", arXiv 2106.03802
(dynamic programming).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.batching import each
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Data, PyTree
from jaxsamp_kernels import frame as frames

NAMES = (*frames.FLOW, "calibrated")
SAMPLES = 256  # on which second derivatives are measured
EVEN = 0.1  # share of the steps that are spread evenly in lambda, whatever was measured


@pytree
@dataclass(frozen=True)
class Placement:
    """Sizes e_1 and e_2 of the error of one step, see above.

    Attributes:
        log_snr: lambda = log(alpha / sigma), increasing, (levels,).
        sizes: e_1 and e_2 of each frame in the order of `NAMES`, in the scale of x_0, mean over samples of the root
            mean square over coordinates, (frames, 2, levels).
    """

    log_snr: Array
    sizes: Array

    def density(self, frame: str, order: float) -> np.ndarray:
        """Steps per unit of lambda at `log_snr` for a method of this order in this frame, up to a factor.

        Methods of first order have e_1^(1/2). All others have (e_1 + e_2)^(5/12), halfway between the powers of both
        orders: their first and last steps and their stages are of first order, which counts while steps are few.
        """
        first, second = np.asarray(self.sizes, float)[NAMES.index(checks.one_of("frame", frame, NAMES))]
        lam = np.asarray(self.log_snr, float)
        rho = first**0.5 if order < 2 else (first + second) ** (5 / 12)
        return (1 - EVEN) * rho / (np.trapezoid(rho, lam) or 1.0) + EVEN / (lam[-1] - lam[0])


def placed(
    key: Array, denoiser: Denoiser, calibration: Any, x: Array, levels: Data, cond: PyTree, microbatch: int | None
) -> Placement:
    """The sizes for `denoiser` at decreasing `levels` of sigma / alpha, on the first samples `x` of the data.

    The noise is that of `jaxsamp.calibration.measuring.measure` with this key, so the states are the same.
    """
    noise, first = jax.random.normal(key, x.shape, x.dtype)[:SAMPLES], x[:SAMPLES]
    cond = jax.tree.map(lambda leaf: leaf[:SAMPLES], cond)
    lam = -jnp.log(jnp.asarray(levels, x.dtype))
    sizes = _sizes(microbatch, denoiser, calibration, lam, first, noise, cond)
    if checks.is_concrete(sizes) and not np.isfinite(sizes).all():
        raise ValueError("denoiser must have finite derivatives along its flow; got NaN or infinity on noised data.")
    return Placement(lam, jnp.moveaxis(sizes, 0, -1))


def _run(
    microbatch: int | None, denoiser: Denoiser, calibration: Any, lam: Array, x: Array, noise: Array, cond: PyTree
) -> Array:
    """Mean over samples of the sizes at each level, (levels, frames, 2)."""
    linear, basis = calibration.frame, calibration.basis
    end = linear.scale(lam[-1])

    def one(item: Any) -> Array:
        clean, noise, cond = item
        cond = jax.tree.map(lambda leaf: leaf[None], cond)

        def denoise(x: Array, lam: Array) -> Array:
            level = denoiser.schedule.level(lam)
            return denoiser(level.alpha.astype(x.dtype) * x[None], level, cond)[0].astype(x.dtype)

        def at(lam: Array) -> Array:
            state = clean + jnp.exp(-lam) * noise
            d, d1, d2 = (basis.into(value) for value in along_the_flow(denoise, state, lam))
            state = basis.into(state)
            x1 = d - state
            grown = end / linear.scale(lam)
            path = lambda u: state + u * (x1 + 0.5 * u * (d1 - x1)), lambda u: d + u * (d1 + 0.5 * u * d2)  # noqa: E731
            each_frame = {**frames.FLOW, "calibrated": linear}
            errors = [local_errors(each_frame[name], path, lam) for name in NAMES]
            return jnp.sqrt(jnp.stack([jnp.stack([jnp.mean(jnp.square(grown * e)) for e in pair]) for pair in errors]))

        return lax.map(at, lam)

    return each(one, (x, noise, cond), microbatch).mean(0)


_sizes = jax.jit(_run, static_argnums=0)


def along_the_flow(denoise: Callable[[Array, Array], Array], x: Array, lam: Array) -> tuple[Array, Array, Array]:
    """D and its first two derivatives in lambda along dx / dlambda = D - x, for about seven evaluations of D."""

    def forward(function: Any) -> Any:
        return lambda x, lam: jax.jvp(function, (x, lam), (denoise(x, lam) - x, jnp.ones_like(lam)))

    (d, d1), (_, d2) = forward(forward(denoise))(x, lam)
    return d, d1, d2


def local_errors(frame: frames.Frame, path: Any, lam: Array) -> tuple[Array, Array]:
    """scale |dkappa / dlambda|^(p+1) d^p f / dkappa^p for p = 1, 2 at `lam`.

    `path` is a pair of functions of the difference from `lam`, for the state and its posterior mean.
    """
    state, denoised = path
    zero, unit = jnp.zeros_like(lam), jnp.ones_like(lam)

    def in_clock(function: Any) -> Any:
        return lambda u: jax.jvp(function, (u,), (unit,))[1] / frame.clock_rate(lam + u)

    first = in_clock(lambda u: frame.integrand(state(u), denoised(u), lam + u))
    scale, rate = frame.scale(lam), frame.clock_rate(lam)
    return scale * rate**2 * first(zero), scale * rate**3 * in_clock(first)(zero)
