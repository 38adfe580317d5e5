"""Residual blocks, attention and embeddings of the networks of diffusers, with the names that their weights have there.

Images have their channels last. Computations are in the precision of the input, or of the weights if that is higher.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsamp.core.types import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "silu": nn.silu,
    "swish": nn.silu,
    "mish": jax.nn.mish,
    "gelu": partial(nn.gelu, approximate=False),
    "relu": nn.relu,
}
MAX_PERIOD = 1e4  # of the waves of a time, over 2 pi


@dataclass(frozen=True)
class Style:
    """What all blocks of a network have in common.

    Attributes:
        groups, eps: of every group norm.
        act: the nonlinearity, a name in `ACTIVATIONS`.
        scale_shift: whether the embedding gives a scale and a shift after the second norm, and not a sum before it.
    """

    groups: int = 32
    eps: float = 1e-5
    act: str = "silu"
    scale_shift: bool = False

    def norm(self, name: str, groups: int | None = None) -> nn.GroupNorm:
        """A group norm. Its variance is a mean of squared differences: E[x^2] - E[x]^2 loses digits in float32."""
        return nn.GroupNorm(groups or self.groups, epsilon=self.eps, use_fast_variance=False, name=name)


def conv(channels: int, name: str, size: int = 3, stride: int = 1, padding: Any = 1) -> nn.Conv:
    """A square convolution; `padding` is the number of zeros on each side, or (before, after)."""
    around = padding if isinstance(padding, tuple) else (padding, padding)
    return nn.Conv(channels, (size, size), (stride, stride), (around, around), name=name)


def doubled(x: Array) -> Array:
    """Images (batch, h, w, c) with each pixel as a square of four."""
    return x.repeat(2, 1).repeat(2, 2)


def halved(x: Array) -> Array:
    """Images (batch, h, w, c) with the means of squares of four pixels."""
    return nn.avg_pool(x, (2, 2), (2, 2))


RESIZED = {"": lambda x: x, "up": doubled, "down": halved}


class ResnetBlock2D(nn.Module):
    """Two convolutions, the second one told the embedding, beside the input: (x + h) / scale.

    Attributes:
        channels: of the output.
        style: see `Style`.
        scale: divides the sum.
        resize: "up" or "down" to double or halve height and width first, "" for neither.
    """

    channels: int
    style: Style
    scale: float = 1.0
    resize: str = ""

    @nn.compact
    def __call__(self, x: Array, embedding: Array | None = None) -> Array:
        """(batch, h, w, c) and (batch, width) -> (batch, h', w', channels)."""
        style, act = self.style, ACTIVATIONS[self.style.act]
        h = act(style.norm("norm1")(x))
        x, h = RESIZED[self.resize](x), RESIZED[self.resize](h)
        h = conv(self.channels, "conv1")(h)
        if embedding is None:
            h = style.norm("norm2")(h)
        else:
            told = nn.Dense((1 + style.scale_shift) * self.channels, name="time_emb_proj")(act(embedding))
            told = told[:, None, None]
            if style.scale_shift:
                scale, shift = jnp.split(told, 2, -1)
                h = style.norm("norm2")(h) * (1 + scale) + shift
            else:
                h = style.norm("norm2")(h + told)
        h = conv(self.channels, "conv2")(act(h))
        if x.shape[-1] != self.channels:
            x = conv(self.channels, "conv_shortcut", size=1, padding=0)(x)
        return (x + h) / self.scale


def attend(tokens: Array, heads: int, head: int, bias: bool = True) -> Array:
    """softmax(q k^T / sqrt(head)) v by layers of the calling module; the softmax is computed in float32 or higher.

    Args:
        tokens: (batch, tokens, channels).
        heads, head: number of heads, and size of each.
        bias: whether queries, keys and values have a bias.

    Returns:
        An array of the same shape.
    """
    split = (*tokens.shape[:2], heads, head)
    q, k, v = (nn.Dense(heads * head, bias, name=name)(tokens).reshape(split) for name in ("to_q", "to_k", "to_v"))
    wide = jnp.promote_types(q.dtype, jnp.float32)
    logits = jnp.einsum("bqhc,bkhc->bhqk", q, k, preferred_element_type=wide) * head**-0.5
    out = jnp.einsum("bhqk,bkhc->bqhc", nn.softmax(logits).astype(v.dtype), v)
    return nn.Dense(tokens.shape[-1], name="to_out.0")(out.reshape(*tokens.shape[:2], -1))


class Attention2D(nn.Module):
    """Attention over the pixels of an image beside the image: (x + attention(norm(x))) / scale.

    Attributes:
        head: size of a head; there are channels // head of them.
        style: see `Style`.
        groups: of the norm; 0 for no norm.
        scale: divides the sum.
    """

    head: int
    style: Style
    groups: int
    scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """(batch, h, w, c) -> the same shape."""
        h = self.style.norm("group_norm", self.groups)(x) if self.groups else x
        h = attend(h.reshape(x.shape[0], -1, x.shape[-1]), x.shape[-1] // self.head, self.head)
        return (x + h.reshape(x.shape)) / self.scale


class TimestepEmbedding(nn.Module):
    """Two layers with SiLU between them: (batch, features) -> (batch, width)."""

    width: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """The embedding of each sample."""
        h = nn.silu(nn.Dense(self.width, name="linear_1")(features))
        return nn.Dense(self.width, name="linear_2")(h)


def waves(t: Array, size: int, cosines_first: bool, shift: float, dtype: Any) -> Array:
    """Sines and cosines of t / 10^(4 i / (size / 2 - shift)), i = 0, 1, ...; (batch,) -> (batch, size).

    They are computed in float32 or higher, and an odd size ends in a column of zeros.
    """
    half, wide = size // 2, jnp.promote_types(dtype, jnp.float32)
    frequencies = jnp.exp(-jnp.log(jnp.asarray(MAX_PERIOD, wide)) * jnp.arange(half, dtype=wide) / (half - shift))
    angles = t.astype(wide)[:, None] * frequencies
    both = [jnp.cos(angles), jnp.sin(angles)] if cosines_first else [jnp.sin(angles), jnp.cos(angles)]
    return jnp.pad(jnp.concatenate(both, -1), ((0, 0), (0, size % 2)))
