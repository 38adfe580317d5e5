"""Denoisers and decoders from folders of diffusers, and from repositories on the Hugging Face hub."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import diffusers, disk, extras
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, PyTree
from jaxsamp.denoisers import NetworkDenoiser, denoiser
from jaxsamp.models.diffusers.autoencoder import AutoencoderKLDecoder
from jaxsamp.models.diffusers.configs import CONFIG, network_of
from jaxsamp.models.diffusers.transformer2d import LAYERS, DiTTransformer2DModel
from jaxsamp.models.diffusers.unet2d import UNet2DModel
from jaxsamp.models.diffusers.weights import FILE, INDEX, load_weights, torch_tensors, weight_files
from jaxsamp.models.layers import check_labels
from jaxsamp.schedules import DiscreteTime

HUB = "hf:"
NETWORK_FOLDERS, DECODER_FOLDERS, SCHEDULER_FOLDERS = ("", "unet", "transformer"), ("", "vae"), ("", "scheduler")
# Of a repository; variants in other precisions are not taken.
FILES = ("*config.json", "*diffusion_pytorch_model*.safetensors", "*diffusion_pytorch_model.safetensors.index.json")
VARIANTS = ("*.fp16*", "*.bf16*", "*.non_ema*")
FLAX = ("parent", "name")  # fields of every module
LEARNED = ("learned", "learned_range")  # variances, of which twice the channels come out
SMALLEST = 8  # side of the image with which shapes are computed, where any would do


@dataclass(frozen=True)
class DiffusersNetwork:
    """A network of diffusers as the `apply` of a denoiser; equal settings are equal, so that none compiles twice.

    Of a network with a learned variance the first half of the channels is the prediction; the second half, which only
    the variance of ancestral steps would need, is left out.

    Attributes:
        network: the Flax module.
    """

    network: Any

    @property
    def event_shape(self) -> tuple[int, int, int] | None:
        """Shape of the images that it was trained on, (h, w, c); None if its config does not say."""
        size = self.network.sample_size
        if size is None:
            return None
        height, width = (size, size) if isinstance(size, int) else size
        return (height, width, self.network.in_channels)

    def __call__(self, params: PyTree, x: Array, t: Array, cond: PyTree = None) -> Array:
        """The prediction, of x's shape; images of one channel may be (batch, h, w)."""
        image = x if x.ndim == 4 else x[..., None]
        out = self.network.apply({"params": params}, image, t, cond)
        return out[..., : self.network.in_channels].reshape(x.shape)

    def check_cond(self, cond: PyTree, n: int | None = None) -> None:
        """Raise ValueError if labels are not among the network's, or not integers, whatever `n`."""
        check_labels(cond, self.network.classes, self.network.null_label)


@pytree
@dataclass(frozen=True)
class ImageDecoder:
    """Images from latents: a function of them, made by `pretrained_decoder`."""

    network: Any
    params: PyTree

    def __call__(self, latents: Array) -> Array:
        """(n, h, w, c) in the scale of the samples of a denoiser -> images (n, f h, f w, 3), about in [-1, 1]."""
        return _decoded(self.network, self.params, latents)


@jax.jit(static_argnums=0)
def _decoded(network: Any, params: PyTree, latents: Array) -> Array:
    return network.apply({"params": params}, latents)


def pretrained(place: str | Path, *, dtype: jax.typing.DTypeLike | None = None) -> NetworkDenoiser:
    """The denoiser of a network that diffusers has saved, under the schedule of its scheduler.

        denoiser = jaxsamp.models.pretrained("hf:google/ddpm-cifar10-32")
        x = jaxsamp.sample(key, denoiser, (16, *denoiser.apply.event_shape)).x

    Read are `config.json`, `scheduler_config.json` and safetensors files, as `save_pretrained` writes them, never a
    pickle. Networks are `UNet2DModel` and `DiTTransformer2DModel`. Images have their channels last: (h, w, c). Labels
    are `cond`, integers (n,); of a transformer the one after the last class means "no label". What a network learned of
    the variance is left out, because the posterior mean does not depend on it. Latents that it samples become images by
    `pretrained_decoder`. Schedulers clip by default: `jaxsamp.clip` does, and nothing here does.

    Args:
        place: the folder of a pipeline or of a network with its scheduler, or "hf:REPO", "hf:REPO@REVISION".
        dtype: compute dtype of the network, as for `jaxsamp.denoiser`. Weights keep their stored precision.

    Returns:
        A denoiser with `DiscreteTime` as its schedule, and a `DiffusersNetwork` as its `apply`.

    Raises:
        ValueError: a file is missing or damaged; the network, or a setting of it or of the scheduler, is unknown or
            not supported; a tensor is missing, or is one too many.
        ModuleNotFoundError: a repository is named, and huggingface-hub is not installed.
    """
    folder, network = _found(place, NETWORK_FOLDERS, (UNet2DModel, DiTTransformer2DModel), "a UNet or a transformer")
    if getattr(network, "time_embedding_type", "") == "fourier":
        raise ValueError(
            "time_embedding_type in place must be 'positional' or 'learned' for discrete times; got 'fourier', whose "
            "times are noise levels."
        )
    channels, out = network.in_channels, network.out_channels or network.in_channels
    if out not in (channels, 2 * channels):
        raise ValueError(f"out_channels in place must be in_channels = {channels} or twice as many; got {out}.")
    schedule, prediction = DiscreteTime.from_diffusers(_scheduler(folder, out == 2 * channels))
    side = _least_side(network)
    x, one = jnp.zeros((1, side, side, channels)), jnp.zeros(1, jnp.int32)
    weights = load_weights(folder, network, (x, one, _some_cond(network)), stacked=LAYERS)
    return denoiser(DiffusersNetwork(network), weights, schedule, prediction, dtype)


