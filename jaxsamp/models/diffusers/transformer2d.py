"""The diffusion transformer of diffusers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Array, PyTree
from jaxsamp.models.diffusers.blocks import MAX_PERIOD, TimestepEmbedding, attend, waves
from jaxsamp.models.layers import parts

TIME_FEATURES = 256
LAYER_NORM_EPS = 1e-6  # of the norms that the embedding modulates
# The first half of a perceptron, after its linear layer; those with a gate have twice the width before it.
PERCEPTRONS: dict[str, Callable[[Array], Array]] = {
    "gelu": partial(nn.gelu, approximate=False),
    "gelu-approximate": partial(nn.gelu, approximate=True),
    "geglu": lambda h: _gated(h, partial(nn.gelu, approximate=False)),
    "geglu-approximate": lambda h: h * nn.sigmoid(1.702 * h),
    "swiglu": lambda h: _gated(h, nn.silu),
    "linear-silu": nn.silu,
}
GATED = ("geglu", "swiglu")
LAYERS = "transformer_blocks"  # whose weights are stacked: one program for all of them


def _gated(h: Array, act: Callable[[Array], Array]) -> Array:
    value, gate = jnp.split(h, 2, -1)
    return value * act(gate)


def positions(height: int, width: int, size: int, base: int) -> np.ndarray:
    """Sines and cosines of the column and the row of each patch, (height * width, size), float32.

    Coordinates run from 0 up to `base` whatever the number of patches; at base = height they are whole numbers.
    """
    frequencies = MAX_PERIOD ** -(np.arange(size // 4) / (size / 4))
    rows, columns = np.meshgrid(*(np.arange(n) * (base / n) for n in (height, width)), indexing="ij")
    halves = [np.outer(axis, frequencies) for axis in (columns, rows)]
    return np.concatenate([f(angles) for angles in halves for f in (np.sin, np.cos)], -1).astype(np.float32)


def norm(h: Array) -> Array:
    """Each token with mean 0 and variance 1."""
    return nn.LayerNorm(LAYER_NORM_EPS, use_bias=False, use_scale=False, use_fast_variance=False)(h)


class Conditioning(nn.Module):
    """The time and the label as one vector per sample."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, t: Array, label: Array, dtype: jax.typing.DTypeLike) -> Array:
        """(batch,) and (batch,) -> (batch, width)."""
        features = waves(t, TIME_FEATURES, True, 1.0, dtype).astype(dtype)
        table = nn.Embed(self.classes + 1, self.width, name="class_embedder.embedding_table")
        return TimestepEmbedding(self.width, name="timestep_embedder")(features) + table(label)


