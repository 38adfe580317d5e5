"""Arrays of samples, checked."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import CHANNELS_LAST, is_channels_first, unscaled

FAINT = 1 / 16  # of the range of pixels; 12 bits in an image of 16 fill as much


class DataWarning(UserWarning):
    """Data that are read, though perhaps not all of them, or not as they were meant; its text says what to do.

    Attributes:
        passed_over: number of files that are not among the samples.
    """

    def __init__(self, sentence: str, passed_over: int = 0):
        super().__init__(sentence)
        self.passed_over = passed_over


def as_samples(data: Any, argument: str = "data") -> np.ndarray:
    """Samples as float32, (n, *event); uint8 values are pixels, which are scaled from [0, 255] to [-1, 1].

    A `DataWarning` says if pixels fill less than a sixteenth of their range, such as those that are 0 or 1, and if the
    shape is that of images with their channels first.

    Raises:
        TypeError: `data` is not an array of real numbers.
        ValueError: there are no samples, they have several shapes, or one is not finite; the first one is named.
    """
    try:
        array = np.asarray(data)
    except TypeError as error:
        raise TypeError(f"{argument} must be an array of samples; {error}") from None
    except ValueError:  # samples of several shapes
        shapes = [np.shape(item) for item in data]
        odd = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
        raise ValueError(
            f"{argument} must hold samples of one shape; sample 0 has {shapes[0]} and sample {odd} has {shapes[odd]}."
        ) from None
    _real(array, argument)
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(f"{argument} must hold real numbers of shape (n, *event); got shape {array.shape}.")
    values = array.astype(np.float32)
    bad = ~np.isfinite(values).reshape(len(values), -1)
    if bad.any():
        first, count = int(np.argmax(bad.any(1))), int(bad.any(1).sum())
        value = values.reshape(len(values), -1)[first][bad[first]][0]
        raise ValueError(f"{argument} must be finite; got {value} in sample {first} ({count} such samples in all).")
    warn_if_channels_first(array.shape[1:], argument)
    if array.dtype != np.uint8:
        return values
    values = unscaled(values, array.dtype)
    warn_if_faint(values, argument)
    return values


def warn_if_faint(values: np.ndarray, argument: str) -> None:
    """Warn if pixels, in [-1, 1], are all nearly black."""
    high = float(values.max() + 1) / 2
    if high <= FAINT:
        sentence = (
            f"{argument} must fill the range of pixels, from black to white, to be learned well; the brightest fills "
            f"{100 * high:.2g} % of it. Scale them, or give an array of floats, which are taken as they are."
        )
        warnings.warn(DataWarning(sentence), stacklevel=3)


def warn_if_channels_first(event: tuple[int, ...], argument: str) -> None:
    """Warn if samples have the shape of images with their channels first."""
    if is_channels_first(event):
        sentence = (
            f"{argument} must have its channels last, (n, height, width, channels), to be taken as images; got samples "
            f"of shape {event}. {CHANNELS_LAST}"
        )
        warnings.warn(DataWarning(sentence), stacklevel=3)


def as_sample(sample: Any, number: int, argument: str = "data") -> np.ndarray:
    """`as_samples` for one sample, (*event): sample `number` of data that are read one by one."""
    array = np.asarray(sample)
    _real(array, argument)
    values = array.astype(np.float32)
    if values.ndim == 0 or values.size == 0:
        raise ValueError(f"{argument} must hold samples of shape (*event); got shape {array.shape} in sample {number}.")
    if not np.isfinite(values).all():
        value = values[~np.isfinite(values)][0]
        raise ValueError(f"{argument} must be finite; got {value} in sample {number}.")
    return unscaled(values, array.dtype)


def _real(array: np.ndarray, argument: str) -> None:
    if array.dtype.kind not in "fiub" and not jnp.issubdtype(array.dtype, np.floating):  # bfloat16
        raise TypeError(f"{argument} must be an array of real numbers; got dtype {array.dtype}.")
