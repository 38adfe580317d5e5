"""Which noise levels a network is trained at: laws of lambda = log(alpha / sigma), one draw for each sample."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Data, Level, is_image

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0  # of sigma / alpha
AUTO = "auto"
# Means of log(sigma / alpha) for data of standard deviation SCALE. EDM's mean is -1.2, for photographs by the ten
# thousand; -0.5 gives digits of lower Frechet distance (1.6 in the place of 1.9).
MEAN_OF_IMAGES, MEAN, SCALE = -0.5, -1.2, 0.5


class NoiseLevelDistribution(ABC):
    """A law of noise levels. A subclass gives `draw`.

    Under a schedule of discrete times every law is rounded to the trained level nearest in lambda.
    """

    @abstractmethod
    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """n levels with arrays of shape (n,), and the factor (n,) by which each one's loss is to be multiplied."""

    def resolved(self, std: ArrayLike, event: tuple[int, ...]) -> "NoiseLevelDistribution":
        """The law for data of that standard deviation and shape; itself, unless a setting is "auto"."""
        return self

    @property
    def is_resolved(self) -> bool:
        """Whether no setting waits for the data."""
        return True

    def check(self) -> None:  # noqa: B027  (not every law has settings that can be wrong)
        """Raise ValueError where concrete settings make no law."""


@pytree
@dataclass(frozen=True)
class UniformTime(NoiseLevelDistribution):
    """t uniform in the schedule's own time, over all of it: as far as sigma / alpha is finite and not 0.

    Ends that the schedule leaves open are those of sigma / alpha = 0.002 and 80.
    """

    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """Integer times are equally likely, both ends included."""
        low, high = (jnp.asarray(end, float) for end in schedule.limits())
        low, high = jnp.where(low > 0, low, SIGMA_MIN), jnp.where(jnp.isfinite(high), high, SIGMA_MAX)
        first, last = schedule.level(-jnp.log(low)).t, schedule.level(-jnp.log(high)).t
        if jnp.issubdtype(first.dtype, jnp.integer):
            t = jax.random.randint(key, (n,), first, last + 1)
        else:
            t = first + (last - first) * jax.random.uniform(key, (n,), first.dtype)
        return schedule.at(t), jnp.ones(n)


@pytree
@dataclass(frozen=True)
class LogNormal(NoiseLevelDistribution):
    """log(sigma / alpha) ~ N(mean, std^2): most draws where the loss can still fall.

    Attributes:
        mean: a number; or "auto", for log(s / 0.5) - 0.5 of images and log(s / 0.5) - 1.2 of other data, where s is
            the standard deviation of the data, so that their scale does not matter.
        std: above 0.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364
    (P_mean and P_std).
    """

    mean: Any = AUTO
    std: Any = 1.2

    @property
    def is_resolved(self) -> bool:
        """Whether the mean is a number."""
        return not isinstance(self.mean, str)

    def resolved(self, std: ArrayLike, event: tuple[int, ...]) -> NoiseLevelDistribution:
        """With a mean in the place of "auto".

        Args:
            std: standard deviation of the entries of the data, above 0.
            event: shape of one sample; images are (h, w), (h, w, 1) and (h, w, 3).
        """
        if self.is_resolved:
            return self
        mean = MEAN_OF_IMAGES if is_image(event) else MEAN
        log = np.log if checks.is_concrete(std) else jnp.log
        moved = mean + log(std / SCALE)
        return replace(self, mean=float(moved) if checks.is_concrete(std) else moved)

    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """Lambda = -(mean + std z)."""
        if not self.is_resolved:
            raise ValueError(f"mean must be a number to draw levels, such as that of resolved(std, event); got {AUTO}.")
        return _at(-(self.mean + self.std * jax.random.normal(key, (n,))), schedule), jnp.ones(n)

    def check(self) -> None:
        """Mean must be finite or "auto", and std positive."""
        if isinstance(self.mean, str):
            checks.one_of("mean, where it is a word,", self.mean, [AUTO])
        elif checks.is_concrete(self.mean) and not np.isfinite(float(self.mean)):
            raise ValueError(f"mean must be finite; got {self.mean}.")
        if checks.is_concrete(self.std) and not 0 < float(self.std) < np.inf:
            raise ValueError(f"std must be finite and above 0; got {self.std}.")


