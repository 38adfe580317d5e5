"""The U-Net of diffusers for images."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxsamp.core.types import CHANNELS_LAST, Array, PyTree, is_channels_first
from jaxsamp.models.diffusers.blocks import (
    Attention2D,
    ResnetBlock2D,
    Style,
    TimestepEmbedding,
    conv,
    doubled,
    waves,
)
from jaxsamp.models.layers import parts

# Per kind of block: whether it has attention, and how it resizes; None for the setting of the network.
DOWN = {"DownBlock2D": (False, "conv"), "AttnDownBlock2D": (True, None), "ResnetDownsampleBlock2D": (False, "resnet")}
UP = {"UpBlock2D": (False, "conv"), "AttnUpBlock2D": (True, None), "ResnetUpsampleBlock2D": (False, "resnet")}
FOURIER_SCALE = 16.0  # of the frequencies of a "fourier" embedding before training


class DownBlock(nn.Module):
    """Residual blocks at one resolution, each with attention or without, and the way to the next one.

    Attributes:
        channels, layers: of each residual block, and number of them.
        style: see `Style`.
        head: size of the heads of the attention; 0 for none.
        resize: "conv" or "resnet"; "" at the last resolution.
        padding: zeros around the image before a "conv"; 0 for one after each row and column.
    """

    channels: int
    layers: int
    style: Style
    head: int = 0
    resize: str = "conv"
    padding: int = 1

    @nn.compact
    def __call__(self, h: Array, embedding: Array) -> tuple[Array, list[Array]]:
        """The image at the next resolution, and all that is kept for the way up."""
        kept = []
        for i in range(self.layers):
            h = ResnetBlock2D(self.channels, self.style, name=f"resnets.{i}")(h, embedding)
            if self.head:
                h = Attention2D(self.head, self.style, self.style.groups, name=f"attentions.{i}")(h)
            kept.append(h)
        if self.resize == "resnet":
            h = ResnetBlock2D(self.channels, self.style, resize="down", name="downsamplers.0")(h, embedding)
        elif self.resize:
            around = self.padding or (0, 1)
            h = conv(self.channels, "downsamplers.0.conv", stride=2, padding=around)(h)
        return h, [*kept, h] if self.resize else kept


class UpBlock(nn.Module):
    """Residual blocks at one resolution, each told what was kept on the way down, and the way to the next one."""

    channels: int
    layers: int
    style: Style
    head: int = 0
    resize: str = "conv"

    @nn.compact
    def __call__(self, h: Array, kept: list[Array], embedding: Array) -> Array:
        """The image at the next resolution; the last of `kept` are used, and removed from the list."""
        for i in range(self.layers):
            h = jnp.concatenate([h, kept.pop()], -1)
            h = ResnetBlock2D(self.channels, self.style, name=f"resnets.{i}")(h, embedding)
            if self.head:
                h = Attention2D(self.head, self.style, self.style.groups, name=f"attentions.{i}")(h)
        if self.resize == "resnet":
            return ResnetBlock2D(self.channels, self.style, resize="up", name="upsamplers.0")(h, embedding)
        return conv(self.channels, "upsamplers.0.conv")(doubled(h)) if self.resize else h


class MidBlock(nn.Module):
    """Two residual blocks, and attention between them unless `head` is 0; `groups` is 0 where it has no norm."""

    style: Style
    head: int
    groups: int
    scale: float = 1.0

    @nn.compact
    def __call__(self, h: Array, embedding: Array | None = None) -> Array:
        """(batch, h, w, c) -> the same shape."""
        channels = h.shape[-1]
        h = ResnetBlock2D(channels, self.style, self.scale, name="resnets.0")(h, embedding)
        if self.head:
            h = Attention2D(self.head, self.style, self.groups, self.scale, name="attentions.0")(h)
        return ResnetBlock2D(channels, self.style, self.scale, name="resnets.1")(h, embedding)


class UNet2DModel(nn.Module):
    """The network of that name in diffusers; its attributes are those of its config.

    Called as network(x, t, cond): x is (batch, h, w, c) with h and w divisible by 2^(resolutions - 1), t is (batch,).
    `cond` are labels (batch,) with `num_class_embeds` or with `class_embed_type="timestep"`, and vectors
    (batch, embedding width) with "identity". The output is (batch, h, w, out_channels).

    Source: Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239; Song et al.,
    "Score-Based Generative Modeling through Stochastic Differential Equations", arXiv 2011.13456 (Fourier features,
    output / t); Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", arXiv 2105.05233 (scale and
    shift, residual blocks that resize).
    """

    sample_size: Any = None
    in_channels: int = 3
    out_channels: int = 3
    center_input_sample: bool = False
    time_embedding_type: str = "positional"
    time_embedding_dim: int | None = None
    freq_shift: float | int = 0
    flip_sin_to_cos: bool = True
    down_block_types: tuple[str, ...] = ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
    mid_block_type: str | None = "UNetMidBlock2D"
    up_block_types: tuple[str, ...] = ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    block_out_channels: tuple[int, ...] = (224, 448, 672, 896)
    layers_per_block: int = 2
    mid_block_scale_factor: float | int = 1
    downsample_padding: int = 1
    downsample_type: str = "conv"
    upsample_type: str = "conv"
    act_fn: str = "silu"
    attention_head_dim: int | None = 8
    norm_num_groups: int = 32
    attn_norm_num_groups: int | None = None
    norm_eps: float | int = 1e-5
    resnet_time_scale_shift: str = "default"
    add_attention: bool = True
    class_embed_type: str | None = None
    num_class_embeds: int | None = None
    num_train_timesteps: int | None = None

    @property
    def classes(self) -> int:
        """The number of labels; 0 if it takes none."""
        return self.num_class_embeds or 0 if self.class_embed_type is None else 0

    @property
    def null_label(self) -> None:
        """The label that means "no label": it has none."""

    @nn.compact
    def __call__(self, x: Array, t: Array, cond: PyTree = None) -> Array:
        """The output for images x at times t.

        Raises:
            ValueError: x does not have the channels or the sides that the network takes, or `cond` is not as above.
        """
        self._check(x.shape[1:])
        embedding = self._embedding(t, cond, x.dtype)
        scale_shift = self.resnet_time_scale_shift == "scale_shift"
        style = Style(self.norm_num_groups, float(self.norm_eps), self.act_fn, scale_shift)
        widths, last = self.block_out_channels, len(self.block_out_channels) - 1
        h = conv(widths[0], "conv_in")(2 * x - 1 if self.center_input_sample else x)
        kept = [h]
        for i, (kind, width) in enumerate(zip(self.down_block_types, widths, strict=True)):
            attention, resize = DOWN[kind.removeprefix("UNetRes")]
            resize = "" if i == last else resize or self.downsample_type
            head = attention * (self.attention_head_dim or width)
            sizes = (width, self.layers_per_block, style, head, resize, self.downsample_padding)
            h, more = DownBlock(*sizes, name=f"down_blocks.{i}")(h, embedding)
            kept += more
        if self.mid_block_type is not None:
            head = self.add_attention * (self.attention_head_dim or widths[-1])
            groups = self.attn_norm_num_groups or (0 if style.scale_shift else style.groups)
            h = MidBlock(style, head, groups, float(self.mid_block_scale_factor), name="mid_block")(h, embedding)
        for i, (kind, width) in enumerate(zip(self.up_block_types, widths[::-1], strict=True)):
            attention, resize = UP[kind.removeprefix("UNetRes")]
            resize = "" if i == last else resize or self.upsample_type
            head = attention * (self.attention_head_dim or width)
            sizes = (width, self.layers_per_block + 1, style, head, resize)
            h = UpBlock(*sizes, name=f"up_blocks.{i}")(h, kept, embedding)
        h = conv(self.out_channels, "conv_out")(nn.silu(style.norm("conv_norm_out")(h)))
        return h / t.astype(h.dtype)[:, None, None, None] if self.time_embedding_type == "fourier" else h

    def _embedding(self, t: Array, cond: PyTree, dtype: Any) -> Array:
        """The time and the condition as one vector per sample."""
        width = self.time_embedding_dim or 4 * self.block_out_channels[0]
        embedding = TimestepEmbedding(width, name="time_embedding")(self._features(t, dtype))
        given = parts(cond)
        kind = "vector" if self.class_embed_type == "identity" else "label"
        takes = self.class_embed_type is not None or self.num_class_embeds is not None
        if set(given) != ({kind} if takes else set()):
            wanted = f"one {kind} per sample" if takes else "None"
            raise ValueError(f"cond must be {wanted} for this network; got {' and '.join(given) or None}.")
        if not takes:
            return embedding
        if self.class_embed_type == "identity":
            return embedding + given["vector"]
        if self.class_embed_type == "timestep":
            return embedding + TimestepEmbedding(width, name="class_embedding")(self._features(given["label"], dtype))
        return embedding + nn.Embed(self.num_class_embeds or 0, width, name="class_embedding")(given["label"])

    def _features(self, t: Array, dtype: Any) -> Array:
        """What is known of a time before any layer: (batch,) -> (batch, features)."""
        size = self.block_out_channels[0]
        if self.time_embedding_type == "positional":
            return waves(t, size, self.flip_sin_to_cos, float(self.freq_shift), dtype).astype(dtype)
        if self.time_embedding_type == "learned":
            return nn.Embed(self.num_train_timesteps or 0, size, name="time_proj")(t).astype(dtype)
        frequencies = self.param("time_proj.weight", nn.initializers.normal(FOURIER_SCALE), (size,))
        angles = jnp.log(t.astype(jnp.promote_types(dtype, jnp.float32)))[:, None] * frequencies * 2 * jnp.pi
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1).astype(dtype)

    def _check(self, event: tuple[int, ...]) -> None:
        factor = 2 ** (len(self.block_out_channels) - 1)
        if len(event) != 3 or event[2] != self.in_channels or event[0] % factor or event[1] % factor:
            hint = f" {CHANNELS_LAST}" if is_channels_first(event) else ""
            raise ValueError(
                f"x must be images (batch, h, w, {self.in_channels}) with h and w divisible by {factor}; got the event "
                f"{event}.{hint}"
            )
