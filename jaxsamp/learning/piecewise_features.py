"""The piecewise-polynomial denoiser: gates of crude cells, and Hermite polynomials in each."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.denoisers import BaseDenoiser
from jaxsamp.targets.components import mean_square
from jaxsamp_kernels import mixture as kernel
from jaxsamp_kernels.hermite import Products, hermite_features, products

FARTHEST = 4.0  # standard deviations of a cell at which polynomials stay as they are


class Pieces(NamedTuple):
    """What a point at one level is to the cells: crude mean (d,), features (P,), and the unit of the correction."""

    crude: Array
    features: Array
    unit: Array


def chosen_products(dim: int, degree: int, cells: int, most: int) -> Products:
    """Products of the coordinates of a cell: the first r1 in degree 1, the first r in higher degrees.

    Both are as many as fit into `most` features of all cells together. The lower degrees are an initial part of it.
    """
    room = most // cells
    linear = min(dim, max(room - 1, 0))

    def count(rank: int) -> int:
        return 1 + linear + sum(math.comb(rank + m - 1, m) for m in range(2, degree + 1))

    rank = max((r for r in range(1, linear + 1) if count(r) <= room), default=0)
    return products(linear, min(degree, 1)) + products(rank, degree, least=2)


def pieces(cells: kernel.Mixture, of: Products, hard: bool, scale: Array, x: Array, level: Level) -> Pieces:
    """Of one point x (d,) at a level of scalars."""
    alpha, sigma = jnp.asarray(level.alpha, x.dtype), jnp.asarray(level.sigma, x.dtype)
    gates = kernel.responsibilities(cells, x, alpha, sigma)
    if hard:
        gates = jax.nn.one_hot(gates.argmax(), len(gates), dtype=x.dtype)
    u, means = kernel.standardized(cells, x, alpha, sigma), kernel.component_means(cells, x, alpha, sigma)
    phi = hermite_features(jnp.clip(u[:, ::-1], -FARTHEST, FARTHEST), of)  # the largest variances first
    mean = jnp.matmul(gates, means, precision="highest")
    return Pieces(mean, (gates[:, None] * phi).T.ravel(), correction_unit(alpha, sigma, scale))


def correction_unit(alpha: Any, sigma: Any, scale: Any) -> Any:
    """alpha sigma^2 scale^2 / (alpha^2 scale^2 + sigma^2)^(3/2), the size of a correction of the denoiser.

    It goes to 0 as sigma^2 where there is hardly any noise, and as 1 / sigma where there is hardly anything else. In
    this order of factors no power of a large or small scale leaves the range of float32.
    """
    size = jnp.hypot(alpha * scale, sigma)
    return (alpha * scale / size) * (sigma / size) ** 2 * scale


@pytree
@dataclass(frozen=True)
class PiecewiseDenoiser(BaseDenoiser):
    """D(x, level) = crude(x) + unit sum_{c, i} gate_c(x) h_i(u_c(x)) B_{c, i}, of samples (d,).

    Gates, crude part and coordinates u_c are exact at every level; the coefficients B are linear in lambda between
    those that were fitted, and stay the same beyond them. Made by `jaxsamp.learning.PiecewisePolynomialScore`.

    Attributes:
        cells: the crude mixture, with full covariances.
        lam: levels of the fit, lambda = log(alpha / sigma), (L,), increasing.
        coefficients: B, (L, P, d), ordered by product and then by cell.
        low, high: bounds out of which no correction moves an entry, (d,).
        scale: standard deviation of the data, the root of the mean over the coordinates' variances.
        schedule: how noise grows.
        calibration: a measured linear part, or None.
        of: products of the coordinates of a cell.
        hard: whether a point belongs to the most probable cell alone.
    """

    cells: Any
    lam: Any
    coefficients: Any
    low: Any
    high: Any
    scale: Any
    schedule: Any
    calibration: Any = None
    of: Products = field(default=(), metadata={"static": True})
    hard: bool = field(default=False, metadata={"static": True})

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(d,)."""
        return self.cells.means.shape[1:]

    @property
    def magnitude(self) -> float | None:
        """That of the measured linear part, or of the crude cells; None if they are traced."""
        if self.calibration is not None or not checks.is_concrete(self.cells):
            return super().magnitude
        with jax.ensure_compile_time_eval():
            return float(jnp.sqrt(jnp.max(mean_square(self.cells))))

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """E[x_0 | x_t = x], (batch, d); `cond` is ignored."""
        x = checks.floating("x", x)
        alpha, sigma = jnp.asarray(level.alpha, x.dtype), jnp.asarray(level.sigma, x.dtype)
        leaves = (self.cells, self.scale, self.lam, self.coefficients, self.low, self.high)
        made = jax.tree.map(lambda leaf: leaf.astype(x.dtype), leaves)
        cells, scale, lam, coefficients, low, high = made
        axes = (0, 0 if alpha.ndim else None, 0 if sigma.ndim else None)

        def one(x: Array, alpha: Array, sigma: Array) -> Array:
            found = pieces(cells, self.of, self.hard, scale, x, Level(alpha, sigma))
            at = jnp.interp(jnp.log(alpha) - jnp.log(sigma), lam, jnp.arange(len(lam), dtype=x.dtype))
            left = jnp.clip(at.astype(int), 0, max(len(lam) - 2, 0))
            right, part = jnp.minimum(left + 1, len(lam) - 1), at - left
            b = (1 - part) * coefficients[left] + part * coefficients[right]
            out = found.crude + found.unit * jnp.matmul(found.features, b, precision="highest")
            return jnp.clip(out, jnp.minimum(low, found.crude), jnp.maximum(high, found.crude))

        return jax.vmap(one, axes)(x, alpha, sigma)
