"""A residual multilayer perceptron for vectors and small images."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core.types import Array, PyTree
from jaxsamp.models.layers import ZERO, Embedding, Modulate
from jaxsamp.models.layers import parts as parts_of


class MLP(nn.Module):
    """`depth` residual blocks of two layers of `width`, modulated by noise level and condition; events of any shape.

    0.9 million weights with the default settings, for events of 64 numbers.

    Attributes:
        width: size of every hidden layer.
        depth: number of residual blocks.
        classes: number of labels, if `cond` has them; label `classes` is "no label".
        dtype: compute dtype; weights stay in float32.
    """

    width: int = 256
    depth: int = 3
    classes: int = 0
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *event"], noise: Float[Array, "batch"], cond: PyTree = None
    ) -> Float[Array, "batch *event"]:
        """The network's output, of x's shape and dtype."""
        flat = x.reshape(x.shape[0], -1)
        inputs, extra = flat, parts_of(cond).get("channels")
        if extra is not None:
            inputs = jnp.concatenate([flat, jnp.asarray(extra, x.dtype).reshape(x.shape[0], -1)], -1)
        h = nn.Dense(self.width, dtype=self.dtype)(inputs)
        embedding = Embedding(self.width, self.classes, self.dtype)(noise, cond)
        for _ in range(self.depth):
            u = Modulate(self.dtype)(nn.LayerNorm(dtype=self.dtype)(h), embedding)
            u = nn.silu(nn.Dense(self.width, dtype=self.dtype)(u))
            h += nn.Dense(self.width, kernel_init=ZERO, dtype=self.dtype)(u)
        h = nn.silu(nn.LayerNorm(dtype=self.dtype)(h))
        out = nn.Dense(flat.shape[1], kernel_init=ZERO, dtype=self.dtype)(h)
        return out.reshape(x.shape).astype(x.dtype)
