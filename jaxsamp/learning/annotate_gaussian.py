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


def annotate_gaussian(data: Data, damaged: Data, eps: float = 0.05) -> Annotations:
    """The level from which on Gaussians fitted to the clean and to the damaged samples differ by less than eps.

    Those of images have independent coefficients of the cosine transform, those of other data have any covariance. At
    the level s each covariance has s^2 more on its diagonal, and the total variation is at most sqrt(KL / 2) (Pinsker),
    with the smaller of the two divergences. From the divergence that is found, what chance is expected to give is
    subtracted; with few samples, more than that may remain, and the level is too high rather than too low. Nothing is
    trained, so this takes seconds; but it sees no differences beyond two moments.

    Args:
        data: samples (n, *event), two or more clean ones and of each kind.
        damaged: as for `annotate_fixed`; each kind has a level of its own.
        eps: in (0, 1).

    Raises:
        ValueError: an argument is out of range, or there are too few samples.
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
    mean, covariance = clean.mean(0), spread(clean)
    s = np.sqrt(clean.var(0).mean()) * np.geomspace(LEAST, MOST, LEVELS)
    levels = np.zeros(len(counts))
    for kind in range(1, len(counts)):
        others = coordinates[kinds == kind]
        law, chance = (others.mean(0), spread(others)), 1 / counts[0] + 1 / counts[kind]
        levels[kind] = first_below(s, gaussian_bound(mean, covariance, *law, s, chance), eps)
    return Annotations(levels[kinds], data=x)


def gaussian_bound(
    mean: np.ndarray, covariance: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray, s: np.ndarray,
    chance: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """sqrt(KL / 2) of two Gaussians after noise of levels s, (levels,); covariances are (d, d), or (d,) if diagonal.

    With chance = 1 / n + 1 / n2, what samples of those numbers of one and the same law are expected to give to the
    leading order is subtracted from KL. With the eigenvalues v and w = v / (v + s^2) it is chance times sum w / 2 of
    the means, and (sum w^2) / 2 of diagonal covariances or (sum w^2 + (sum w)^2) / 4 of others.
    """
    square, full = (mean - mean2) ** 2, covariance.ndim == 2
    own = np.linalg.eigvalsh(covariance) if full else covariance
    found = []
    for level in s**2:
        if full:
            both = [c + level * np.eye(len(mean)) for c in (covariance, covariance2)]
            ratio = scipy.linalg.eigh(*both, eigvals_only=True)
            means = [(mean - mean2) @ np.linalg.solve(c, mean - mean2) for c in both]
        else:
            ratio = (covariance + level) / (covariance2 + level)
            means = [(square / (c + level)).sum() for c in (covariance, covariance2)]
        log, share = np.log(ratio), own / (own + level)
        forward, backward = (ratio - 1 - log).sum() + means[1], (1 / ratio - 1 + log).sum() + means[0]
        squares = (share**2).sum()
        by_chance = share.sum() + ((squares + share.sum() ** 2) / 2 if full else squares)
        found.append(min(forward, backward) / 2 - chance * by_chance / 2)
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
