"""How noise grows: x_t = alpha x_0 + sigma z, and the inverse from lambda = log(alpha / sigma) to (alpha, sigma, t).

Samplers move in lambda and never see a schedule. A schedule only scales the input of a network and gives it the time
that it was trained with.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, diffusers
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, ArrayLike, Level


class Schedule(ABC):
    """How noise grows, x_t = alpha x_0 + sigma z. A subclass defines `level` and `_curve`, t -> (alpha, sigma)."""

    @abstractmethod
    def level(self, lam: ArrayLike) -> Level:
        """The level at lambda = log(alpha / sigma), half the log signal-to-noise ratio; any shape."""

    @abstractmethod
    def _curve(self, t: Array) -> tuple[Array, Array]:
        """(alpha, sigma) at time t."""

    def at(self, t: ArrayLike) -> Level:
        """The level at the schedule's own time t."""
        t = jnp.asarray(t, dtype=jnp.result_type(t, float))
        return Level(*self._curve(t), t)

    def rates(self, t: ArrayLike) -> tuple[Array, Array]:
        """(d alpha / dt, d sigma / dt) at time t, by automatic differentiation of the schedule."""
        t = jnp.asarray(t, dtype=jnp.result_type(t, float))
        return jax.jvp(self._curve, (t,), (jnp.ones_like(t),))[1]

    def trained(self, lam: Array) -> Array:
        """The lambda nearest to `lam` at which a network was trained: `lam` itself unless times are discrete."""
        return lam

    def limits(self) -> tuple[Any, Any]:
        """Smallest and largest sigma / alpha that the schedule reaches."""
        return 0.0, jnp.inf

    def __post_init__(self):
        if checks.is_concrete(self):  # transformations make schedules of tracers
            self.check()

    def check(self) -> None:  # noqa: B027  (most schedules have no settings)
        """Raise ValueError if concrete settings do not define a schedule; done when one is made."""


class _VariancePreserving(Schedule):
    """alpha^2 + sigma^2 = 1, so alpha^2 and sigma^2 are sigmoids of 2 lambda and only the time differs."""

    def level(self, lam: ArrayLike) -> Level:
        """alpha^2 = sigmoid(2 lambda), sigma^2 = sigmoid(-2 lambda)."""
        lam = jnp.asarray(lam)
        return Level(_root_sigmoid(lam), _root_sigmoid(-lam), self._time(lam))

    @abstractmethod
    def _time(self, lam: Array) -> Array:
        """The time t at lambda."""


def _root_sigmoid(lam: Array) -> Array:
    return jnp.exp(0.5 * jax.nn.log_sigmoid(2 * lam))


def _ou_time(lam: Array) -> Array:
    """tau = -log alpha of the variance-preserving process."""
    return 0.5 * jax.nn.softplus(-2 * lam)


@pytree
@dataclass(frozen=True)
class OrnsteinUhlenbeck(_VariancePreserving):
    """alpha = e^-t, sigma^2 = 1 - e^-2t, t > 0: dx = -x dt + sqrt(2) dB, the process of the theory papers."""

    def _curve(self, t: Array) -> tuple[Array, Array]:
        return jnp.exp(-t), jnp.sqrt(-jnp.expm1(-2 * t))

    def _time(self, lam: Array) -> Array:
        return _ou_time(lam)


@pytree
@dataclass(frozen=True)
class VariancePreserving(_VariancePreserving):
    """Linear beta: log alpha = -t^2 (beta_max - beta_min) / 4 - t beta_min / 2 for t in (0, 1].

    Raises ValueError, when it is made, unless 0 <= beta_min < beta_max, both finite.

    Source: Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations",
    arXiv 2011.13456.
    """

    beta_min: Any = 0.1
    beta_max: Any = 20.0

    def _curve(self, t: Array) -> tuple[Array, Array]:
        tau = t * (0.25 * t * (self.beta_max - self.beta_min) + 0.5 * self.beta_min)
        return jnp.exp(-tau), jnp.sqrt(-jnp.expm1(-2 * tau))

    def _time(self, lam: Array) -> Array:
        tau, half = _ou_time(lam), 0.5 * self.beta_min
        return 2 * tau / (half + jnp.sqrt(half * half + (self.beta_max - self.beta_min) * tau))

    def limits(self) -> tuple[Any, Any]:
        """From 0 to sigma / alpha at t = 1."""
        alpha, sigma = self._curve(jnp.ones(()))
        return 0.0, sigma / alpha

    def check(self) -> None:
        """Raise ValueError unless 0 <= beta_min < beta_max, both finite."""
        if not 0 <= float(self.beta_min) < float(self.beta_max) < np.inf:
            raise ValueError(
                f"beta_min and beta_max must satisfy 0 <= beta_min < beta_max; got {self.beta_min} and {self.beta_max}."
            )


