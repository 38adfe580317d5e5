"""Networks that diffusers has saved: its architectures in Flax, its files, and denoisers from both."""

from jaxsamp.models.diffusers.autoencoder import AutoencoderKLDecoder
from jaxsamp.models.diffusers.load import (
    DiffusersNetwork,
    ImageDecoder,
    has_decoder,
    pretrained,
    pretrained_decoder,
    save_pretrained,
)
from jaxsamp.models.diffusers.transformer2d import DiTTransformer2DModel
from jaxsamp.models.diffusers.unet2d import UNet2DModel

__all__ = [
    "AutoencoderKLDecoder",
    "DiTTransformer2DModel",
    "DiffusersNetwork",
    "ImageDecoder",
    "UNet2DModel",
    "has_decoder",
    "pretrained",
    "pretrained_decoder",
    "save_pretrained",
]
