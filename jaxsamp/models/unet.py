"""A convolutional U-Net for images."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core.types import CHANNELS_LAST, Array, PyTree, is_channels_first
from jaxsamp.models.layers import ZERO, Attention, Embedding, Modulate, groups, with_channels


class GatedConv(nn.Module):
    """conv(x) sigmoid(conv_g(x)): a second convolution says where the first one counts.

    Source: Yu et al., "Free-Form Image Inpainting with Gated Convolution", arXiv 1806.03589.
    """

    channels: int
    strides: tuple[int, int] = (1, 1)
    dtype: Any = None
    kernel_init: Any = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """(batch, h, w, c) -> (batch, h, w, channels), with 3 x 3 kernels."""
        gate = nn.Conv(self.channels, (3, 3), self.strides, dtype=self.dtype, name="gate")(x)
        out = nn.Conv(
            self.channels, (3, 3), self.strides, dtype=self.dtype, kernel_init=self.kernel_init, name="features"
        )(x)
        return out * nn.sigmoid(gate)


def convolution(gated: bool, channels: int, dtype: Any, strides: tuple[int, int] = (1, 1), **options: Any) -> nn.Module:
    """A 3 x 3 convolution, gated or plain."""
    if gated:
        return GatedConv(channels, strides, dtype, **options)
    return nn.Conv(channels, (3, 3), strides, dtype=dtype, **options)


class Block(nn.Module):
    """A residual block: two 3x3 convolutions, the second modulated by the embedding and zero at initialization."""

    channels: int
    dtype: Any = None
    gated: bool = False

    @nn.compact
    def __call__(self, x: Array, embedding: Array) -> Array:
        """(batch, h, w, c) -> (batch, h, w, channels)."""
        h = nn.silu(nn.GroupNorm(groups(x.shape[-1]), dtype=self.dtype)(x))
        h = convolution(self.gated, self.channels, self.dtype)(h)
        h = nn.GroupNorm(groups(self.channels), dtype=self.dtype)(h)
        h = nn.silu(Modulate(self.dtype)(h, embedding))
        h = convolution(self.gated, self.channels, self.dtype, kernel_init=ZERO)(h)
        if x.shape[-1] != self.channels:
            x = nn.Conv(self.channels, (1, 1), dtype=self.dtype)(x)
        return x + h


class ImageAttention(nn.Module):
    """Residual self-attention over the pixels, with heads of about `head` channels each."""

    head: int = 64
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """(batch, h, w, c) -> the same shape."""
        tokens = nn.GroupNorm(groups(x.shape[-1]), dtype=self.dtype)(x).reshape(x.shape[0], -1, x.shape[-1])
        heads = max(k for k in range(1, max(1, x.shape[-1] // self.head) + 1) if x.shape[-1] % k == 0)
        return x + Attention(heads, self.dtype)(tokens).reshape(x.shape)


class UNet(nn.Module):
    """Down through halved resolutions and up again, with skips; events (h, w) or (h, w, c).

    1.0 million weights with channels=32, multipliers=(1, 2); 6.9 million with the default settings; 63 million with
    channels=128, multipliers=(1, 2, 2, 2), blocks=4.

    Attributes:
        channels: number of channels at the finest resolution.
        multipliers: channels of each resolution, as multiples of `channels`; h and w must be divisible by
            2^(len(multipliers) - 1).
        blocks: residual blocks at each resolution on the way down; there is one more on the way up.
        attention: numbers of the resolutions with attention, 0 being the finest; the middle always has it.
        classes: number of labels, if `cond` has them; label `classes` is "no label".
        dtype: compute dtype; weights stay in float32.
        gated: multiply each 3 x 3 convolution but the last by the sigmoid of a second one, which can learn to leave out
            what is missing, of images with a mask as channels. 12.2 million weights with the default settings.

    Source: Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239; Dhariwal and Nichol,
    "Diffusion Models Beat GANs on Image Synthesis", arXiv 2105.05233 (modulation by scale and shift).
    """

    channels: int = 64
    multipliers: tuple[int, ...] = (1, 2, 2)
    blocks: int = 2
    attention: tuple[int, ...] = (2,)
    classes: int = 0
    dtype: Any = None
    gated: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *event"], noise: Float[Array, "batch"], cond: PyTree = None
    ) -> Float[Array, "batch *event"]:
        """The network's output, of x's shape and dtype.

        Raises:
            ValueError: the event is not an image, or has its channels first; or h or w cannot be halved often enough.
        """
        self._check(x.shape[1:])
        image = with_channels(x, cond, 4)
        embedding = Embedding(4 * self.channels, self.classes, self.dtype)(noise, cond)
        h = convolution(self.gated, self.channels, self.dtype)(image)
        skips = [h]
        for i, multiplier in enumerate(self.multipliers):
            if i:
                h = convolution(self.gated, h.shape[-1], self.dtype, (2, 2))(h)
                skips.append(h)
            for _ in range(self.blocks):
                h = self._block(h, embedding, i, multiplier)
                skips.append(h)
        h = Block(h.shape[-1], self.dtype, self.gated)(h, embedding)
        h = ImageAttention(dtype=self.dtype)(h)
        h = Block(h.shape[-1], self.dtype, self.gated)(h, embedding)
        for i, multiplier in reversed(list(enumerate(self.multipliers))):
            for _ in range(self.blocks + 1):
                h = self._block(jnp.concatenate([h, skips.pop()], -1), embedding, i, multiplier)
            if i:
                n, height, width, c = h.shape
                larger = jax.image.resize(h, (n, 2 * height, 2 * width, c), "nearest")
                h = convolution(self.gated, c, self.dtype)(larger)
        h = nn.silu(nn.GroupNorm(groups(h.shape[-1]), dtype=self.dtype)(h))
        out = nn.Conv(1 if x.ndim == 3 else x.shape[-1], (3, 3), kernel_init=ZERO, dtype=self.dtype)(h)
        return out.reshape(x.shape).astype(x.dtype)

    def _block(self, h: Array, embedding: Array, resolution: int, multiplier: int) -> Array:
        h = Block(self.channels * multiplier, self.dtype, self.gated)(h, embedding)
        return ImageAttention(dtype=self.dtype)(h) if resolution in self.attention else h

    def _check(self, event: tuple[int, ...]) -> None:
        factor = 2 ** (len(self.multipliers) - 1)
        if len(event) not in (2, 3) or event[0] % factor or event[1] % factor or is_channels_first(event):
            raise ValueError(
                f"x must be images (batch, h, w) or (batch, h, w, c) with h and w divisible by {factor} for "
                f"{len(self.multipliers)} resolutions; got the event {event}."
                + (f" {CHANNELS_LAST}" if is_channels_first(event) else "")
            )
