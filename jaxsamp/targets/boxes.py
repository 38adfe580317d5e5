"""Mixtures of uniform boxes: a law with edges, exact at every noise level."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Level
from jaxsamp.targets.base import Target, noisy
from jaxsamp_kernels.boxes import BoxPosterior, boxes_posterior


@pytree
@dataclass(frozen=True)
class UniformBoxes(Target):
    """The law sum_k w_k Uniform[low_k, high_k] on R^d; the formulas are in `jaxsamp_kernels.boxes`.

    Args:
        weights: probabilities of the boxes, (K,), summing to one.
        lows: lower corners, (K, d).
        highs: upper corners, (K, d).

    Raises:
        ValueError: shapes do not fit, entries are not finite, weights are not positive or do not sum to one, or a box
            has no volume.
    """

    weights: Any
    lows: Any
    highs: Any

    def __post_init__(self):
        for name in ("weights", "lows", "highs"):
            object.__setattr__(self, name, jnp.asarray(getattr(self, name), float))
        if self.lows.ndim != 2 or self.highs.shape != self.lows.shape or self.weights.shape != self.lows.shape[:1]:
            shapes = f"{self.weights.shape}, {self.lows.shape} and {self.highs.shape}"
            raise ValueError(f"weights, lows and highs must have shapes (K,), (K, d) and (K, d); got {shapes}.")
        if checks.is_concrete(self.weights, self.lows, self.highs):
            weights, lows, highs = (checks.finite(n, getattr(self, n)) for n in ("weights", "lows", "highs"))
            if (weights <= 0).any() or abs(weights.sum() - 1) > 1e-5:
                raise ValueError(f"weights must be positive and sum to one; got {weights}.")
            if (highs <= lows).any():
                k = int(np.argmax((highs <= lows).any(1)))
                raise ValueError(f"highs must lie above lows; got {highs[k]} against {lows[k]} in box {k}.")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one point, (d,)."""
        return self.lows.shape[1:]

    def mean_square(self) -> Array:
        """sum_k w_k (low_k^2 + low_k high_k + high_k^2) / 3."""
        squares = (self.lows**2 + self.lows * self.highs + self.highs**2) / 3
        return jnp.sum(self.weights[:, None] * squares, 0)

    def sample(self, key: Array, n: int) -> Float[Array, "{n} d"]:
        """`n` points: a random box, then a uniform point in it."""
        k_box, k_place = jax.random.split(checks.typed_key(key))
        box = jax.random.categorical(k_box, jnp.log(self.weights), shape=(n,))
        place = jax.random.uniform(k_place, (n, *self.event_shape), self.lows.dtype)
        return self.lows[box] + (self.highs - self.lows)[box] * place

    def log_prob(self, x: Float[Array, "batch d"], level: Level | None = None) -> Float[Array, "batch"]:
        """Log density in nats of x_t at `x`, sigma > 0; without a level, of x_0, which is -inf outside the boxes."""
        if level is not None:
            return self._posterior(x, level).log_prob
        x, *_ = self.validated(x, Level(1.0, 0.0))
        inside = ((x[:, None] >= self.lows) & (x[:, None] <= self.highs)).all(-1)
        logs = jnp.log(self.weights) - jnp.log(self.highs - self.lows).sum(-1)
        return jax.nn.logsumexp(jnp.where(inside, logs, -jnp.inf), axis=-1)

    def posterior_mean(self, x: Float[Array, "batch d"], level: Level) -> Float[Array, "batch d"]:
        """E[x_0 | x_t = x], sigma > 0."""
        return self._posterior(x, level).mean

    def _posterior(self, x: Array, level: Level) -> BoxPosterior:
        x, alpha, sigma = self.validated(x, noisy(level))
        axes = (0, *(0 if value.ndim else None for value in (alpha, sigma)), None, None, None)
        law = (value.astype(x.dtype) for value in (self.weights, self.lows, self.highs))
        return jax.vmap(boxes_posterior, axes)(x, alpha, sigma, *law)
