"""Images as arrays: cropped about the center, eight bits per channel, in [-1, 1]."""

from pathlib import Path
from typing import Any

import numpy as np


def read_folder(folder: str | Path, size: int, argument: str = "data") -> np.ndarray:
    """All images in `folder` and its subfolders, in the order of their names, cropped about the center to size x size.

    Files that Pillow cannot read are skipped. For folders that do not fit in memory see `jaxsamp.datasets.folder`.

    Returns:
        (n, size, size) if every image is gray, else (n, size, size, 3); in [-1, 1].

    Raises:
        ValueError: the folder has no files, or none of them is an image.
    """
    from PIL import Image

    images = []
    for path in files(Path(folder).expanduser(), argument):
        try:
            with Image.open(path) as opened:
                images.append(fitted(opened, size))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # damaged, too large, or not an image
            continue
    if not images:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, and none of its files is one.")
    gray = all(image.mode == "L" for image in images)
    return np.stack([pixels(image, gray) for image in images])


def files(folder: Path, argument: str = "data") -> list[Path]:
    """The files in `folder` and its subfolders, without hidden ones; raises ValueError if there are none."""
    if not folder.is_dir():
        raise ValueError(f"{argument} must be a folder of images; there is no folder {folder}.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, which is empty.")
    return paths


def fitted(image: Any, size: int | None) -> Any:
    """A Pillow image, upright, gray ("L") or "RGB", cropped about the center to size x size; None keeps its size."""
    from PIL import ImageOps

    plain = _plain(ImageOps.exif_transpose(image))
    return plain if size is None else ImageOps.fit(plain, (size, size))


def pixels(image: Any, gray: bool) -> np.ndarray:
    """(height, width) or (height, width, 3), float32 in [-1, 1]."""
    return np.asarray(image.convert("L" if gray else "RGB"), np.float32) / 127.5 - 1


def _plain(image: Any) -> Any:
    """The image with eight bits per channel, gray or RGB, on white where it was transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("L" if gray else "RGB")
