"""The sweeps of a window of `ParallelMidpoint`, and its paths that follow a surrogate denoiser between two of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxsamp.core.types import Array
from jaxsamp_kernels import march
from jaxsamp_kernels.frame import Frame
from jaxsamp_kernels.window import Memory

# Of the contraction seen between two sweeps that is trusted: a path may sit still by chance, between two modes, or
# leave a mode so slowly that its changes hardly shrink.
LEAST_RATE, MOST_RATE = 0.1, 0.9
CAUTION = 3.0  # of the estimated error: changes say little of a sample that will leave the wrong mode only later
GROWTH = 2.0  # of the first rate, which has none before it
MARGIN = 2.0  # of the geometric mean of the last two changes


class Path(NamedTuple):
    """States at the nodes, (R, *event); the surrogate's slopes there, or without one the slopes that made them; and the
    state at the window's end.
    """

    x: Array
    g: Array
    end: Array


class Sweep(NamedTuple):
    """The state between two sweeps of a window."""

    path: Path
    memory: Memory
    rest: Array | None  # the slopes less those of the surrogate, or None without one
    change: Array  # the last change of the path
    rate: Array  # its ratio to the one before; 0 as long as there is none
    residual: Array  # the largest one of it, of what the one before allows, and of what is left at this rate
    error: Array  # what is left to change, estimated

    @classmethod
    def before(cls, path: Path, memory: Memory, rest: Array | None) -> "Sweep":
        """The state before the first sweep."""
        unknown = jnp.full((), jnp.inf, path.x.dtype)
        return cls(path, memory, rest, unknown, jnp.zeros_like(unknown), unknown, unknown)

    def followed_by(self, path: Path, memory: Memory, rest: Array | None, change: Array) -> "Sweep":
        """The state after the next sweep, whose path has changed by `change`."""
        # The first sweep shows no contraction: its change is a certificate, and there is no estimate.
        known, tiny = jnp.isfinite(self.change), jnp.finfo(change.dtype).tiny
        rate = jnp.where(known, change / jnp.maximum(self.change, tiny), 0.0)
        # A rate that has grown goes on to grow where a sample sets out to leave the mode that it was in.
        growth = jnp.where(self.rate > 0, jnp.maximum(rate / jnp.maximum(self.rate, tiny), 1.0), GROWTH)
        error = CAUTION * change * jnp.clip(rate * growth, LEAST_RATE, 1.0)
        # One small change may be chance; and changes of r, r^2, ... of the last one are r / (1 - r) of it together.
        mean = jnp.minimum(jnp.sqrt(change * self.change) * jnp.maximum(growth**2, MARGIN), self.change)
        slow = jnp.minimum(rate * growth**2, MOST_RATE)
        least = jnp.maximum(mean, change * slow / (1 - slow))
        residual = jnp.maximum(change, jnp.where(known, least, 0.0))
        return Sweep(path, memory, rest, change, rate, residual, jnp.where(known, error, jnp.inf))


class Surrogate(NamedTuple):
    """A surrogate denoiser in one window: (x, lambda) -> S at one state, and the steps from node to node."""

    denoise: Callable[[Array, Array], Array]
    frame: Frame
    win: Any
    steps: march.Steps

    def slope(self, x: Array, lam: Array) -> Array:
        """g, the frame's integrand of S: one call of S."""
        return self.frame.integrand(x, self.denoise(x, lam), lam)

    def first(self, x: Array, lam0: Array) -> Path:
        """The surrogate's own path from `x`, R + 1 calls of S."""
        still = jnp.zeros((len(self.win.lam), *x.shape), x.dtype)

        def change(x: Array, lam: Array) -> tuple[Array, Array]:
            g = self.slope(x, lam)
            return g, g

        base, end = self.win.states(x, still), self.win.end(x, still)
        return Path(*march.march(self.steps, change, base, end, self.win.lam, self.slope(x, lam0)))

    def next(self, x: Array, path: Path, f: Array, rest: tuple[Array, Array] | None) -> Path:
        """The path after a sweep with the slopes `f` at the states of `path`, R calls of S.

        Args:
            x: the state at the window's start.
            path: the path before.
            f: the denoiser's slopes along it, (R, *event).
            rest: the secants of f - g, as from `jaxsamp_kernels.window.secants`, or None.
        """

        def change(x: Array, row: Any) -> tuple[Array, Array]:
            lam, before, slope, rest = row
            g = self.slope(x, lam)
            changed = g - slope
            if rest is not None:
                inverse, differences = rest
                share = jnp.matmul(inverse, (x - before).ravel(), precision="highest")
                changed += jnp.matmul(share, differences, precision="highest").reshape(changed.shape)
            return changed, g

        rows = self.win.lam, path.x, path.g, rest
        base, end = self.win.states(x, f), self.win.end(x, f)
        return Path(*march.march(self.steps, change, base, end, rows, jnp.zeros_like(x)))
