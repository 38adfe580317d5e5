"""Smooth one-to-one maps from all real numbers onto positive numbers, intervals and simplices.

Each works on one array of parameters: `forward` maps free numbers y to x, `inverse` maps back, `log_det` is
log |det dx/dy|. Points whose distance from the edge rounds to zero are kept inside by the smallest normal number, so
that a log density is not evaluated on the edge.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array

METHODS = ("softplus", "exp")


class Elementwise:
    """Base class of maps that treat every number by itself: y has the shape of x."""

    def free_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of y for x of this shape."""
        return shape


@pytree
@dataclass(frozen=True)
class Real(Elementwise):
    """All real numbers: x = y."""

    def forward(self, y: Array) -> Array:
        """y itself."""
        return y

    def inverse(self, x: Array) -> Array:
        """x itself."""
        return x

    def log_det(self, y: Array) -> Array:
        """Zero."""
        return jnp.zeros((), y.dtype)


@pytree
@dataclass(frozen=True)
class Positive(Elementwise):
    """Positive numbers: x = log(1 + e^y), or x = e^y.

    With "softplus" tails that fall like e^-x keep a bounded curvature in y, which suits Langevin chains; "exp" is for
    parameters whose order of magnitude is not known, and gives them a curvature that grows with x.

    Args:
        method: "softplus" or "exp".
    """

    method: str = field(default="softplus", metadata={"static": True})

    def free_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of y for x of this shape."""
        checks.one_of("method", self.method, METHODS)
        return shape

    def forward(self, y: Array) -> Array:
        """x > 0."""
        x = jnp.exp(y) if self.method == "exp" else jax.nn.softplus(y)
        return jnp.maximum(x, jnp.finfo(y.dtype).tiny)

    def inverse(self, x: Array) -> Array:
        """log x, or log(e^x - 1)."""
        return jnp.log(x) if self.method == "exp" else x + jnp.log(-jnp.expm1(-x))

    def log_det(self, y: Array) -> Array:
        """Sum of y, or of log(1 / (1 + e^-y))."""
        return jnp.sum(y if self.method == "exp" else jax.nn.log_sigmoid(y))


@pytree
@dataclass(frozen=True)
class Interval(Elementwise):
    """Numbers between two bounds: x = low + (high - low) / (1 + e^-y).

    Args:
        low: lower bounds, an array that broadcasts to the parameters.
        high: upper bounds, above the lower ones.
    """

    low: Any = 0.0
    high: Any = 1.0

    def free_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of y for x of this shape; raises ValueError if the bounds do not fit it."""
        for name, bound in (("low", self.low), ("high", self.high)):
            sizes = jnp.shape(bound)
            if len(sizes) > len(shape) or any(a not in (1, b) for a, b in zip(sizes[::-1], shape[::-1], strict=False)):
                raise ValueError(
                    f"{name} must broadcast to parameters of shape {shape}; got an array of shape {sizes}."
                )
        if checks.is_concrete(self.low, self.high):
            low, high = checks.finite("low", self.low), checks.finite("high", self.high)
            if not (low < high).all():
                raise ValueError(f"high must be above low; got {self.high} and {self.low}.")
        return shape

    def _bounds(self, like: Array) -> tuple[Array, Array]:
        return jnp.asarray(self.low, like.dtype), jnp.asarray(self.high, like.dtype)

    def forward(self, y: Array) -> Array:
        """low < x < high."""
        low, high = self._bounds(y)
        x = low + (high - low) * jax.nn.sigmoid(y)
        tiny = jnp.finfo(y.dtype).tiny  # beside zero, the next number is too small to compute with
        return jnp.clip(
            x, jnp.maximum(jnp.nextafter(low, high), low + tiny), jnp.minimum(jnp.nextafter(high, low), high - tiny)
        )

    def inverse(self, x: Array) -> Array:
        """log (x - low) / (high - x)."""
        low, high = self._bounds(x)
        return jnp.log(x - low) - jnp.log(high - x)

    def log_det(self, y: Array) -> Array:
        """Sum of log (high - low) s (1 - s) with s = 1 / (1 + e^-y)."""
        low, high = self._bounds(y)
        return jnp.sum(jnp.log(high - low) + jax.nn.log_sigmoid(y) + jax.nn.log_sigmoid(-y))


@pytree
@dataclass(frozen=True)
class Simplex:
    """Positive numbers along the last axis that sum to one: x = softmax(y_1, ..., y_{K-1}, 0).

    Densities are with respect to the first K - 1 of them, as those of a Dirichlet law are; det dx/dy is the product of
    all K numbers.

    Source: Aitchison, "The statistical analysis of compositional data", J. R. Statist. Soc. B 44 (1982), the additive
    log-ratio.
    """

    def free_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of y for x of this shape, with one number less along the last axis."""
        if not shape or shape[-1] < 2:
            raise ValueError(f"parameters on a simplex must have at least 2 numbers along the last axis; got {shape}.")
        return (*shape[:-1], shape[-1] - 1)

    def forward(self, y: Array) -> Array:
        """x > 0 with sum 1."""
        return jnp.maximum(jnp.exp(self._logs(y)), jnp.finfo(y.dtype).tiny)

    def inverse(self, x: Array) -> Array:
        """log x_k / x_K."""
        logs = jnp.log(x)
        return logs[..., :-1] - logs[..., -1:]

    def log_det(self, y: Array) -> Array:
        """Sum of log x."""
        return jnp.sum(self._logs(y))

    def _logs(self, y: Array) -> Array:
        return jax.nn.log_softmax(jnp.concatenate([y, jnp.zeros((*y.shape[:-1], 1), y.dtype)], -1))


def is_bijection(thing: Any) -> bool:
    """Whether it has all that `transformed` needs of a map."""
    names = ("free_shape", "forward", "inverse", "log_det")
    return not isinstance(thing, type) and all(callable(getattr(thing, name, None)) for name in names)
