"""The decoder of diffusers' autoencoder: images from latents."""

import flax.linen as nn

from jaxsamp.core.types import Array
from jaxsamp.models.diffusers.blocks import ResnetBlock2D, Style, conv, doubled
from jaxsamp.models.diffusers.unet2d import MidBlock

EPS = 1e-6


class UpDecoderBlock(nn.Module):
    """Residual blocks at one resolution, and twice the height and width after them if `resize` is on."""

    channels: int
    layers: int
    style: Style
    resize: bool

    @nn.compact
    def __call__(self, h: Array) -> Array:
        """(batch, h, w, c) -> (batch, h', w', channels)."""
        for i in range(self.layers):
            h = ResnetBlock2D(self.channels, self.style, name=f"resnets.{i}")(h)
        return conv(self.channels, "upsamplers.0.conv")(doubled(h)) if self.resize else h


class Decoder(nn.Module):
    """Up through doubled resolutions; the attributes are those of `AutoencoderKL`."""

    out_channels: int
    block_out_channels: tuple[int, ...]
    layers_per_block: int
    style: Style
    mid_block_add_attention: bool

    @nn.compact
    def __call__(self, z: Array) -> Array:
        """(batch, h, w, latent channels) -> (batch, 2^(resolutions - 1) h, ... w, out_channels)."""
        style, widths = self.style, self.block_out_channels[::-1]
        h = conv(widths[0], "conv_in")(z)
        head = self.mid_block_add_attention * widths[0]
        h = MidBlock(style, head, style.groups, name="mid_block")(h)
        for i, width in enumerate(widths):
            h = UpDecoderBlock(width, self.layers_per_block + 1, style, i + 1 < len(widths), name=f"up_blocks.{i}")(h)
        return conv(self.out_channels, "conv_out")(nn.silu(style.norm("conv_norm_out")(h)))


class AutoencoderKLDecoder(nn.Module):
    """The decoder of the network `AutoencoderKL` of diffusers; its attributes are those of its config.

    Called as network(latents): (batch, h, w, latent_channels) in the scale in which a diffusion model samples them ->
    images (batch, f h, f w, out_channels) with f = 2^(resolutions - 1), about in [-1, 1]. Latents are divided by
    `scaling_factor`, and then `shift_factor` is added.

    Source: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752.
    """

    out_channels: int = 3
    up_block_types: tuple[str, ...] = ("UpDecoderBlock2D",)
    block_out_channels: tuple[int, ...] = (64,)
    layers_per_block: int = 1
    act_fn: str = "silu"
    latent_channels: int = 4
    norm_num_groups: int = 32
    scaling_factor: float | int = 0.18215
    shift_factor: float | int | None = None
    use_post_quant_conv: bool = True
    mid_block_add_attention: bool = True

    @nn.compact
    def __call__(self, latents: Array) -> Array:
        """The images of latents; raises ValueError if they do not have `latent_channels` channels at the end."""
        if latents.ndim != 4 or latents.shape[-1] != self.latent_channels:
            raise ValueError(
                f"latents must be of shape (batch, h, w, {self.latent_channels}); got {tuple(latents.shape)}."
            )
        z = latents / self.scaling_factor + (self.shift_factor or 0.0)
        if self.use_post_quant_conv:
            z = conv(self.latent_channels, "post_quant_conv", size=1, padding=0)(z)
        style = Style(self.norm_num_groups, EPS, self.act_fn)
        sizes = (self.out_channels, self.block_out_channels, self.layers_per_block, style)
        return Decoder(*sizes, self.mid_block_add_attention, name="decoder")(z)
