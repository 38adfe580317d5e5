"""From which noise level on damaged samples may train, by Gaussians that are fitted to them: nothing is trained."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg

from jaxsamp import datasets
from jaxsamp.core.types import Data, is_image
from jaxsamp.corruptions import Annotations
from jaxsamp.learning.annotate import kinds_of

LEAST, MOST, LEVELS = 2e-3, 200.0, 400  # levels that are compared, in standard deviations of the clean data
EXCHANGES = 19  # the largest of them is exceeded by chance at a level with probability 1 / 20


def annotate_gaussian(data: Data, damaged: Data, eps: float = 0.05) -> Annotations:
    """The level from which on Gaussians fitted to the clean and to the damaged samples differ by less than eps.

    Those of images have independent coefficients of the cosine transform, those of other data have any covariance. At
    the level s each covariance has s^2 more on its diagonal, and the total variation is at most sqrt(KL / 2) (Pinsker),
    with the smaller of the two divergences. From the divergence that is found, the largest one is subtracted that 19
    random exchanges of clean and damaged samples give: what few samples, or large outliers, show by chance is no
    damage. Nothing is trained, so this takes seconds; but it sees no differences beyond two moments. One of means, such
    as of the mean image, falls as 1 / s and so needs more noise than one of variances, which falls as 1 / s^2.

    Args:
        data: samples (n, *event), two or more clean ones and of each kind.
        damaged: as for `annotate_fixed`; each kind has a level of its own.
        eps: in (0, 1).

    Raises:
        ValueError: an argument is out of range, or there are too few samples to see whether the kinds differ.
    """
    x = datasets.as_samples(data)
    kinds = kinds_of(damaged, len(x))
    if not 0 < eps < 1:
        raise ValueError(f"eps must be in (0, 1); got {eps}.")
    counts = np.bincount(kinds)
    if counts.min() < 2:
        raise ValueError(f"damaged must have 2 clean samples and 2 of each kind at least; got {counts.tolist()}.")
    coordinates, spread = _coordinates(x)
    clean = coordinates[kinds == 0]
    s = np.sqrt(clean.var(0).mean()) * np.geomspace(LEAST, MOST, LEVELS)
    levels = np.zeros(len(counts))
    for kind in range(1, len(counts)):
        pair = np.concatenate([clean, coordinates[kinds == kind]])
        found, chance = _squares(pair, len(clean), s, spread), _by_chance(pair, len(clean), s, spread)
        if found[0] <= chance[0] > eps**2:
            raise ValueError(
                f"damaged must have enough samples of both kinds to see whether they differ; {len(clean)} clean and "
                f"{counts[kind]} of kind {kind} differ no more than by chance, by which alone the bound would be "
                f"{np.sqrt(chance[0]):.2g} instead of {eps:g}."
            )
        levels[kind] = first_below(s, np.sqrt(np.maximum(found - chance, 0)), eps)
    return Annotations(levels[kinds], data=x)


def _squares(pair: np.ndarray, count: int, s: np.ndarray, spread: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The squared bound at each level between the first `count` samples and the others."""
    first, second = pair[:count], pair[count:]
    return gaussian_bound(first.mean(0), spread(first), second.mean(0), spread(second), s) ** 2


def _by_chance(pair: np.ndarray, count: int, s: np.ndarray, spread: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The largest at each level over random exchanges; they are smooth in s, so that every eighth level is enough."""
    rng, some = np.random.default_rng(0), np.append(s[::8], s[-1])
    exchanged = [_squares(rng.permutation(pair), count, some, spread) for _ in range(EXCHANGES)]
    return np.interp(np.log(s), np.log(some), np.max(exchanged, axis=0))


def gaussian_bound(
    mean: np.ndarray, covariance: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray, s: np.ndarray
) -> np.ndarray:
    """sqrt(KL / 2) of two Gaussians after noise of levels s, (levels,); covariances are (d, d), or (d,) if diagonal."""
    square, full = (mean - mean2) ** 2, covariance.ndim == 2
    found = []
    for level in s**2:
        if full:
            both = [c + level * np.eye(len(mean)) for c in (covariance, covariance2)]
            ratio = scipy.linalg.eigh(*both, eigvals_only=True)
            means = [(mean - mean2) @ np.linalg.solve(c, mean - mean2) for c in both]
        else:
            ratio = (covariance + level) / (covariance2 + level)
            means = [(square / (c + level)).sum() for c in (covariance, covariance2)]
        log = np.log(ratio)
        found.append(min((ratio - 1 - log).sum() + means[1], (1 / ratio - 1 + log).sum() + means[0]) / 2)
    return np.sqrt(np.maximum(found, 0) / 2)


def first_below(s: np.ndarray, values: np.ndarray, limit: float) -> float:
    """The smallest of the increasing levels s from which on all values are below the limit.

    0 if that is the first one; infinity if the last value is not below it.
    """
    above = np.flatnonzero(~(values < limit))
    if not len(above):
        return 0.0
    return float(s[above[-1] + 1]) if above[-1] + 1 < len(s) else np.inf


def _coordinates(x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Coordinates of samples, (n, d), in float64, and what their covariance is measured by."""
    x = x.astype(float)
    if is_image(x.shape[1:]):
        coefficients: Any = scipy.fft.dctn(x, axes=(1, 2), norm="ortho")
        return coefficients.reshape(len(x), -1), lambda part: part.var(0)
    return x.reshape(len(x), -1), lambda part: np.atleast_2d(np.cov(part, rowvar=False, bias=True))
