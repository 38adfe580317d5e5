"""Which samples may train at a noise level: drawn uniformly in constant memory per draw, inside jit."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array


@pytree
@dataclass(frozen=True)
class Admission:
    """Sample i may train at s = sigma / alpha if s > above[i], or if s <= below[i]; made by `Annotations.admission`.

    Sorted by `above`, the samples that s admits from there are the first ones; sorted by `below`, they are the last
    ones. So a level costs two binary searches and one integer, whatever the number of samples.

    Attributes:
        sigma_min: (n,), the noise that a sample needs; `above` is a multiple of it.
        above, from_above: (n,), increasing, and the numbers of the samples in that order.
        below, from_below: (m,), increasing, and the numbers of those m samples for which it is above 0.
    """

    sigma_min: Any
    above: Any
    from_above: Any
    below: Any
    from_below: Any

    @staticmethod
    def of(sigma_min: np.ndarray, sigma_max: np.ndarray, factor: float) -> "Admission":
        """The tables for s > factor * sigma_min or s <= sigma_max, where sigma_max < sigma_min unless it is 0."""
        needed = np.asarray(sigma_min, np.float32)
        above, below = needed * np.float32(factor), np.asarray(sigma_max, np.float32)
        from_above = np.argsort(above, kind="stable").astype(np.int32)
        from_below = np.argsort(below, kind="stable").astype(np.int32)
        from_below = from_below[below[from_below] > 0]
        tables = (needed, above[from_above], from_above, below[from_below], from_below)
        return Admission(*map(jnp.asarray, tables))

    def count(self, s: Float[Array, "*levels"]) -> Int[Array, "*levels"]:
        """How many samples each level admits."""
        first, second = self._counts(s)
        return first + second

    def draw(self, key: Array, s: Float[Array, "*levels"]) -> tuple[Int[Array, "*levels"], Float[Array, "*levels"]]:
        """For each level the number of a sample, uniform over those that it admits, and the noise of its own there.

        Args:
            key: a typed key.
            s: sigma / alpha of each level; the levels are left as they are, so their law is too.

        Returns:
            The numbers; any number where `count` is 0.
            sigma_n, the sample's sigma_min; 0 where it is used as clean, s being at most its sigma_max.
        """
        first, second = self._counts(s)
        chosen = jax.random.randint(key, s.shape, 0, jnp.maximum(first + second, 1))
        number = self.from_above[jnp.minimum(chosen, len(self.from_above) - 1)]
        noise = self.sigma_min[number]
        if len(self.from_below):
            last = len(self.from_below) - 1
            other = self.from_below[jnp.clip(last - (chosen - first), 0, last)]
            number, noise = jnp.where(chosen < first, number, other), jnp.where(chosen < first, noise, 0)
        return number, noise

    def any(self, key: Array, shape: tuple[int, ...]) -> Int[Array, "*shape"]:
        """Numbers of samples, uniform over those that some level admits from above."""
        return self.from_above[jax.random.randint(key, shape, 0, jnp.searchsorted(self.above, jnp.inf))]

    def _counts(self, s: Array) -> tuple[Array, Array]:
        """How many samples are admitted because there is noise enough, and because there is little enough."""
        return jnp.searchsorted(self.above, s), len(self.below) - jnp.searchsorted(self.below, s)
