"""A network that tells two kinds of noisy samples apart."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core.types import Array, is_image
from jaxsamp.models.layers import ZERO, Embedding, Modulate
from jaxsamp.models.unet import Block


class Classifier(nn.Module):
    """The way down of a U-Net and the mean over its pixels for images, a residual perceptron for other events.

    30 thousand weights for 8 x 8 images with the default settings.

    Attributes:
        channels: number of channels at the finest resolution; hidden layers of other events are 4 times as wide.
        multipliers: channels of each resolution, as multiples of `channels`.
        blocks: residual blocks at each resolution, or in all for other events.
        dtype: compute dtype; weights stay in float32.
    """

    channels: int = 16
    multipliers: tuple[int, ...] = (1, 2)
    blocks: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "batch *event"], noise: Float[Array, "batch"]) -> Float[Array, "batch"]:
        """The logit of the second kind, 0 at initialization; `noise` is log(sigma / alpha) / 4."""
        width = 4 * self.channels
        embedding = Embedding(width, 0, self.dtype)(noise, None)
        if is_image(x.shape[1:]):
            h = nn.Conv(self.channels, (3, 3), dtype=self.dtype)(x if x.ndim == 4 else x[..., None])
            for number, multiplier in enumerate(self.multipliers):
                if number:
                    h = nn.Conv(h.shape[-1], (3, 3), (2, 2), dtype=self.dtype)(h)
                for _ in range(self.blocks):
                    h = Block(self.channels * multiplier, self.dtype)(h, embedding)
            h = h.mean((1, 2))
        else:
            h = nn.Dense(width, dtype=self.dtype)(x.reshape(len(x), -1))
            for _ in range(self.blocks):
                u = Modulate(self.dtype)(nn.LayerNorm(dtype=self.dtype)(h), embedding)
                h += nn.Dense(width, dtype=self.dtype)(nn.silu(nn.Dense(width, dtype=self.dtype)(u)))
        h = nn.silu(nn.LayerNorm(dtype=self.dtype)(h))
        return nn.Dense(1, kernel_init=ZERO, dtype=self.dtype)(h)[:, 0].astype(jnp.float32)
