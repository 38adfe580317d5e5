"""A convolutional decoder of one axis, whose shape alone is the prior (a deep image prior)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core.types import Array

SLOPE, WIDTH = 0.2, 5  # of leaky ReLUs below 0; of kernels


class Decoder(nn.Module):
    """From fixed noise z of a coarse axis to `outputs` curves on a fine one: convolutions and upsampling, in turn.

    Each of `depth` blocks has two convolutions, each with instance normalization and a leaky ReLU, and a cubic
    upsampling to twice the length; a last convolution of width 1 has the outputs. It is fitted to the known points of
    one signal alone, and stopped before it fits their noise.

    Attributes:
        outputs: number of curves.
        points: length of each; z has ceil(points / 2^depth).
        channels: of all hidden layers.
        depth: number of blocks.

    Source: Ulyanov et al., "Deep Image Prior", arXiv 1711.10925.
    """

    outputs: int
    points: int
    channels: int = 32
    depth: int = 5

    @property
    def coarse(self) -> int:
        """Length of z."""
        return -(-self.points // 2**self.depth)

    @nn.compact
    def __call__(self, z: Float[Array, "coarse channels"]) -> Float[Array, "points outputs"]:
        """The curves."""
        h = z
        for _ in range(self.depth):
            for _ in range(2):
                # A convolution as the product of windows with a matrix: many networks at once stay products.
                padded = jnp.pad(h, ((WIDTH // 2, WIDTH // 2), (0, 0)), "reflect" if len(h) > WIDTH // 2 else "edge")
                windows = jnp.concatenate([padded[k : k + len(h)] for k in range(WIDTH)], -1)
                h = nn.LayerNorm(reduction_axes=0)(nn.Dense(self.channels)(windows))
                h = nn.leaky_relu(h, SLOPE)
            h = jax.image.resize(h, (2 * len(h), self.channels), "cubic")
        return nn.Dense(self.outputs)(h)[: self.points]
