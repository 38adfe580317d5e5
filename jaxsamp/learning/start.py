"""Where learners of mixtures begin: whitened data, and centers by k-means++."""

from typing import NamedTuple

import numpy as np

from jaxsamp.core import checks, extras
from jaxsamp.core.types import Data

LEAST = 1e-10  # smallest eigenvalue of a covariance over the largest one, below which it cannot be inverted


class Whitening(NamedTuple):
    """The map x -> S^(-1/2) (x - mean), with the symmetric roots of a covariance S, in float64.

    Attributes:
        mean: (d,).
        root: S^(1/2), (d, d), or a number times I, ().
        inverse: S^(-1/2), of the same shape.
    """

    mean: np.ndarray
    root: np.ndarray
    inverse: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """S^(-1/2) (x - mean), for x of shape (..., d)."""
        return _times(x - self.mean, self.inverse)

    def undo(self, y: np.ndarray) -> np.ndarray:
        """mean + S^(1/2) y, for y of shape (..., d)."""
        return _times(y, self.root) + self.mean

    @property
    def log_det(self) -> float:
        """log |det S^(-1/2)|: what is added to a log density of y to give one of x."""
        if self.inverse.ndim == 0:
            return float(self.mean.size * np.log(self.inverse))
        return float(np.linalg.slogdet(self.inverse)[1])


def whitening(mean: Data, covariance: Data) -> Whitening:
    """The whitening of a law of this mean (d,) and covariance (d, d), or a number, which is that times I.

    Raises:
        ValueError: shapes do not fit, entries are not finite, or the covariance cannot be whitened: it is not
            symmetric, or an eigenvalue is not above 1e-10 of the largest one.
    """
    mean, covariance = checks.finite("mean", mean).astype(float), checks.finite("covariance", covariance).astype(float)
    if covariance.ndim == 0:
        if not covariance > 0:
            raise ValueError(f"covariance must be above 0; got {covariance:g}.")
        return Whitening(mean, np.asarray(np.sqrt(covariance)), np.asarray(1 / np.sqrt(covariance)))
    if covariance.shape != (mean.size, mean.size):
        raise ValueError(f"covariance must have shape {(mean.size, mean.size)}, as mean has; got {covariance.shape}.")
    if not np.allclose(covariance, covariance.T, rtol=1e-5, atol=1e-8 * np.abs(covariance).max()):
        raise ValueError("covariance must be symmetric; got a matrix that differs from its transpose.")
    values, basis = np.linalg.eigh((covariance + covariance.T) / 2)
    if not values[0] > LEAST * values[-1]:
        raise ValueError(
            f"covariance must have eigenvalues above {LEAST:g} of the largest, {values[-1]:.3g}, so that data can be "
            f"whitened; the smallest is {values[0]:.3g}. Leave out constant or dependent features, or add noise."
        )
    roots = np.sqrt(values)
    return Whitening(mean, (basis * roots) @ basis.T, (basis / roots) @ basis.T)


def _times(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return x @ matrix if matrix.ndim else x * matrix


def whitened(x: Data) -> tuple[np.ndarray, Whitening]:
    """Samples (n, d) with their own mean and covariance removed, and the map that does it.

    Raises:
        ValueError: `x` has no more samples than features, or its covariance cannot be whitened.
    """
    x = checks.finite("X", x).astype(float)
    n, d = x.shape
    if n <= d:
        raise ValueError(f"X must have more samples than features to be whitened; got shape {x.shape}.")
    made = whitening(x.mean(0), np.cov(x, rowvar=False).reshape(d, d))
    return made.apply(x), made


def k_means_start(x: Data, components: int, seed: int, iterations: int = 1) -> np.ndarray:
    """Centers (K, d) by k-means++ and then Lloyd's iterations, both by scikit-learn.

    Raises:
        ValueError: `x` has fewer samples than components.

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    with extras.needed("k_means_start"):
        from sklearn.cluster import kmeans_plusplus

    x = np.asarray(x, float)
    if len(x) < checks.at_least("components", components, 1):
        raise ValueError(f"X must have at least components = {components} samples; got {len(x)}.")
    centers = kmeans_plusplus(x, components, random_state=seed)[0]
    for _ in range(iterations):
        nearest = np.argmin(np.square(centers).sum(1) - 2 * (x @ centers.T), 1)
        counts = np.bincount(nearest, minlength=components)[:, None]
        sums = np.zeros_like(centers)
        np.add.at(sums, nearest, x)
        centers = np.where(counts > 0, sums / np.maximum(counts, 1), centers)
    return centers
