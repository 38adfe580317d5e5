"""Moments of a function of true samples, for tests whose value has a known null law."""

from collections.abc import Callable

import jax
import numpy as np

from jaxsamp.core.types import Array
from jaxsamp.metrics.truth import NULL, Truth

SETS, MIN_DRAWS = 32, 1024  # 32 max(n, 1024) true samples, which add 1.6 % to the standard error
ROUNDING = 1e-6  # error of responsibilities and mean log densities, in float32


def moments(
    function: Callable[[Array], np.ndarray], n: int, truth: Truth, key: Array
) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean, covariance and number of draws of function(X) for true X, set by set to bound the memory.

    `function` maps (m, *event) to (m,) or (m, F); the mean is (F,) and the covariance (F, F).
    """
    size, key_null = max(n, MIN_DRAWS), jax.random.fold_in(key, NULL)
    means, covs = [], []
    for i in range(SETS):
        values = function(truth.draw(key_null, i, size)).reshape(size, -1)
        means.append(values.mean(0))
        covs.append(np.atleast_2d(np.cov(values, rowvar=False)))
    return np.mean(means, axis=0), np.mean(covs, axis=0), SETS * size
