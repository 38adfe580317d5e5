"""Damages of images that need be neither linear nor invertible: for data that are of use at high noise alone."""

import io
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks, extras
from jaxsamp.core.progress import bar
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import sample_keys
from jaxsamp.core.types import Array, PRNGKey
from jaxsamp.corruptions.imaging import Blur
from jaxsamp.corruptions.laws import STATIC
from jaxsamp.corruptions.linear import BlurOperator

ROUNDING = 1e-5  # by which values may be outside [-1, 1]


class ImageCorruption(ABC):
    """`corruption(key, images)` damages image i with the random numbers of fold_in(key, i), whatever the batch.

    Images are (n, h, w) or (n, h, w, c), floats in [-1, 1]; so is the result, of the same shape and dtype.

    Raises:
        TypeError: the key is not a typed key, or images are not real numbers.
        ValueError: images have another shape, or values that are not finite or outside [-1, 1].
    """

    @abstractmethod
    def __call__(self, key: PRNGKey, images: Any) -> Array:
        """The damaged images."""


class EachImage(ImageCorruption):
    """A corruption that is a function of one image, computed by JAX."""

    bounded: ClassVar[bool] = True  # whether the result is cut to [-1, 1]

    def __call__(self, key: PRNGKey, images: Any) -> Array:
        """The damaged images."""
        checks.typed_key(key)
        images = jnp.asarray(_checked(images))
        damaged = jax.vmap(self._one)(sample_keys(key, len(images)), images)
        return damaged.clip(-1, 1) if self.bounded else damaged

    @abstractmethod
    def _one(self, key: Array, image: Array) -> Array:
        """One damaged image, (h, w) or (h, w, c)."""


@pytree
@dataclass(frozen=True)
class GaussianBlur(EachImage):
    """The blur of `Blur`: a Gaussian cut at the pixel ceil(4 sigma), mirrored at the edges.

    Attributes:
        sigma: standard deviation in pixels, above 0.
    """

    sigma: float = field(default=1.0, metadata=STATIC)

    def __post_init__(self) -> None:
        Blur(self.sigma)  # refuses what is no sigma

    def _one(self, key: Array, image: Array) -> Array:
        return Blur(self.sigma).sample(key, image.shape)(image)


@pytree
@dataclass(frozen=True)
class MotionBlur(EachImage):
    """The mean over a straight line of pixels, mirrored at the edges.

    A pixel at distance u along the line from its middle and v across it has a weight proportional to
    min(1, max(0, (length + 1) / 2 - |u|)) max(0, 1 - |v|): at angle 0 and odd length, to 1 for `length` pixels.

    Attributes:
        length: of the line in pixels, at least 1.
        angle: of the line in degrees, counterclockwise from the horizontal; None draws one per image.
    """

    length: int | float = field(default=9.0, metadata=STATIC)
    angle: int | float | None = field(default=None, metadata=STATIC)

    def __post_init__(self) -> None:
        _number("length", self.length, 1)
        if self.angle is not None:
            _number("angle", self.angle, -math.inf)

    def kernel(self, angle: Any) -> Array:
        """The weights of sum 1, (k, k) with k odd, of a line at an angle in degrees."""
        reach = math.ceil((self.length + 1) / 2) - 1
        reach = max(reach, 1)
        rows, columns = jnp.mgrid[-reach : reach + 1, -reach : reach + 1]
        radians = jnp.deg2rad(jnp.asarray(angle, float))
        along = jnp.abs(columns * jnp.cos(radians) - rows * jnp.sin(radians))
        across = jnp.abs(columns * jnp.sin(radians) + rows * jnp.cos(radians))
        weights = jnp.clip((self.length + 1) / 2 - along, 0, 1) * jnp.clip(1 - across, 0)
        return weights / weights.sum()

    def _one(self, key: Array, image: Array) -> Array:
        angle = jax.random.uniform(key, maxval=180.0) if self.angle is None else self.angle
        kernel = self.kernel(angle).astype(image.dtype)
        reach = len(kernel) // 2

        def blur(channel: Array) -> Array:
            wide = jnp.pad(channel, reach, mode="symmetric")
            return jax.scipy.signal.convolve2d(wide, kernel, mode="valid", precision="highest")

        return blur(image) if image.ndim == 2 else jax.vmap(blur, 2, 2)(image)


