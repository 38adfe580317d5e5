"""Measuring the linear part of a denoiser on samples of its law."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.polynomial.chebyshev import chebfit, chebval

from jaxsamp.calibration import bases
from jaxsamp.calibration.bases import Basis
from jaxsamp.calibration.tables import Calibration, from_curve
from jaxsamp.core import checks
from jaxsamp.core.batching import each
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.types import Array, Data, PyTree

BASES = (None, "pca", *bases.BY_NAME)
SAMPLES, LEVELS = 1024, 40
MAX_PCA_DIM = 256  # numbers per sample up to which principal components can be estimated from SAMPLES
CURVE_DEGREE, MEAN_CURVE_DEGREE = 4, 8  # of the polynomials that smooth one curve per coordinate, or one for all


def measure(
    key: Array, denoiser: Denoiser, x: Array, levels: Data, basis: str | None, cond: PyTree, microbatch: int | None
) -> Calibration:
    """The calibration of `denoiser` on samples `x` of the data, (n, *event), at decreasing `levels` of sigma / alpha.

    In the coordinates i of a basis, a_i(lambda) = mean (x_0 - D(x_0 + s z))_i^2 / s^2; without a basis, the mean of
    these. The same noise is used at all levels, so that the curves are smooth.
    """
    made, mean, variance = _moments(x, basis)
    lam = -jnp.log(jnp.asarray(levels, x.dtype))
    loss = _loss(microbatch, denoiser, lam, x, jax.random.normal(key, x.shape, x.dtype), made, cond)
    loss = loss.reshape(len(lam), -1)
    linear = (loss if basis else loss.mean(1)) / jnp.square(jnp.exp(-lam)).reshape(-1, *(1,) * bool(basis))
    if checks.is_concrete(linear) and not np.isfinite(linear).all():
        raise ValueError("denoiser must return finite values; got NaN or infinity on the noised data.")
    return from_curve(lam, _smooth(np.asarray(lam, float), linear), mean=mean, variance=variance, basis=made)


def _smooth(lam: np.ndarray, linear: Array) -> np.ndarray:
    """The curves without their sampling noise: polynomials of low degree, by least squares on logit a.

    Any curve gives an exact frame, but a rough one needs more nodes, because its bends appear in the integrand. An
    error e of logit a changes a by a (1 - a) e, hence the weights a (1 - a) of the squared errors.
    """
    a = np.clip(np.asarray(linear, float).reshape(len(lam), -1), 1e-6, 1 - 1e-3)
    # The mean over all coordinates has less noise to smooth away.
    degree = min(MEAN_CURVE_DEGREE if linear.ndim == 1 else CURVE_DEGREE, len(lam) - 1)
    logit, weights = np.log(a) - np.log1p(-a), np.sqrt(a * (1 - a))
    place = 2 * (lam - lam[0]) / (lam[-1] - lam[0]) - 1
    fits = [chebfit(place, y, degree, w=w) for y, w in zip(logit.T, weights.T, strict=True)]
    return 1 / (1 + np.exp(-np.clip(chebval(place, np.stack(fits, 1)).T, -20, 20))).reshape(np.shape(linear))


def _moments(x: Array, basis: str | None) -> tuple[Basis, Array, Array]:
    """The basis, and the mean and variance of the data in its coordinates."""
    event = x.shape[1:]
    if basis is None:
        mean = x.mean(0)
        return bases.PLAIN, mean, jnp.mean(jnp.square(x - mean))
    made = _components(x) if basis == "pca" else bases.BY_NAME[basis](event)
    z = jax.vmap(made.into)(x)
    return made, z.mean(0), z.var(0)


def _components(x: Array) -> Basis:
    """The basis of principal components of `x`."""
    flat = x.reshape(len(x), -1)
    centered = flat - flat.mean(0)
    columns = jnp.linalg.eigh(jnp.matmul(centered.T, centered, precision="highest"))[1]
    return bases.Orthogonal(columns, x.shape[1:])


def _run(
    microbatch: int | None, denoiser: Denoiser, lam: Array, x: Array, noise: Array, basis: Basis, cond: PyTree
) -> Array:
    """Mean over samples of the squared error of D at each level, by coordinate of the basis, (levels, ...)."""

    def one(item: Any) -> Array:
        x, noise, cond = item
        cond = jax.tree.map(lambda leaf: leaf[None], cond)

        def at(lam: Array) -> Array:
            level = denoiser.schedule.level(lam)
            noisy = level.alpha.astype(x.dtype) * x + level.sigma.astype(x.dtype) * noise
            return jnp.square(basis.into(x - denoiser(noisy[None], level, cond)[0].astype(x.dtype)))

        return lax.map(at, lam)

    return each(one, (x, noise, cond), microbatch).mean(0)


_loss = jax.jit(_run, static_argnums=0)
