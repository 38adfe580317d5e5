"""How large a part of an image a denoiser needs to see at each noise level: a small one where the noise is small."""

from typing import Any, NamedTuple

import numpy as np

from jaxsamp import datasets
from jaxsamp.core import checks
from jaxsamp.core.types import Data

CENTER = 2  # side of the square in the middle whose error is compared


class Context(NamedTuple):
    """What `measure_context` returns.

    Attributes:
        sigma: (levels,), increasing.
        size: (levels,), the side of the smallest window that is enough, in pixels.
    """

    sigma: np.ndarray
    size: np.ndarray

    def sigma_max(self, size: int) -> float:
        """The largest level up to which windows of that size are enough; 0 if they are at none."""
        enough = np.cumprod(self.size <= size).astype(bool)
        return float(self.sigma[enough][-1]) if enough.any() else 0.0


def measure_context(data: Data, sigma: Data, tolerance: float = 0.05) -> Context:
    """The smallest window at each level from which the middle of an image is denoised as well as from all of it.

    As well means that the mean squared error in the 2 x 2 pixels of the middle is at most 1 + tolerance times as large,
    for the best linear denoiser: with the covariance C of the pixels of the window, the covariance of what remains
    unknown is C - C (C + s^2 I)^-1 C. Images of another kind whose parts of that size look like those of the clean ones
    may train as clean at levels up to `sigma_max(size)`; see `jaxsamp.corruptions.Annotations`.

    Args:
        data: clean images, or patches of images, (n, side, side) or (n, side, side, channels), of even side; channels
            of a window are seen together. The covariance of all their numbers is measured: 16 x 16 pixels are fine.
        sigma: levels sigma / alpha, (levels,), increasing, above 0.
        tolerance: above 0.

    Raises:
        ValueError: an argument is out of range, or data are not such images.

    Source: Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv 2506.10038, where a
    network is measured.
    """
    x, levels = squares_of(data).astype(float), levels_of(sigma)
    if not tolerance > 0:
        raise ValueError(f"tolerance must be above 0; got {tolerance}.")
    errors = {size: _errors(middle(x, size), levels) for size in range(CENTER, x.shape[1] + 1, 2)}
    sizes, table = np.array(list(errors)), np.stack(list(errors.values()))
    enough = table <= (1 + tolerance) * table[-1]
    return Context(levels, sizes[enough.argmax(0)])


def squares_of(data: Data) -> np.ndarray:
    """Images of equal, even sides; another shape raises ValueError."""
    x = datasets.as_samples(data)
    if x.ndim not in (3, 4) or x.shape[1] != x.shape[2] or x.shape[1] % 2:
        raise ValueError(f"data must be images (n, side, side) or (n, side, side, c) of even side; got {x.shape}.")
    return x


def levels_of(sigma: Data) -> np.ndarray:
    """Increasing levels above 0, (levels,); others raise ValueError."""
    levels = np.asarray(checks.finite("sigma", sigma), float)
    if levels.ndim != 1 or not levels.size or levels[0] <= 0 or (np.diff(levels) <= 0).any():
        raise ValueError(f"sigma must be increasing levels above 0, (levels,); got {sigma!r}.")
    return levels


def middle(x: np.ndarray, size: int) -> np.ndarray:
    """The window of that side around the middle of images (n, side, side, ...)."""
    first = (x.shape[1] - size) // 2
    return x[:, first : first + size, first : first + size]


def _errors(window: np.ndarray, levels: Any) -> np.ndarray:
    """Mean squared error of the best linear denoiser in the middle of a window, at each level."""
    values, vectors = np.linalg.eigh(np.cov(window.reshape(len(window), -1), rowvar=False))
    here = middle(np.arange(window[0].size).reshape(1, *window.shape[1:]), CENTER).ravel()
    values = np.maximum(values, 0)
    left = values * levels[:, None] ** 2 / (values + levels[:, None] ** 2)
    return (left @ (vectors[here] ** 2).T).mean(1)
