"""Networks of one layer of ReLUs without biases inside, such as `jaxsamp.supervised.fit_relu` learns."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core.types import Array


class ReLUNet(nn.Module):
    """c + sum_i l_i relu(w_i.x), i = 1, ..., `width`.

    Attributes:
        width: number of ReLUs.
    """

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
        """The values of all rows."""
        hidden = nn.relu(nn.Dense(self.width, use_bias=False, name="hidden")(x))
        return nn.Dense(1, name="out")(hidden)[..., 0]


def of_weights(weights: np.ndarray, coefficients: np.ndarray, constant: float) -> tuple[ReLUNet, dict[str, Any]]:
    """The network with weights w (m, d), coefficients l (m,) and constant c, and its parameters.

    Flax has no layer without neurons: a network of none has one whose weights are 0.
    """
    dtype = jnp.result_type(float)
    if not len(weights):
        weights, coefficients = np.zeros((1, weights.shape[1])), np.zeros(1)
    out = {"kernel": jnp.asarray(coefficients[:, None], dtype), "bias": jnp.asarray([constant], dtype)}
    return ReLUNet(len(weights)), {"params": {"hidden": {"kernel": jnp.asarray(weights.T, dtype)}, "out": out}}