class Modulation(nn.Module):
    """The embedding of a layer, and six vectors per sample from it."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, t: Array, label: Array, dtype: jax.typing.DTypeLike) -> tuple[Array, list[Array]]:
        """The embedding, (batch, width); shift, scale and gate of the attention and of the perceptron."""
        embedding = Conditioning(self.width, self.classes, name="emb")(t, label, dtype)
        six = nn.Dense(6 * self.width, name="linear")(nn.silu(embedding))
        return embedding, jnp.split(six[:, None], 6, -1)


class Attention(nn.Module):
    """Self-attention over tokens."""

    heads: int
    head: int
    bias: bool

    @nn.compact
    def __call__(self, h: Array) -> Array:
        """(batch, tokens, width) -> the same shape."""
        return attend(h, self.heads, self.head, self.bias)


class Block(nn.Module):
    """Attention and a perceptron, each modulated before and gated afterward by what the time and the label say."""

    heads: int
    head: int
    bias: bool
    activation: str
    classes: int
    affine: bool
    eps: float

    @nn.compact
    def __call__(self, h: Array, t: Array, label: Array) -> tuple[Array, Array]:
        """The tokens, and the embedding of this layer."""
        width = h.shape[-1]
        embedding, six = Modulation(width, self.classes, name="norm1")(t, label, h.dtype)
        shift, scale, gate, shift2, scale2, gate2 = six
        u = norm(h) * (1 + scale) + shift
        h += gate * Attention(self.heads, self.head, self.bias, name="attn1")(u)
        norm3 = nn.LayerNorm(
            self.eps, use_bias=self.affine, use_scale=self.affine, use_fast_variance=False, name="norm3"
        )
        u = norm3(h) * (1 + scale2) + shift2
        u = nn.Dense((1 + (self.activation in GATED)) * 4 * width, name="ff.net.0.proj")(u)
        u = nn.Dense(width, name="ff.net.2")(PERCEPTRONS[self.activation](u))
        return h + gate2 * u, embedding


class DiTTransformer2DModel(nn.Module):
    """The network of that name in diffusers; its attributes are those of its config.

    Called as network(x, t, cond): x is (batch, h, w, c) with h and w divisible by `patch_size`, t is (batch,), `cond`
    are labels (batch,), of which `num_embeds_ada_norm`, or a missing one, means "no label". The output is
    (batch, h, w, out_channels).

    Source: Peebles and Xie, "Scalable Diffusion Models with Transformers", arXiv 2212.09748.
    """

    num_attention_heads: int = 16
    attention_head_dim: int = 72
    in_channels: int = 4
    out_channels: int | None = None
    num_layers: int = 28
    attention_bias: bool = True
    sample_size: Any = 32
    patch_size: int = 2
    activation_fn: str = "gelu-approximate"
    num_embeds_ada_norm: int = 1000
    norm_elementwise_affine: bool = False
    norm_eps: float | int = 1e-5

    @property
    def classes(self) -> int:
        """The number of labels."""
        return self.num_embeds_ada_norm

    @property
    def null_label(self) -> int:
        """The label that means "no label"."""
        return self.num_embeds_ada_norm

    @nn.compact
    def __call__(self, x: Array, t: Array, cond: PyTree = None) -> Array:
        """The output for images x at times t.

        Raises:
            ValueError: x does not have the channels or the sides that the network takes, or `cond` has no labels.
        """
        label = self._label(x.shape[1:], cond, t)
        p, width = self.patch_size, self.num_attention_heads * self.attention_head_dim
        rows, columns = x.shape[1] // p, x.shape[2] // p
        h = nn.Conv(width, (p, p), (p, p), "VALID", name="pos_embed.proj")(x).reshape(x.shape[0], -1, width)
        h += positions(rows, columns, width, self.sample_size // p).astype(h.dtype)
        sizes = (self.num_attention_heads, self.attention_head_dim, self.attention_bias, self.activation_fn)
        more = (self.num_embeds_ada_norm, self.norm_elementwise_affine, float(self.norm_eps))
        given = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "in_axes": nn.broadcast}
        layers = nn.scan(Block, **given, length=self.num_layers)(*sizes, *more, name=LAYERS)
        h, embeddings = layers(h, t, label)
        both = nn.Dense(2 * width, name="proj_out_1")(nn.silu(embeddings[0]))[:, None]
        shift, scale = jnp.split(both, 2, -1)
        channels = self.out_channels or self.in_channels
        h = nn.Dense(p * p * channels, name="proj_out_2")(norm(h) * (1 + scale) + shift)
        return h.reshape(-1, rows, columns, p, p, channels).swapaxes(2, 3).reshape(*x.shape[:3], channels)

    def _label(self, event: tuple[int, ...], cond: PyTree, t: Array) -> Array:
        p = self.patch_size
        if len(event) != 3 or event[2] != self.in_channels or event[0] % p or event[1] % p:
            raise ValueError(
                f"x must be images (batch, h, w, {self.in_channels}) with h and w divisible by {p}; got the event "
                f"{event}."
            )
        given = parts(cond)
        if set(given) - {"label"}:
            raise ValueError(f"cond must be one label per sample for this network; got {' and '.join(given)}.")
        return given.get("label", jnp.full(t.shape, self.num_embeds_ada_norm))
