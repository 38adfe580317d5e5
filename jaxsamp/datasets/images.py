"""Images as arrays of one size, in [-1, 1]: black is -1 and white is 1, whatever the number of bits.

Eight bits per channel, gray with 9 to 16 bits, and gray floats from 0 to 1 are read; other images are refused by name.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.core import checks, extras

TAKEN = "images of 8 bits per channel, gray ones of 16 bits or gray ones of floats from 0 to 1"
PLAIN = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")  # modes of at most 8 bits
BITS_PER_SAMPLE = 258  # the tag of TIFF
FITS = ("crop", "pad", "stretch")
BLACK = 0


class Unreadable(ValueError):
    """A file that Pillow cannot read as an image."""


class Refused(ValueError):
    """An image whose numbers have no known range."""


def sides(size: Any, argument: str = "size") -> tuple[int, int]:
    """Height and width in pixels, given as (height, width), or as one number if they are equal."""
    both = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(both) != 2:
        raise ValueError(f"{argument} must be one number of pixels, or a height and a width; got {size}.")
    height, width = (checks.at_least(argument, side, 1) for side in both)
    return height, width


def opened(path: Path, size: Any, fit: str, argument: str) -> Any:
    """The image in a file, fitted; raises Unreadable, or Refused as `fitted`."""
    with extras.needed("an image"):
        from PIL import Image

    try:
        with Image.open(path) as image:
            return fitted(image, size, fit, f"{argument} must hold {TAKEN}; {path}")
    except Refused:
        raise
    except Exception as error:  # damaged, too large, or not an image; Pillow's decoders raise errors of many kinds
        raise Unreadable(f"{path} could not be read ({error})") from error


def fitted(image: Any, size: Any, fit: str, takes: str) -> Any:
    """An image upright, as gray ("L", or "F" from 0 to 255) or "RGB", of the given size.

    Args:
        image: of Pillow. Metadata that cannot be read are ignored.
        size: as `sides` takes it; None keeps its own.
        fit: how an image of other proportions gets that size: "crop" scales it until it covers the size, and cuts off
            what is beyond, equally on both sides; "pad" scales it until it lies inside, with black around; "stretch"
            scales height and width each by its own factor.
        takes: the start of the sentence in errors.

    Raises:
        Refused: there is no range to read the image by.
    """
    with extras.needed("an image"):
        from PIL import ExifTags, ImageOps

    image.load()
    plain = _plain(image, takes)
    plain.info = {}  # damaged metadata would be written again
    with suppress(Exception):  # no orientation; or damaged metadata, which raise errors of many kinds
        plain.getexif()[ExifTags.Base.Orientation] = image.getexif()[ExifTags.Base.Orientation]
        plain = ImageOps.exif_transpose(plain)
    if size is None:
        return plain
    height, width = sides(size)
    if fit == "pad":
        return ImageOps.pad(plain, (width, height), color=BLACK)
    return ImageOps.fit(plain, (width, height)) if fit == "crop" else plain.resize((width, height))


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
    with extras.needed("an image"):
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
