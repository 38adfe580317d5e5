"""The scores that are learned on the DDPM objective, as Flax modules, and that objective.

The laws are mixtures of Gaussians of unit covariance. At a level with alpha^2 + sigma^2 = 1 the noised law is again
one, with centers m = alpha mu; a student has these as its only parameters.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp import losses
from jaxsamp.core.types import Array, ArrayLike, Level

START = nn.initializers.normal(0.1)


class TwoGaussians(nn.Module):
    """The score of N(m, I) / 2 + N(-m, I) / 2: s(x) = tanh(m.x) m - x. Its parameter "means" is m, (d,)."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch d"]) -> Float[Array, "batch d"]:
        """The score at x."""
        m = self.param("means", START, x.shape[-1:])
        return jnp.tanh(jnp.matmul(x, m, precision="highest"))[:, None] * m - x


class Gaussians(nn.Module):
    """The score of sum_j w_j N(m_j, I): s(x) = sum_j p_j(x) m_j - x with p(x) = softmax(log w_j - |x - m_j|^2 / 2).

    Its parameter "means" is m, (K, d).

    Attributes:
        log_weights: log w, (K,).
    """

    log_weights: Any

    @nn.compact
    def __call__(self, x: Float[Array, "batch d"]) -> Float[Array, "batch d"]:
        """The score at x."""
        log_weights = jnp.asarray(self.log_weights)
        m = self.param("means", START, (log_weights.size, x.shape[-1]))
        logits = log_weights + jnp.matmul(x, m.T, precision="highest") - 0.5 * jnp.square(m).sum(1)
        return jnp.matmul(jax.nn.softmax(logits), m, precision="highest") - x


def student(log_weights: Array | None) -> nn.Module:
    """`TwoGaussians` without weights, else `Gaussians`."""
    return TwoGaussians() if log_weights is None else Gaussians(log_weights)


def ddpm_loss(
    network: nn.Module,
    m: Array,
    x0: Float[Array, "batch d"],
    z: Float[Array, "batch d"],
    alpha: ArrayLike,
    sigma: ArrayLike,
) -> Float[Array, "batch"]:
    """The DDPM objective |s(x_t) + z / sigma|^2 of each sample at x_t = alpha x_0 + sigma z, for parameters m."""

    def apply(m: Array, x: Array, t: Array, cond: None) -> Array:
        return jnp.asarray(network.apply({"params": {"means": m}}, x))

    level = Level(alpha, sigma, jnp.zeros(()))  # no time: the student has parameters of its own for each level
    return x0.shape[1] * losses.at_level(apply, m, x0, z, level, None, "score", None)