@pytree
@dataclass(frozen=True)
class Pixelate(EachImage):
    """Every pixel is the mean of its square block; blocks at the lower and right edges may be smaller.

    Attributes:
        size: side of a block in pixels, at most that of the image.
    """

    size: int = field(default=4, metadata=STATIC)

    def __post_init__(self) -> None:
        checks.at_least("size", self.size, 1)

    def _one(self, key: Array, image: Array) -> Array:
        if self.size > min(image.shape[:2]):
            raise ValueError(f"size must be at most the height and width of the images; got {self.size} for "
                             f"{image.shape[:2]}.")  # fmt: skip
        blocks = (np.arange(side) // self.size for side in image.shape[:2])
        same = [(block[:, None] == block) / np.bincount(block)[block] for block in blocks]
        return BlurOperator(*same)(image)


@pytree
@dataclass(frozen=True)
class GaussianNoise(EachImage):
    """x + sigma n with n standard normal. It is not cut to [-1, 1], so that its law is that of a diffusion.

    Attributes:
        sigma: standard deviation, at least 0.
    """

    bounded: ClassVar[bool] = False
    sigma: float = field(default=0.2, metadata=STATIC)

    def __post_init__(self) -> None:
        _number("sigma", self.sigma, 0)

    def _one(self, key: Array, image: Array) -> Array:
        return image + self.sigma * jax.random.normal(key, image.shape, image.dtype)


@pytree
@dataclass(frozen=True)
class ColorShift(EachImage):
    """x + std n with one standard normal n per image and channel, cut to [-1, 1].

    Attributes:
        std: standard deviation of the shift, at least 0.
    """

    std: float = field(default=0.2, metadata=STATIC)

    def __post_init__(self) -> None:
        _number("std", self.std, 0)

    def _one(self, key: Array, image: Array) -> Array:
        return image + self.std * jax.random.normal(key, image.shape[2:], image.dtype)


@pytree
@dataclass(frozen=True)
class JPEG(ImageCorruption):
    """What Pillow reads from the JPEG that it writes, with its chroma subsampling, on the host: not in `jit`.

    Attributes:
        quality: from 1 to 95. Images have one channel or three.
    """

    quality: int = field(default=25, metadata=STATIC)

    def __post_init__(self) -> None:
        if checks.at_least("quality", self.quality, 1) > 95:
            raise ValueError(f"quality must be at most 95; got {self.quality}.")

    def __call__(self, key: PRNGKey, images: Any, progress: bool = False) -> Array:
        """The damaged images; the key is not used. With `progress`, a bar is shown."""
        checks.typed_key(key)
        images = _checked(images)
        if not checks.is_readable(images):
            raise TypeError("images must be values for JPEG, which runs on the host; got a traced or divided array.")
        if images.ndim == 4 and images.shape[3] not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels for JPEG; got {images.shape[3]}.")
        values = np.asarray(images, np.float32)
        values = values[..., 0] if values.shape[3:] == (1,) else values
        levels = np.rint((values + 1) * 127.5).clip(0, 255).astype(np.uint8)
        damaged = np.empty_like(levels)
        with bar("JPEG", len(levels), progress) as advance:
            for i, level in enumerate(levels):
                damaged[i] = self._coded(level)
                advance(1)
        return jnp.asarray((damaged / 127.5 - 1).reshape(images.shape), images.dtype)

    def _coded(self, levels: np.ndarray) -> np.ndarray:
        with extras.needed("JPEG"):
            from PIL import Image

        file = io.BytesIO()
        Image.fromarray(levels).save(file, "JPEG", quality=self.quality)
        with Image.open(file) as image:
            return np.asarray(image)


def _number(argument: str, got: int | float, least: int | float) -> None:
    if not (math.isfinite(got) and got >= least):
        bound = "" if least == -math.inf else f" and at least {least}"
        raise ValueError(f"{argument} must be finite{bound}; got {got}.")


def _checked(images: Any) -> Any:
    images = checks.floating("images", images)
    if images.ndim not in (3, 4) or not all(images.shape):
        raise ValueError(f"images must be (n, h, w) or (n, h, w, c), none of them 0; got shape {images.shape}.")
    if checks.is_readable(images):
        worst = np.abs(checks.finite("images", images)).max()
        if worst > 1 + ROUNDING:
            raise ValueError(f"images must have values in [-1, 1]; got one of magnitude {worst:g}.")
    return images
