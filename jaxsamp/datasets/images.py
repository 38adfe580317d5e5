"""Images as arrays, cropped about the center, in [-1, 1]: black is -1 and white is 1, whatever the number of bits.

Eight bits per channel, gray with 9 to 16 bits, and gray floats from 0 to 1 are read; other images are refused by name.
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.datasets.arrays import DataWarning, warn_if_faint

TAKEN = "images of 8 bits per channel, gray ones of 16 bits or gray ones of floats from 0 to 1"
PLAIN = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")  # modes of at most 8 bits
BITS_PER_SAMPLE = 258  # the tag of TIFF
NAMED = 3  # number of files that a warning names


class Unreadable(ValueError):
    """A file that Pillow cannot read as an image."""


class Refused(ValueError):
    """An image whose numbers have no known range."""


def read_folder(folder: str | Path, size: int, argument: str = "data") -> np.ndarray:
    """All images in `folder` and its subfolders, in the order of their names, cropped about the center to size x size.

    Files that Pillow cannot read are passed over, and a `DataWarning` counts them. Hidden files and folders are left
    out; linked ones are read, each folder once. For folders that do not fit in memory see `jaxsamp.datasets.folder`.

    Returns:
        (n, size, size) if every image is gray, else (n, size, size, 3); in [-1, 1].

    Raises:
        ValueError: the folder has no files, none of them is an image, or an image is none of `TAKEN`.
    """
    folder, images, passed = Path(folder).expanduser(), [], []
    paths = files(folder, argument)
    for path in paths:
        try:
            images.append(opened(path, size, argument))
        except Unreadable:
            passed.append(path)
    if not images:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, and none of its files is one.")
    warn_of_passed(folder, passed, len(paths), "because Pillow cannot read them as images")
    gray = all(is_gray(image) for image in images)
    values = np.stack([pixels(image, gray) for image in images])
    warn_if_faint(values, f"{argument} {folder}")
    return values


def files(folder: Path, argument: str = "data") -> list[Path]:
    """The files in `folder` and its subfolders, sorted; raises ValueError if there are none.

    Hidden files and folders are left out. Links are followed, but each folder is read once, under its own name if it
    lies in `folder` itself, so that a link to a folder that it lies in ends.
    """
    if not folder.is_dir():
        raise ValueError(f"{argument} must be a folder of images; there is no folder {folder}.")
    paths: list[Path] = []
    folders, links, seen = [folder], list[Path](), set[Path]()
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        if (real := place.resolve()) in seen:
            continue
        seen.add(real)
        try:
            inside = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        except OSError:  # a folder that must not be read is passed over, and counted, like such a file
            inside, paths = [], [*paths, place]
        for path in inside:
            if path.is_dir():
                (links if path.is_symlink() else folders).append(path)
            elif path.is_file():
                paths.append(path)
    if not paths:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, which is empty.")
    return sorted(paths)


def warn_of_passed(folder: Path, passed: Sequence[Path], count: int, why: str) -> None:
    """Warn that these of `count` files in the folder are not among the samples."""
    if passed:
        names = [str(path.relative_to(folder)) for path in passed]
        some = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
        sentence = f"{len(names):,} of {count:,} files in {folder} were passed over, {why}: {some}."
        warnings.warn(DataWarning(sentence, len(names)), stacklevel=3)


def opened(path: Path, size: int | None, argument: str) -> Any:
    """The image in a file, fitted; raises Unreadable, or Refused as `fitted`."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return fitted(image, size, f"{argument} must hold {TAKEN}; {path}")
    except Refused:
        raise
    except Exception as error:  # damaged, too large, or not an image; Pillow's decoders raise errors of many kinds
        raise Unreadable(f"{path} could not be read ({error})") from error


def fitted(image: Any, size: int | None, takes: str) -> Any:
    """An image upright, as gray ("L", or "F" from 0 to 255) or "RGB", cropped about the center to size x size.

    Args:
        image: of Pillow. Metadata that cannot be read are ignored.
        size: side in pixels; None keeps its own.
        takes: the start of the sentence in errors.

    Raises:
        Refused: there is no range to read the image by.
    """
    from PIL import ExifTags, ImageOps

    image.load()
    plain = _plain(image, takes)
    plain.info = {}  # damaged metadata would be written again
    with suppress(Exception):  # no orientation; or damaged metadata, which raise errors of many kinds
        plain.getexif()[ExifTags.Base.Orientation] = image.getexif()[ExifTags.Base.Orientation]
        plain = ImageOps.exif_transpose(plain)
    return plain if size is None else ImageOps.fit(plain, (size, size))


def is_gray(image: Any) -> bool:
    """Whether a fitted image is gray."""
    return image.mode != "RGB"


def pixels(image: Any, gray: bool) -> np.ndarray:
    """(height, width) or (height, width, 3), float32 in [-1, 1], of a fitted image."""
    if image.mode == "F":
        values = np.asarray(image, np.float32).clip(0, 255)  # interpolation goes beyond
        values = values if gray else np.repeat(values[..., None], 3, -1)
    else:
        values = np.asarray(image.convert("L" if gray else "RGB"), np.float32)
    return values / 127.5 - 1


def _plain(image: Any, takes: str) -> Any:
    """The image as "L", "F" or "RGB", from 0 to 255, on white where it was transparent."""
    from PIL import Image

    if image.mode not in PLAIN:
        return Image.fromarray(_deep(image, takes))
    gray = image.mode in ("1", "L", "LA") or (image.mode in ("P", "PA") and _has_gray_palette(image))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("L" if gray else "RGB")


def _has_gray_palette(image: Any) -> bool:
    """Whether all colors of the image are gray."""
    colors = np.asarray(image.convert("RGB"))
    return bool((colors == colors[..., :1]).all())


def _deep(image: Any, takes: str) -> np.ndarray:
    """The values of a gray image of more than eight bits, scaled from its own range to [0, 255], in float32.

    Raises:
        Refused: the range is not known, or values are outside it.
    """
    values, top, clear = np.asarray(image), _top(image), image.info.get("transparency")
    if top is None or not (values.min() >= 0 and values.max() <= top):
        between = f" and values from {values.min():g} to {values.max():g}" if values.ndim == 2 else ""
        raise Refused(f"{takes} has mode {image.mode}{between}. Convert it, or give floats in a .npy file.")
    scaled = values.astype(np.float32) * np.float32(255 / top)
    return scaled if clear is None else np.where(values == clear, np.float32(255), scaled)


def _top(image: Any) -> float | None:
    """The number that is white; None if it is not known, as for numbers with a sign or of 32 bits."""
    if image.mode == "F":
        return 1.0
    if image.mode.startswith("I;16"):
        return 2.0 ** getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0] - 1  # TIFF has 12 bits too
    return 65535.0 if image.mode == "I" and image.format in ("PNG", "PPM") else None
