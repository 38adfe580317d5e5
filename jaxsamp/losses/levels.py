"""The noise levels of training: laws of lambda = log(alpha / sigma), with one draw per sample."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Data, Level, is_image

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0  # smallest and largest sigma / alpha
AUTO = "auto"
# Means of log(sigma / alpha) for data of standard deviation SCALE. EDM's mean is -1.2, for tens of thousands of
# photographs; for digits, -0.5 gives a lower Frechet distance (1.6 instead of 1.9).
MEAN_OF_IMAGES, MEAN, SCALE = -0.5, -1.2, 0.5


class NoiseLevelDistribution(ABC):
    """A law of noise levels. A subclass defines `draw`.

    With a schedule of discrete times, levels are rounded to the trained level that is nearest in lambda.
    """

    @abstractmethod
    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """n levels with arrays of shape (n,), and the factors (n,) by which their losses are multiplied."""

    def resolved(self, std: ArrayLike, event: tuple[int, ...]) -> "NoiseLevelDistribution":
        """The law for data of that standard deviation and shape; the same law unless a setting is "auto"."""
        return self

    @property
    def is_resolved(self) -> bool:
        """Whether no setting depends on data that are not known yet."""
        return True

    def check(self) -> None:  # noqa: B027  (not every law has settings that can be wrong)
        """Raise ValueError if concrete settings do not define a law."""


@pytree
@dataclass(frozen=True)
class UniformTime(NoiseLevelDistribution):
    """t uniform in the schedule's own time, over all of it where sigma / alpha is finite and not 0.

    If the schedule has no end on one side, the end is at sigma / alpha = 0.002 or 80; discrete times are all drawn.
    """

    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """Levels at uniform times; integer times are equally likely, both ends included."""
        low, high = (jnp.asarray(end, float) for end in schedule.limits())
        discrete = jnp.issubdtype(schedule.level(jnp.zeros(())).t.dtype, jnp.integer)
        if not discrete:
            low, high = jnp.where(low > 0, low, SIGMA_MIN), jnp.where(jnp.isfinite(high), high, SIGMA_MAX)
        first, last = schedule.level(-jnp.log(low)).t, schedule.level(-jnp.log(high)).t
        if discrete:
            t = jax.random.randint(key, (n,), first, last + 1)
        else:
            t = first + (last - first) * jax.random.uniform(key, (n,), first.dtype)
        return schedule.at(t), jnp.ones(n)


@pytree
@dataclass(frozen=True)
class LogNormal(NoiseLevelDistribution):
    """log(sigma / alpha) ~ N(mean, std^2): most draws are at levels where the loss can still fall.

    Attributes:
        mean: a number; or "auto", for log(s / 0.5) - 0.5 if the data are images and log(s / 0.5) - 1.2 otherwise, where
            s is the standard deviation of the data, so that their scale does not matter.
        std: standard deviation of log(sigma / alpha), above 0.

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
        """The law with a number as its mean instead of "auto".

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
        """lambda = -(mean + std z) with z standard normal."""
        if not self.is_resolved:
            raise ValueError(f"mean must be a number to draw levels, as in resolved(std, event); got {AUTO}.")
        return _at(-(self.mean + self.std * jax.random.normal(key, (n,))), schedule), jnp.ones(n)

    def check(self) -> None:
        """Raise ValueError unless mean is finite or "auto", and std is positive."""
        if isinstance(self.mean, str):
            checks.one_of("mean, if it is a string,", self.mean, [AUTO])
        elif checks.is_concrete(self.mean) and not np.isfinite(float(self.mean)):
            raise ValueError(f"mean must be finite; got {self.mean}.")
        if checks.is_concrete(self.std) and not 0 < float(self.std) < np.inf:
            raise ValueError(f"std must be finite and above 0; got {self.std}.")


@pytree
@dataclass(frozen=True)
class UniformLogSNR(NoiseLevelDistribution):
    """lambda uniform from -log(sigma_max) to -log(sigma_min), the ends being values of sigma / alpha."""

    sigma_min: Any = SIGMA_MIN
    sigma_max: Any = SIGMA_MAX

    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """lambda = -log(sigma_max) + u log(sigma_max / sigma_min) with u uniform in [0, 1)."""
        low, high = -jnp.log(self.sigma_max), -jnp.log(self.sigma_min)
        return _at(low + (high - low) * jax.random.uniform(key, (n,)), schedule), jnp.ones(n)

    def check(self) -> None:
        """Raise ValueError unless 0 < sigma_min < sigma_max, both finite."""
        ends = self.sigma_min, self.sigma_max
        if checks.is_concrete(ends) and not 0 < float(ends[0]) < float(ends[1]) < float("inf"):
            raise ValueError(f"sigma_min and sigma_max must satisfy 0 < sigma_min < sigma_max; got {ends}.")


@pytree
@dataclass(frozen=True)
class Importance(NoiseLevelDistribution):
    """Bins of lambda drawn with the given mass, reweighted to a uniform law of lambda: the same mean loss, less noise.

    Attributes:
        edges: (bins + 1,), increasing.
        mass: (bins,), positive, of sum 1; the noise of the loss is smallest if the mass of each bin is proportional to
            its width times the root mean square of the weighted loss in it.
    """

    edges: Any
    mass: Any

    @staticmethod
    def from_losses(lam: Data, losses: Data, bins: int = 16, uniform: float = 0.1) -> "Importance":
        """The law for weighted losses measured at levels `lam`: bins of equal width, mass by root mean square.

        Args:
            lam, losses: (n,) each.
            bins: number of bins; a bin without a measurement gets the mean of the others.
            uniform: share of the mass that is spread evenly, so that no factor exceeds 1 / uniform.

        Raises:
            ValueError: shapes do not match, values are not finite, or there are fewer than two distinct levels.
        """
        lam, losses = checks.finite("lam", lam), checks.finite("losses", losses)
        checks.at_least("bins", bins, 1)
        if lam.ndim != 1 or lam.shape != losses.shape or np.ptp(lam) == 0:
            raise ValueError(f"lam and losses must be (n,) with differing levels; got {lam.shape} and {losses.shape}.")
        if not 0 < uniform <= 1:
            raise ValueError(f"uniform must be in (0, 1]; got {uniform}.")
        edges = np.linspace(lam.min(), lam.max(), bins + 1)
        index = np.clip(np.searchsorted(edges, lam, side="right") - 1, 0, bins - 1)
        count, squares = np.bincount(index, minlength=bins), np.bincount(index, losses**2, bins)
        rms = np.sqrt(squares / np.maximum(count, 1))
        rms[count == 0] = rms[count > 0].mean()
        total = rms.sum()
        mass = (1 - uniform) * rms / total + uniform / bins if total > 0 else np.full(bins, 1 / bins)
        return Importance(jnp.asarray(edges, float), jnp.asarray(mass, float))

    def draw(self, key: Array, n: int, schedule: Any) -> tuple[Level, Array]:
        """A bin by its mass, a level uniform in the bin, and the factor uniform density / sampling density."""
        edges, mass = jnp.asarray(self.edges), jnp.asarray(self.mass)
        for_bin, for_place = jax.random.split(key)
        chosen = jax.random.categorical(for_bin, jnp.log(mass), shape=(n,))
        width = jnp.diff(edges)
        lam = edges[chosen] + width[chosen] * jax.random.uniform(for_place, (n,), edges.dtype)
        return _at(lam, schedule), (width / (mass * (edges[-1] - edges[0])))[chosen]

    def check(self) -> None:
        """Raise ValueError unless edges increase and mass is positive with sum 1."""
        if not checks.is_concrete(self.edges, self.mass):
            return
        edges, mass = checks.finite("edges", self.edges), checks.finite("mass", self.mass)
        if edges.ndim != 1 or len(edges) < 2 or (np.diff(edges) <= 0).any():
            raise ValueError(f"edges must be an increasing array (bins + 1,); got shape {edges.shape}.")
        if mass.shape != (len(edges) - 1,) or (mass <= 0).any() or abs(mass.sum() - 1) > 1e-4:
            raise ValueError(f"mass must be {len(edges) - 1} positive numbers of sum 1; got {mass}.")


def _at(lam: Array, schedule: Any) -> Level:
    return schedule.level(schedule.trained(lam))
