"""Networks from the config.json of diffusers; what is not supported is refused by name."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jaxsamp.core import checks
from jaxsamp.models.diffusers.autoencoder import AutoencoderKLDecoder
from jaxsamp.models.diffusers.blocks import ACTIVATIONS
from jaxsamp.models.diffusers.transformer2d import PERCEPTRONS, DiTTransformer2DModel
from jaxsamp.models.diffusers.unet2d import DOWN, UP, UNet2DModel

CONFIG = "config.json"
NETWORKS: dict[str, Any] = {
    "UNet2DModel": UNet2DModel,
    "DiTTransformer2DModel": DiTTransformer2DModel,
    "Transformer2DModel": DiTTransformer2DModel,  # its older name, with norm_type="ada_norm_zero"
    "AutoencoderKL": AutoencoderKLDecoder,
}
# Settings that do not change what a trained network, or a decoder, computes.
UNUSED = {
    UNet2DModel: ("dropout",),
    DiTTransformer2DModel: ("dropout", "norm_num_groups", "attention_type", "interpolation_scale"),
    AutoencoderKLDecoder: ("in_channels", "down_block_types", "sample_size", "force_upcast", "use_quant_conv"),
}
# Settings that are not supported, with the values that turn them off.
OFF: dict[Any, dict[str, tuple[Any, ...]]] = {
    UNet2DModel: {},
    DiTTransformer2DModel: {
        "norm_type": ("ada_norm_zero",),
        **dict.fromkeys(("cross_attention_dim", "num_vector_embeds", "caption_channels"), (None,)),
        **dict.fromkeys(("double_self_attention", "only_cross_attention", "use_linear_projection"), (False,)),
        **dict.fromkeys(("upcast_attention", "use_additional_conditions"), (False, None)),
    },
    AutoencoderKLDecoder: {"latents_mean": (None,), "latents_std": (None,)},
}
PREFIX = "UNetRes"  # of older names of blocks
CHOICES: dict[str, Any] = {
    "time_embedding_type": ("positional", "fourier", "learned"),
    "mid_block_type": ("UNetMidBlock2D", None),
    "downsample_type": ("conv", "resnet"),
    "upsample_type": ("conv", "resnet"),
    "resnet_time_scale_shift": ("default", "scale_shift"),
    "class_embed_type": (None, "timestep", "identity"),
    "act_fn": ACTIVATIONS,
    "activation_fn": PERCEPTRONS,
}
NUMBERS = ("freq_shift", "norm_eps", "mid_block_scale_factor", "scaling_factor", "shift_factor")
SIZES = """
    in_channels out_channels layers_per_block norm_num_groups attn_norm_num_groups attention_head_dim num_class_embeds
    num_train_timesteps time_embedding_dim num_attention_heads num_layers patch_size num_embeds_ada_norm latent_channels
""".split()


def network_of(folder: Path) -> Any:
    """The network that the config.json in a folder describes, without weights.

    Raises:
        ValueError: the file cannot be read, or has another network, or a setting that is unknown or not supported.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"place must hold a readable {CONFIG}; got {path} ({error}).") from None
    if not isinstance(config, Mapping):
        raise ValueError(f"place must hold a {CONFIG} of settings by name; got {path} with a {type(config).__name__}.")
    make = NETWORKS[checks.one_of(f"_class_name in {path}", config.get("_class_name"), NETWORKS)]
    own = [field.name for field in fields(make) if field.name not in ("parent", "name")]
    settings = {}
    for name, value in config.items():
        if name.startswith("_") or name in UNUSED[make]:
            continue
        if name in OFF[make]:
            if value not in OFF[make][name]:
                raise ValueError(f"{name} in {path} is not supported as {value!r}; it may be {OFF[make][name][0]!r}.")
        elif name not in own:
            hint = checks.hint(name, (*own, *UNUSED[make], *OFF[make]), 0.8)
            raise ValueError(f"{path} must hold known settings of {make.__name__} only; got {name!r}.{hint}")
        else:
            settings[name] = tuple(value) if isinstance(value, list) else value
    network = make(**settings)
    try:
        _check(network, str(path))
    except TypeError as error:  # of a setting of another type
        raise ValueError(str(error)) from error
    return network


def _check(network: Any, path: str) -> None:
    """Raise one sentence if the settings of a network are out of range or do not go together."""
    for name, choices in CHOICES.items():
        if hasattr(network, name):
            checks.one_of(f"{name} in {path}", getattr(network, name), choices)
    for name in SIZES:
        if (value := getattr(network, name, None)) is not None:
            checks.at_least(f"{name} in {path}", value, 1)
    for name in NUMBERS:
        if isinstance(value := getattr(network, name, None), bool) or not isinstance(value, int | float | None):
            raise ValueError(f"{name} in {path} must be a number; got {value!r}.")
    if isinstance(network, DiTTransformer2DModel):
        _check_transformer(network, path)
    else:
        _check_blocks(network, path)


def _check_transformer(network: DiTTransformer2DModel, path: str) -> None:
    width = network.num_attention_heads * network.attention_head_dim
    if width % 4:
        raise ValueError(f"num_attention_heads attention_head_dim in {path} must be divisible by 4; got {width}.")
    checks.at_least(f"sample_size in {path}", network.sample_size, network.patch_size)


def _check_blocks(network: Any, path: str) -> None:
    widths = network.block_out_channels
    for width in widths:
        checks.at_least(f"each of block_out_channels in {path}", width, 1)
        if width % network.norm_num_groups:
            raise ValueError(
                f"block_out_channels in {path} must be divisible by norm_num_groups = {network.norm_num_groups}; got "
                f"{width}."
            )
    decoder = ("UpDecoderBlock2D",)
    known = {"down_block_types": DOWN, "up_block_types": UP if hasattr(network, "down_block_types") else decoder}
    for name, kinds in known.items():
        blocks = getattr(network, name, None)
        for kind in blocks or ():
            checks.one_of(f"each of {name} in {path}", kind.removeprefix(PREFIX), kinds)
        if blocks is not None and len(blocks) != len(widths):
            raise ValueError(f"{name} in {path} must be as many as block_out_channels, {len(widths)}; got {blocks}.")
    if getattr(network, "time_embedding_type", "") == "learned" and network.num_train_timesteps is None:
        raise ValueError(f"num_train_timesteps in {path} must be given for time_embedding_type 'learned'; got None.")
