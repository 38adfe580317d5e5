"""Frechet distance between Gaussians fitted to features."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsamp.core.checks import finite
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.null import NULL_SETS, Metric, compare, judged
from jaxsamp.metrics.spec import MetricSpec
from jaxsamp.metrics.truth import flat, prepared


def frechet(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array | None = None,
    features: Callable[[Array], Any] | None = None,
    level: Level | None = None,
    null_sets: int = NULL_SETS,
) -> Metric:
    """Frechet distance between the features of the samples and of the truth.

    |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), with mean m and covariance C of the features. It is biased
    upwards, by about tr(C) (F + 5) (1/n + 1/m) / 4 for F independent features: compare values at equal sizes only,
    or each with its null band, which has the same bias.

    Args:
        x: samples, (n, *event).
        reference: a law, a `NullBank` of one, or an array of true clean samples, (m, *event).
        key: draws the true samples and the null sets; None with a bank.
        features: (n, *event) -> (n, F), any function of arrays; None for the flattened samples. It is called once
            on an array reference, and once on each null set of a law.
        level: the noise level of x; None for clean samples.
        null_sets: number of null values, at least 20, each of cost O(F^3) in float64 on the host: with
            thousands of features take 20, which gives a band of 90 %.

    Returns:
        The squared distance in the squared unit of the features, with its null band.

    Raises:
        TypeError, ValueError: an argument is not as above, or x or the features are not finite.

    Dowson and Landau, The Frechet Distance between Multivariate Normal Distributions, 1982; Heusel et al., GANs
    Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, arXiv:1706.08500.
    """
    from threadpoolctl import threadpool_limits  # not needed for `frechet_distance`

    x, truth, key = prepared(x, reference, key, level)

    def embed(samples: Array) -> Array:
        mapped = jnp.asarray(finite("features(x)", samples if features is None else features(samples)))
        if mapped.ndim < 1 or len(mapped) != len(samples):
            raise ValueError(f"features must give one row per sample, ({len(samples)}, F); got shape {mapped.shape}.")
        return flat(mapped)

    # Threads of linear algebra that wait for each other on a busy machine take a hundred times as long as one alone.
    with threadpool_limits(1, "blas"):
        return judged(*compare(_distance_to, x, truth, key, null_sets, embed, name=("frechet", id(features))))


def frechet_distance(x: Float[Array | np.ndarray, "n f"], y: Float[Array | np.ndarray, "m f"]) -> float:
    """Squared Frechet (Wasserstein-2) distance between the Gaussians fitted to x and to y, in float64.

    The covariances are unbiased estimates. With C = R^T R, tr (C_x C_y)^(1/2) is the sum of the singular values of
    R_x R_y^T, at any rank. R comes from the data: in eigenvalues of C_x C_y small variances beside large ones drown.
    """
    return _distance_to(y)(x)


def _distance_to(y: Array | np.ndarray) -> Callable[[Array | np.ndarray], float]:
    return partial(_distance, *_moments(y))


def _distance(mean_y: np.ndarray, root_y: np.ndarray, x: Array | np.ndarray) -> float:
    mean_x, root_x = _moments(x)
    cross = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    return float(np.sum((mean_x - mean_y) ** 2) + np.sum(root_x**2) + np.sum(root_y**2) - 2 * cross)


def _moments(features: Array | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean, and a matrix R with R^T R the covariance."""
    features = np.asarray(features, float)
    mean = features.mean(0)
    return mean, np.asarray(np.linalg.qr((features - mean) / np.sqrt(len(features) - 1), mode="r"))


SPEC = MetricSpec(
    name="frechet",
    label="Frechet distance",
    run=lambda c: frechet(c.x, c.truth, c.key, c.features, null_sets=c.null_sets),
    needs=lambda c: None if c.features is not None else "`features`",
    applies_to="any reference, with `features`",
    sees="means and covariances of the features",
)
