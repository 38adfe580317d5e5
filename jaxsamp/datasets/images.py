"""A folder of images as an array."""

from pathlib import Path
from typing import Any

import numpy as np


def read_folder(folder: Path, size: int, argument: str = "data") -> np.ndarray:
    """All images in `folder` and below, in the order of their names, cropped about the centre to size x size.

    Files that Pillow cannot read are passed over.

    Returns:
        (n, size, size) if every image is grey, else (n, size, size, 3); in [-1, 1].

    Raises:
        ValueError: there is no file, or no image among the files.
    """
    from PIL import Image, ImageOps

    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, which is empty.")
    images = []
    for path in files:
        try:
            with Image.open(path) as opened:
                images.append(ImageOps.fit(_plain(ImageOps.exif_transpose(opened)), (size, size)))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # damaged, too large or no image
            continue
    if not images:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, and none of its files is one.")
    mode = "L" if all(image.mode == "L" for image in images) else "RGB"
    return np.stack([np.asarray(image.convert(mode), np.float32) for image in images]) / 127.5 - 1


def _plain(image: Any) -> Any:
    """Eight bits a channel, grey or RGB, on white where it was transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("L" if grey else "RGB")
