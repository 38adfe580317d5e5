"""The empirical law of a data set, from which a network that has memorized its data would sample."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Level
from jaxsamp.targets.base import Target, noisy
from jaxsamp_kernels.empirical import EmpiricalPosterior, empirical_posterior


@pytree
@dataclass(frozen=True)
class Empirical(Target):
    """The law that puts mass 1/n on each of n data points; noised, (1/n) sum_i N(alpha y_i, sigma^2 I).

    Every call streams over the whole data set once, in O(batch d + batch chunk) memory; the formulas are in
    `jaxsamp_kernels.empirical`. Levels must have sigma > 0, because the points themselves have no density.

    Args:
        data: the points, (n, *event); integers are converted to floats.
        chunk: data points per block.
        refine: number of nearest points whose distances are computed again by explicit differences. This takes time
            only at levels so clean that rounding in the first pass would matter: sigma / alpha below about a hundredth
            of the radius of the data in float32. 0 for no second pass.

    Raises:
        ValueError: data are not (n, *event) with n >= 1 or not finite, chunk < 1, or refine < 0.
    """

    data: Any
    chunk: int = field(default=1024, metadata={"static": True})
    refine: int = field(default=64, metadata={"static": True})

    def __post_init__(self):
        data = jnp.asarray(checks.floating("data", self.data))
        if data.ndim < 2 or data.size == 0:
            raise ValueError(f"data must have shape (n, *event) with at least one entry; got {data.shape}.")
        if checks.is_concrete(data):
            checks.finite("data", data)
        checks.at_least("chunk", self.chunk, 1)
        checks.at_least("refine", self.refine, 0)
        object.__setattr__(self, "data", data)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one data point."""
        return self.data.shape[1:]

    def sample(self, key: Array, n: int) -> Float[Array, "{n} *event"]:
        """`n` data points, drawn with replacement."""
        return self.data[jax.random.randint(checks.typed_key(key), (n,), 0, len(self.data))]

    def log_prob(self, x: Float[Array, "batch *event"], level: Level | None = None) -> Float[Array, "batch"]:
        """log (1/n) sum_i N(x; alpha y_i, sigma^2 I), (batch,). Raises ValueError unless the level has sigma > 0."""
        if level is None:
            raise ValueError("level must be given, with sigma > 0: data points alone have no density.")
        return self._posterior(x, level).log_prob

    def posterior_mean(self, x: Float[Array, "batch *event"], level: Level) -> Float[Array, "batch *event"]:
        """E[x_0 | x_t = x]: the average of the data with the posterior weights."""
        return self._posterior(x, level).mean.reshape(x.shape)

    def effective_sample_size(self, x: Float[Array, "batch *event"], level: Level) -> Float[Array, "batch"]:
        """1 / sum_i w_i^2 of the posterior weights w, (batch,), from 1 (one data point explains x) to n."""
        return self._posterior(x, level).ess

    def _posterior(self, x: Array, level: Level) -> EmpiricalPosterior:
        x, alpha, sigma = self.validated(x, noisy(level))
        d = math.prod(self.event_shape)
        flat = self.data.reshape(-1, d)
        return empirical_posterior(x.reshape(-1, d), alpha, sigma, flat, chunk=self.chunk, refine=self.refine)
