"""The exact denoiser of a Gaussian mixture whose noised samples are seen through an operator of each sample."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Level, PyTree
from jaxsamp.corruptions.condition import split
from jaxsamp.denoisers import BaseDenoiser
from jaxsamp_kernels import corrupted as kernel


@pytree
@dataclass(frozen=True)
class CorruptedMixtureDenoiser(BaseDenoiser):
    """E[x_0 | P x_t, A]; made by `GaussianMixture.corrupted_denoiser`."""

    log_weights: Any
    means: Any
    covariances: Any
    schedule: Any
    calibration: Any = None

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(d,)."""
        return jnp.shape(self.means)[1:]

    def check_cond(self, cond: PyTree, n: int) -> None:
        """Raise TypeError unless `cond` has the operators of the samples."""
        if split(cond)[0] is None:
            raise TypeError(
                "cond must have the operator of each sample, such as jaxsamp.corruptions.Mask(0.5).draw(key, n, event)"
                f"; got {'None' if cond is None else f'a {type(cond).__name__}'}."
            )

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """The posterior mean, (batch, d)."""
        x = checks.floating("x", x)
        self.check_cond(cond, len(x))
        alpha, sigma = (jnp.broadcast_to(jnp.asarray(v, x.dtype), x.shape[:1]) for v in (level.alpha, level.sigma))
        law = tuple(jnp.asarray(v, x.dtype) for v in (self.log_weights, self.means, self.covariances))
        return jax.vmap(self._one, (None, 0, 0, 0, 0))(law, x, alpha, sigma, split(cond)[0])

    @staticmethod
    def _one(law: tuple[Array, ...], x: Array, alpha: Array, sigma: Array, operator: Any) -> Array:
        projection = jax.vmap(operator.projector)(jnp.eye(len(x), dtype=x.dtype))
        return kernel.posterior_mean(law, projection, x / alpha, sigma / alpha)
