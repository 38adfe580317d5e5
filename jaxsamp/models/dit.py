"""A small diffusion transformer for images."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from jaxsamp.core.types import CHANNELS_LAST, Array, PyTree, is_channels_first
from jaxsamp.models.layers import ZERO, Attention, Embedding, Modulate, with_channels


def positions(height: int, width: int, size: int) -> Array:
    """Sines and cosines of the two coordinates of each patch, (height * width, size); size divisible by 4."""
    frequencies = 1e4 ** (-jnp.arange(size // 4) / (size // 4))
    rows, columns = (jnp.arange(n)[:, None] * frequencies for n in (height, width))
    grid = jnp.concatenate(
        [
            jnp.broadcast_to(f(angles).reshape(shape), (height, width, size // 4))
            for angles, shape in ((rows, (height, 1, -1)), (columns, (1, width, -1)))
            for f in (jnp.sin, jnp.cos)
        ],
        -1,
    )
    return grid.reshape(height * width, size)


class Layer(nn.Module):
    """Attention and a perceptron, each modulated before and gated afterward; the gates are zero at initialization."""

    heads: int
    dtype: Any = None

    @nn.compact
    def __call__(self, h: Array, embedding: Array) -> Array:
        """(batch, tokens, width) -> the same shape."""
        width = h.shape[-1]
        gates = nn.Dense(2 * width, kernel_init=ZERO, dtype=self.dtype)(embedding)[:, None]
        for_attention, for_perceptron = jnp.split(gates, 2, -1)
        norm = lambda: nn.LayerNorm(use_bias=False, use_scale=False, dtype=self.dtype)  # noqa: E731
        u = Modulate(self.dtype)(norm()(h), embedding)
        h += for_attention * Attention(self.heads, self.dtype, zero=False)(u)
        u = Modulate(self.dtype)(norm()(h), embedding)
        u = nn.gelu(nn.Dense(4 * width, dtype=self.dtype)(u))
        return h + for_perceptron * nn.Dense(width, dtype=self.dtype)(u)


class DiT(nn.Module):
    """A transformer over square patches; events (h, w) or (h, w, c).

    4.1 million weights with the default settings.

    Attributes:
        patch: side of a patch in pixels; must divide h and w.
        width: size of the tokens; divisible by 4 and by `heads`.
        depth: number of layers.
        heads: number of attention heads.
        classes: number of labels, if `cond` has them; label `classes` is "no label".
        dtype: compute dtype; weights stay in float32.

    Source: Peebles and Xie, "Scalable Diffusion Models with Transformers", arXiv 2212.09748.
    """

    patch: int = 2
    width: int = 192
    depth: int = 6
    heads: int = 3
    classes: int = 0
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *event"], noise: Float[Array, "batch"], cond: PyTree = None
    ) -> Float[Array, "batch *event"]:
        """The network's output, of x's shape and dtype.

        Raises:
            ValueError: the event is not an image of whole patches, or `width` is not divisible by 4 and by `heads`.
        """
        p, event = self.patch, x.shape[1:]
        first = is_channels_first(event)
        if len(event) not in (2, 3) or event[0] % p or event[1] % p or first:
            hint = f" {CHANNELS_LAST}" if first else ""
            raise ValueError(f"x must be images with h and w divisible by patch = {p}; got the event {event}.{hint}")
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width must be divisible by 4 and by heads = {self.heads}; got {self.width}.")
        image = with_channels(x, cond, 4)
        height, width = event[0] // p, event[1] // p
        h = nn.Conv(self.width, (p, p), (p, p), dtype=self.dtype)(image).reshape(x.shape[0], -1, self.width)
        h += positions(height, width, self.width).astype(h.dtype)
        embedding = Embedding(self.width, self.classes, self.dtype)(noise, cond)
        for _ in range(self.depth):
            h = Layer(self.heads, self.dtype)(h, embedding)
        h = Modulate(self.dtype)(nn.LayerNorm(use_bias=False, use_scale=False, dtype=self.dtype)(h), embedding)
        channels = 1 if x.ndim == 3 else event[2]
        out = nn.Dense(p * p * channels, kernel_init=ZERO, dtype=self.dtype)(h)
        out = out.reshape(-1, height, width, p, p, channels).swapaxes(2, 3)
        return out.reshape(x.shape).astype(x.dtype)
