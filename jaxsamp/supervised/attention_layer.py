"""Layers of attention heads that examples come from, and all their inputs of +1 and -1."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp_kernels import attention, enumeration

MOST_ENTRIES = 16  # of a matrix of signs, of which all are listed


@pytree
@dataclass(frozen=True)
class AttentionLayer:
    """F(X) = sum_i softmax(X Theta_i X^T) X W_i, with the softmax along the last axis.

    Attributes:
        theta: the attention matrices, (m, d, d).
        w: the projections, (m, d, e).
    """

    theta: Any
    w: Any

    @classmethod
    def random(cls, key: PRNGKey, heads: int, dim: int, scale: float = 1.0) -> "AttentionLayer":
        """m heads with entries of Theta from N(0, scale^2) and of W (m, d, d) from N(0, 1)."""
        shape = (checks.at_least("heads", heads, 1), checks.at_least("dim", dim, 1), dim)
        of_theta, of_w = jax.random.split(checks.typed_key(key))
        return cls(scale * jax.random.normal(of_theta, shape), jax.random.normal(of_w, shape))

    def __call__(self, x: Any) -> Array:
        """F for inputs x (..., k, d), as (..., k, e)."""
        theta = jnp.asarray(self.theta)
        return attention.layer(jnp.asarray(x, theta.dtype), theta, jnp.asarray(self.w))

    def distance(self, other: "AttentionLayer") -> tuple[float, float]:
        """Largest |difference| of an entry of Theta, and of W, with the heads in the order that is best for Theta.

        Raises:
            ValueError: the layers have different shapes.
        """
        for name in ("theta", "w"):
            own, its = np.shape(getattr(self, name)), np.shape(getattr(other, name))
            if own != its:
                raise ValueError(f"other must have {name} of shape {own}, as this layer has; got {its}.")
        apart = np.abs(np.asarray(self.theta)[:, None] - np.asarray(other.theta)[None]).max((2, 3))
        own, its = linear_sum_assignment(apart)
        return float(apart[own, its].max()), float(np.abs(np.asarray(self.w)[own] - np.asarray(other.w)[its]).max())

    def simplified(self, tolerance: float = 1e-3) -> "AttentionLayer":
        """The same function, up to the tolerance, with fewer heads where that is possible.

        Heads whose entries of Theta all differ by less than `tolerance` become one, with both of their W, and heads
        whose entries of W are all smaller than it are left out: no example tells such layers apart.
        """
        theta, w = [], []
        for one, its in zip(np.asarray(self.theta), np.asarray(self.w), strict=True):
            same = next((i for i, other in enumerate(theta) if np.abs(other - one).max() < tolerance), None)
            if same is None:
                theta.append(one)
                w.append(its)
            else:
                w[same] = w[same] + its
        kept = [i for i, its in enumerate(w) if np.abs(its).max() >= tolerance]
        return AttentionLayer(
            np.array([theta[i] for i in kept]).reshape(-1, *np.shape(self.theta)[1:]),
            np.array([w[i] for i in kept]).reshape(-1, *np.shape(self.w)[1:]),
        )


def sign_matrices(k: int, d: int) -> Array:
    """All 2^(k d) matrices of +1 and -1 with k rows and d columns, (2^(k d), k, d), for exact means over inputs.

    Raises:
        ValueError: k or d is below 1, or there are more than 2^16 of them.
    """
    entries = checks.at_least("k", k, 1) * checks.at_least("d", d, 1)
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"k times d must be at most {MOST_ENTRIES} to list all matrices; got {entries}, of which there are "
            f"{2**entries:,}. Draw some of them in place of all, jax.random.rademacher(key, (n, k, d), float)."
        )
    return enumeration.states(0, 2**entries, entries).reshape(-1, k, d)