@pytree
@dataclass(frozen=True)
class Cosine(_VariancePreserving):
    """alpha = cos(pi t / 2) = sin(pi (1 - t) / 2), sigma = sin(pi t / 2), t in (0, 1).

    Source: Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", arXiv 2102.09672, with their
    offset set to zero.
    """

    def _curve(self, t: Array) -> tuple[Array, Array]:
        return jnp.sin(jnp.pi / 2 * (1 - t)), jnp.sin(jnp.pi / 2 * t)  # the rounded cosine is not 0 at t = 1

    def _time(self, lam: Array) -> Array:
        return 2 / jnp.pi * jnp.arctan(jnp.exp(-lam))


@pytree
@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """alpha = 1, sigma = t > 0: the coordinates of EDM.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """

    def level(self, lam: ArrayLike) -> Level:
        """sigma = t = e^-lambda."""
        sigma = jnp.exp(-jnp.asarray(lam))
        return Level(jnp.ones_like(sigma), sigma, sigma)

    def _curve(self, t: Array) -> tuple[Array, Array]:
        return jnp.ones_like(t), t


EDM = VarianceExploding


@pytree
@dataclass(frozen=True)
class RectifiedFlow(Schedule):
    """alpha = 1 - t, sigma = t, t in (0, 1): straight paths from data to noise.

    Source: Liu, Gong and Liu, "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow",
    arXiv 2209.03003; Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747.
    """

    def level(self, lam: ArrayLike) -> Level:
        """sigma = t = sigmoid(-lambda)."""
        lam = jnp.asarray(lam)
        sigma = jax.nn.sigmoid(-lam)
        return Level(jax.nn.sigmoid(lam), sigma, sigma)

    def _curve(self, t: Array) -> tuple[Array, Array]:
        return 1 - t, t


