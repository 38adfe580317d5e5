"""The weight of the error at a noise level: w(lambda) in w |D - x_0|^2, with SNR = (alpha / sigma)^2 = e^(2 lambda).

The squared error of any prediction is |D - x_0|^2 divided by the square of the coefficient of that prediction, so one
function of lambda serves all predictions: the weight SNR gives the plain loss of a network that predicts the noise.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array


class Weighting(ABC):
    """w(lambda), the weight of the squared error of the posterior mean at half-log-SNR lambda."""

    @abstractmethod
    def __call__(self, lam: Array) -> Array:
        """The weight, of the shape of `lam`."""

    def check(self) -> None:  # noqa: B027  (most weightings have no settings)
        """Raise ValueError if concrete settings do not define a weighting."""


@pytree
@dataclass(frozen=True)
class UnitWeighting(Weighting):
    """w = 1: the plain loss of a network that predicts x_0."""

    def __call__(self, lam: Array) -> Array:
        """1 at every level."""
        return jnp.ones_like(lam)


@pytree
@dataclass(frozen=True)
class SNRWeighting(Weighting):
    """w = SNR: the plain loss of a network that predicts the noise.

    Source: Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239 (L_simple).
    """

    def __call__(self, lam: Array) -> Array:
        """e^(2 lambda)."""
        return jnp.exp(2 * lam)


@pytree
@dataclass(frozen=True)
class MinSNRWeighting(Weighting):
    """w = min(SNR, gamma): the loss of the noise, limited at levels with little noise.

    Source: Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", arXiv 2303.09556.
    """

    gamma: Any = 5.0

    def __call__(self, lam: Array) -> Array:
        """min(e^(2 lambda), gamma)."""
        return jnp.minimum(jnp.exp(2 * lam), self.gamma)

    def check(self) -> None:
        """Raise ValueError unless gamma is positive."""
        _positive("gamma", self.gamma)


@pytree
@dataclass(frozen=True)
class EDMWeighting(Weighting):
    """w = SNR + 1 / sigma_data^2: the best linear denoiser of data of standard deviation sigma_data has loss 1
    at every level.

    With sigma_data = 1 this is the plain loss of a network that predicts v.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """

    sigma_data: Any = 0.5

    def __call__(self, lam: Array) -> Array:
        """(s^2 + sigma_data^2) / (s sigma_data)^2 with s = sigma / alpha = e^-lambda."""
        return jnp.exp(2 * lam) + 1 / jnp.square(jnp.asarray(self.sigma_data, lam.dtype))

    def check(self) -> None:
        """Raise ValueError unless sigma_data is positive."""
        _positive("sigma_data", self.sigma_data)


def _positive(name: str, value: Any) -> None:
    if checks.is_concrete(value) and not float(value) > 0:
        raise ValueError(f"{name} must be above 0; got {value}.")