@pytree
@dataclass(frozen=True)
class UniformLogSNR(NoiseLevelDistribution):
    """Lambda uniform between those of sigma / alpha = sigma_max and sigma_min."""

    sigma_min: Any = SIGMA_MIN
    sigma_max: Any = SIGMA_MAX

    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """Lambda between -log sigma_max and -log sigma_min."""
        low, high = -jnp.log(self.sigma_max), -jnp.log(self.sigma_min)
        return _at(low + (high - low) * jax.random.uniform(key, (n,)), schedule), jnp.ones(n)

    def check(self) -> None:
        """0 < sigma_min < sigma_max."""
        ends = self.sigma_min, self.sigma_max
        if checks.is_concrete(ends) and not 0 < float(ends[0]) < float(ends[1]) < float("inf"):
            raise ValueError(f"sigma_min and sigma_max must satisfy 0 < sigma_min < sigma_max; got {ends}.")


@pytree
@dataclass(frozen=True)
class Importance(NoiseLevelDistribution):
    """Bins of lambda drawn with the given mass, reweighted to a uniform law of lambda: the same loss, less noise.

    Attributes:
        edges: (bins + 1,), increasing.
        mass: (bins,), positive, of sum 1; the noise of the loss is least where it is proportional to the width of
            the bin times the root mean square of the weighted loss there.
    """

    edges: Any
    mass: Any

    @staticmethod
    def from_losses(lam: Data, losses: Data, bins: int = 16, uniform: float = 0.1) -> "Importance":
        """From weighted losses measured at levels `lam`: bins of equal width, mass by root mean square.

        Args:
            lam, losses: (n,) each.
            bins: number of bins; one without a measurement gets the mean of the others.
            uniform: share of the mass that is spread evenly, so that no factor exceeds 1 / uniform.

        Raises:
            ValueError: shapes that do not match, values that are not finite, or fewer than two distinct levels.
        """
        lam, losses = checks.finite("lam", lam), checks.finite("losses", losses)
        checks.at_least("bins", bins, 1)
        if lam.ndim != 1 or lam.shape != losses.shape or np.ptp(lam) == 0:
            raise ValueError(f"lam and losses must be (n,) with differing levels; got {lam.shape} and {losses.shape}.")
        if not 0 < uniform <= 1:
            raise ValueError(f"uniform must be in (0, 1]; got {uniform}.")
        edges = np.linspace(lam.min(), lam.max(), bins + 1)
        found = np.clip(np.searchsorted(edges, lam, side="right") - 1, 0, bins - 1)
        count, squares = np.bincount(found, minlength=bins), np.bincount(found, losses**2, bins)
        rms = np.sqrt(squares / np.maximum(count, 1))
        rms[count == 0] = rms[count > 0].mean()
        total = rms.sum()
        mass = (1 - uniform) * rms / total + uniform / bins if total > 0 else np.full(bins, 1 / bins)
        return Importance(jnp.asarray(edges, float), jnp.asarray(mass, float))

    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """A bin by its mass, a level uniform inside, and the factor uniform density / density drawn from."""
        edges, mass = jnp.asarray(self.edges), jnp.asarray(self.mass)
        for_bin, for_place = jax.random.split(key)
        chosen = jax.random.categorical(for_bin, jnp.log(mass), shape=(n,))
        width = jnp.diff(edges)
        lam = edges[chosen] + width[chosen] * jax.random.uniform(for_place, (n,), edges.dtype)
        return _at(lam, schedule), (width / (mass * (edges[-1] - edges[0])))[chosen]

    def check(self) -> None:
        """Edges must increase and mass be positive of sum 1."""
        if not checks.is_concrete(self.edges, self.mass):
            return
        edges, mass = checks.finite("edges", self.edges), checks.finite("mass", self.mass)
        if edges.ndim != 1 or len(edges) < 2 or (np.diff(edges) <= 0).any():
            raise ValueError(f"edges must be an increasing array (bins + 1,); got shape {edges.shape}.")
        if mass.shape != (len(edges) - 1,) or (mass <= 0).any() or abs(mass.sum() - 1) > 1e-4:
            raise ValueError(f"mass must be {len(edges) - 1} positive numbers of sum 1; got {mass}.")


def _at(lam: Array, schedule: Any) -> Level:
    return schedule.level(schedule.trained(lam))