@pytree
@dataclass(frozen=True)
class DiscreteTime(_VariancePreserving):
    """The schedule of a network trained at integer times: alpha_t^2 = alphas_cumprod[t], sigma_t^2 = 1 - alpha_t^2.

    Times are 0, ..., T - 1. `level` accepts any lambda and returns the trained time nearest to it. Grids consist of
    trained levels, and samplers round their inner nodes to trained levels before they compute any weight, but for
    Gauss nodes and the inner steps of `SplitGibbs`, where the network is evaluated at the nearest trained time.

    Args:
        alphas_cumprod: (T,), strictly decreasing, inside (0, 1). Give float64, such as numpy.cumprod(1 - betas):
            in float32 the first 1 - alpha_t^2 have an error of a hundredth of a percent. The last one may be 0 ("zero
            terminal signal-to-noise ratio"): x_t is pure noise there, sigma / alpha is infinite, lambda -infinity.

    Attributes:
        lam: lambda at every trained time, (T,), decreasing, computed in float64.

    Raises:
        ValueError: alphas_cumprod is not as above, for example betas.

    Source: Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239; Lin et al., "Common
    Diffusion Noise Schedules and Sample Steps are Flawed", arXiv 2305.08891 (the last one 0).
    """

    alphas_cumprod: Any
    lam: Any = field(init=False, default=None, repr=False, compare=False)

    def __post_init__(self):
        super().__post_init__()
        alpha2, xp = self.alphas_cumprod, jnp
        if checks.is_concrete(alpha2):  # on the host: in float32, 1 - alpha^2 loses its digits where alpha is near 1
            alpha2, xp = np.asarray(alpha2, np.float64), np
        with np.errstate(divide="ignore"):
            object.__setattr__(self, "lam", 0.5 * (xp.log(alpha2) - xp.log1p(-alpha2)))

    @classmethod
    def from_diffusers(cls, config: Mapping[str, Any] | str | Path) -> tuple["DiscreteTime", str]:
        """The schedule of a scheduler of diffusers, and what its network predicts, as `jaxsamp.denoiser` takes it.

            schedule, prediction = DiscreteTime.from_diffusers(config)

        Its levels are computed in float64, where theirs are float32. Settings of the grid and of the steps, such as
        `timestep_spacing`, do not matter here; see `jaxsamp.grids.diffusers`. With `rescale_betas_zero_snr` the last
        alpha^2 is 0, or 2^-24 if `_class_name` is that of a multistep or Euler scheduler, as there.

        Args:
            config: `scheduler.config`, a JSON file or a folder with scheduler_config.json. Understood are
                `num_train_timesteps`, `beta_start`, `beta_end`, `beta_schedule` ("linear", "scaled_linear" or
                "squaredcos_cap_v2"), `trained_betas`, `rescale_betas_zero_snr` and `prediction_type`.

        Returns:
            schedule: alpha_t^2 = prod of 1 - beta, T = num_train_timesteps.
            prediction: "epsilon", "x0" (theirs: "sample") or "v" (theirs: "v_prediction").

        Raises:
            ValueError: a setting is unknown, or asks for what is not supported; the file cannot be read.
            TypeError: config is neither a dict nor a path.
        """
        settings = diffusers.settings(config)
        return cls(diffusers.alphas_cumprod(settings)), diffusers.prediction(settings)

    def at(self, t: ArrayLike) -> Level:
        """The level at integer time t; TypeError for other numbers, and ValueError unless 0 <= t < T."""
        t, last = jnp.asarray(t), len(self.lam) - 1
        if not jnp.issubdtype(t.dtype, jnp.integer):
            raise TypeError(f"t must be integers for DiscreteTime, the numbers of trained times; got dtype {t.dtype}.")
        if checks.is_concrete(t) and t.size and not 0 <= (least := int(t.min())) <= (most := int(t.max())) <= last:
            raise ValueError(f"t must be from 0 to {last}, the last trained time; got {least if least < 0 else most}.")
        return Level(*self._curve(t), t)

    def rates(self, t: ArrayLike) -> tuple[Array, Array]:
        """Raise TypeError, because integer times have no derivative."""
        raise TypeError("prediction 'velocity' needs d alpha / dt, which the schedule DiscreteTime does not have.")

    def table(self) -> Array:
        """lambda at every trained time, (T,), decreasing, in the default precision."""
        return jnp.asarray(self.lam, float)

    def trained(self, lam: Array) -> Array:
        """The trained lambda nearest to `lam`."""
        return self.table()[self._time(lam)].astype(jnp.result_type(lam))

    def limits(self) -> tuple[Any, Any]:
        """sigma / alpha at the first and last trained times."""
        xp = np if checks.is_concrete(self.lam) else jnp
        return xp.exp(-self.lam[0]), xp.exp(-self.lam[-1])

    def check(self) -> None:
        """Raise ValueError unless alphas_cumprod decreases strictly inside (0, 1), or down to 0."""
        values = checks.finite("alphas_cumprod", self.alphas_cumprod)
        if values.ndim != 1 or len(values) < 2 or (np.diff(values) >= 0).any() or values[0] >= 1 or values[-1] < 0:
            betas = values.ndim == 1 and len(values) > 1 and (np.diff(values) >= 0).all() and values[0] > 0
            hint = " For betas, which increase, give numpy.cumprod(1 - betas)." if betas else ""
            raise ValueError(
                "alphas_cumprod must be a 1-D array that decreases strictly inside (0, 1), or down to 0; got "
                f"shape {values.shape} with values from {values.flat[0]:g} to {values.flat[-1]:g}.{hint}"
            )

    def _curve(self, t: Array) -> tuple[Array, Array]:
        lam = self.table()[t]
        return _root_sigmoid(lam), _root_sigmoid(-lam)

    def _time(self, lam: Array) -> Array:
        return nearest_time(self.table(), jnp.asarray(lam), jnp)


def nearest_time(table: Any, lam: Any, xp: Any) -> Any:
    """The index of the entry of a decreasing table that is nearest to `lam`, by NumPy or JAX as `xp`."""
    up = table[::-1]
    # By the middles between the entries: differences from -infinity would not be numbers.
    return len(table) - 1 - xp.searchsorted(0.5 * (up[:-1] + up[1:]), lam)


def distinct_times(times: np.ndarray, count: int) -> np.ndarray:
    """Times that decrease strictly and stay in 0 .. count - 1, near the given ones, which may repeat.

    Times that decrease strictly already are returned as they are. The first and the last are kept if there are enough
    times between them; of those that repeat, all but the last move up.
    """
    steps = len(times) - 1
    if steps >= count:
        raise ValueError(
            f"steps must be at most {count - 1}, the number of intervals between trained times; got {steps}."
        )
    last = max(0, min(times[-1], times[0] - steps))
    first = max(times[0], last + steps)
    left = np.arange(steps, -1, -1)
    spread = np.maximum.accumulate((np.maximum(times, last) - left)[::-1])[::-1] + left
    return np.minimum(spread, first - left[::-1])


BY_NAME = {
    "vp": VariancePreserving(),
    "ou": OrnsteinUhlenbeck(),
    "cosine": Cosine(),
    "edm": EDM(),
    "rectified-flow": RectifiedFlow(),
}