def pretrained_decoder(place: str | Path) -> ImageDecoder:
    """The decoder of an `AutoencoderKL` that diffusers has saved, a function latents -> images.

        images = jaxsamp.models.pretrained_decoder(place)(x)

    Latents x are (n, h, w, c), in the scale in which the diffusion model samples them: they are divided by the
    `scaling_factor` of the config. The weights are those of its `post_quant_conv` and `decoder`.

    Args:
        place: the folder of a pipeline with a `vae`, or of an autoencoder, or "hf:REPO"; see `pretrained`.

    Raises:
        ValueError, ModuleNotFoundError: as `pretrained`.
    """
    folder, network = _found(place, DECODER_FOLDERS, (AutoencoderKLDecoder,), "an AutoencoderKL")
    latents = jnp.zeros((1, SMALLEST, SMALLEST, network.latent_channels))
    return ImageDecoder(network, load_weights(folder, network, (latents,), part=("decoder.", "post_quant_conv.")))


def save_pretrained(folder: str | Path, network: Any, params: PyTree, scheduler: Mapping[str, Any]) -> None:
    """Write a network as diffusers does, so that it loads there by `from_pretrained` and here by `pretrained`.

    Args:
        folder: is made; `config.json`, `scheduler_config.json` and the weights are written into it.
        network: a `UNet2DModel` or `DiTTransformer2DModel` of `jaxsamp.models.diffusers`.
        params: its weights, as `network.init(key, x, t, cond)["params"]`.
        scheduler: the settings of its scheduler, such as {"_class_name": "DDIMScheduler", "prediction_type":
            "v_prediction"}; those that `DiscreteTime.from_diffusers` understands.

    Raises:
        ValueError: a setting of the scheduler is unknown or not supported.
    """
    with extras.needed("save_pretrained"):
        from safetensors.numpy import save_file
    DiscreteTime.from_diffusers(scheduler)
    place = Path(folder).expanduser()
    place.mkdir(parents=True, exist_ok=True)
    own = {field.name: getattr(network, field.name) for field in fields(network) if field.name not in FLAX}
    config = {"_class_name": type(network).__name__} | own
    tensors = torch_tensors(params, LAYERS)
    for name, content in ((CONFIG, config), (diffusers.FILE, dict(scheduler))):
        with disk.writing(place / name):
            (place / name).write_text(json.dumps(content, indent=2) + "\n")
    with disk.writing(place / FILE):
        before = [*weight_files(place)] if (place / INDEX).exists() else []
        save_file(tensors, str(place / FILE), {"format": "pt"})
        # An index of earlier weights in several files would be read in place of these.
        for path in (place / INDEX, *before):
            if path != place / FILE:
                path.unlink(missing_ok=True)


def has_decoder(place: str | Path) -> bool:
    """Whether a place is a pipeline whose samples are latents, for `pretrained_decoder`."""
    return (_local(place) / "vae" / CONFIG).is_file()


def _found(place: str | Path, folders: tuple[str, ...], kinds: tuple[Any, ...], what: str) -> tuple[Path, Any]:
    """The first of these folders that has such a network, and the network."""
    root = _local(place)
    having = [root / name for name in folders if (root / name / CONFIG).is_file()]
    if not having:
        raise ValueError(
            f"place must hold {CONFIG} of {what}; {root} has none in itself or in {', '.join(folders[1:])}."
        )
    network = network_of(having[0])
    if not isinstance(network, kinds):
        raise ValueError(f"place must hold {what}; {having[0]} has a {type(network).__name__}.")
    return having[0], network


def _scheduler(folder: Path, learned: bool) -> dict[str, Any]:
    """The settings of the scheduler beside a network; a learned variance is one that the network has learned."""
    for place in (folder, folder / "scheduler", folder.parent / "scheduler"):
        if (path := place / diffusers.FILE).is_file():
            try:
                config = json.loads(path.read_text())
            except (OSError, ValueError) as error:
                raise ValueError(f"place must hold a readable {diffusers.FILE}; got {path} ({error}).") from None
            if learned and isinstance(config, dict) and config.get("variance_type") in LEARNED:
                del config["variance_type"]
            return config
    raise ValueError(
        f"place must hold {diffusers.FILE} in itself or in scheduler, beside the network; {folder} has none."
    )


def _local(place: str | Path) -> Path:
    """The folder of a place; a repository is copied from the hub, or was before."""
    if not str(place).startswith(HUB):
        folder = Path(place).expanduser()
        if not folder.is_dir():
            raise ValueError(f"place must be a folder, or {HUB} and a repository; there is no folder {folder}.")
        return folder
    repo, _, revision = str(place).removeprefix(HUB).partition("@")
    with extras.needed(f"a repository, {HUB}{repo},"):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    patterns = {"allow_patterns": list(FILES), "ignore_patterns": list(VARIANTS)}
    try:
        return Path(snapshot_download(repo, revision=revision or None, **patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"place must be a repository that can be read; got {place} ({said}).") from error


def _least_side(network: Any) -> int:
    """The side of the smallest image that a network takes."""
    return (
        network.patch_size if isinstance(network, DiTTransformer2DModel) else 2 ** (len(network.block_out_channels) - 1)
    )


def _some_cond(network: Any) -> PyTree:
    """A condition of one sample, for its shape."""
    if getattr(network, "class_embed_type", None) == "identity":
        return np.zeros((1, network.time_embedding_dim or 4 * network.block_out_channels[0]), np.float32)
    takes = getattr(network, "class_embed_type", None) is not None or network.classes
    return np.zeros(1, np.int32) if takes else None
