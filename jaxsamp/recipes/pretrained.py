"""What a command needs of a network that diffusers has saved: its data's shape, and pictures of its samples."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import is_image
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.pictures import side_by_side

DECODED = 16  # latents at a time


def pretrained_denoiser(place: str | Path) -> tuple[Any, Any]:
    """The denoiser of a place, and the decoder of its samples, or None if they are no latents.

    Args:
        place: see `jaxsamp.models.pretrained`.

    Raises:
        ValueError: as `jaxsamp.models.pretrained`, or its config does not say what size its images have.
    """
    from jaxsamp import models
    from jaxsamp.models.diffusers import has_decoder

    try:
        denoiser = models.pretrained(place)
        decoder = models.pretrained_decoder(place) if has_decoder(place) else None
    except ValueError as error:
        raise ValueError(checks.renamed(error, "pretrained", "place")) from error
    if denoiser.apply.event_shape is None:
        raise ValueError(f"pretrained must have the sample_size of its images in its config; {place} has none.")
    return denoiser, decoder


def pretrained_data(place: str | Path, denoiser: Any) -> LearningData:
    """What is known of the data of such a network: their name and shape."""
    return LearningData(stem_of(place), denoiser.apply.event_shape)


def stem_of(place: str | Path) -> str:
    """A name for folders: the last part of a place."""
    local = str(place).removeprefix("hf:").partition("@")[0]
    return (Path(local) if local != str(place) else Path(place).expanduser().resolve()).name


def decoded(decoder: Any, x: Any) -> np.ndarray:
    """Images (n, h, w, c) in [-1, 1] from latents, a few at a time; without a decoder the samples as they are."""
    x = np.asarray(x)
    if decoder is None:
        return x
    parts = [np.asarray(decoder(jnp.asarray(x[i : i + DECODED]))) for i in range(0, len(x), DECODED)]
    return np.clip(np.concatenate(parts), -1, 1)


def picture_of(x: np.ndarray, title: str = "") -> Any:
    """A Matplotlib figure of samples without true ones beside them; of latents their first channel."""
    return side_by_side({"samples": x if is_image(x.shape[1:]) else x[..., 0]}, title)
