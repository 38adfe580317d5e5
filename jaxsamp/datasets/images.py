"""Images as arrays: cropped about the center, eight bits a channel, in [-1, 1]."""

from pathlib import Path
from typing import Any

import numpy as np


def read_folder(folder: str | Path, size: int, argument: str = "data") -> np.ndarray:
    """All images in `folder` and below, in the order of their names, cropped about the center to size x size.

    Files that Pillow cannot read are passed over. For folders that do not fit in memory see `jaxsamp.datasets.folder`.

    Returns:
        (n, size, size) if every image is gray, else (n, size, size, 3); in [-1, 1].

    Raises:
        ValueError: there is no file, or no image among the files.
    """
    from PIL import Image

    images = []
    for path in files(Path(folder).expanduser(), argument):
        try:
            with Image.open(path) as opened:
                images.append(fitted(opened, size))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # damaged, too large or no image
            continue
    if not images:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, and none of its files is one.")
    gray = all(image.mode == "L" for image in images)
    return np.stack([pixels(image, gray) for image in images])


def files(folder: Path, argument: str = "data") -> list[Path]:
    """The files in `folder` and below, hidden ones left out; raises ValueError if there are none."""
    if not folder.is_dir():
        raise ValueError(f"{argument} must be a folder of images; there is no folder {folder}.")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not found:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, which is empty.")
    return found


def fitted(image: Any, size: int | None) -> Any:
    """A Pillow image upright, gray ("L") or "RGB", cropped about the center to size x size; None keeps its size."""
    from PIL import ImageOps

    plain = _plain(ImageOps.exif_transpose(image))
    return plain if size is None else ImageOps.fit(plain, (size, size))


def pixels(image: Any, gray: bool) -> np.ndarray:
    """(height, width) or (height, width, 3), float32 in [-1, 1]."""
    return np.asarray(image.convert("L" if gray else "RGB"), np.float32) / 127.5 - 1


def _plain(image: Any) -> Any:
    """Eight bits a channel, gray or RGB, on white where it was transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("L" if gray else "RGB")
