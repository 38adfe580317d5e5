"""What learners of laws have in common: scikit-learn's conventions, and keys."""

from abc import abstractmethod
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser, Schedule
from jaxsamp.core.random import is_key
from jaxsamp.core.types import Array

FIT, SAMPLE = range(2)  # what a key is for


class LawLearner(DensityMixin, BaseEstimator):
    """A learner of a law from samples, as an estimator of scikit-learn that is also at home in JAX.

    `random_state` is an integer, a RandomState of NumPy, None, or a typed key. Fitting and sampling have random numbers
    of their own, so that what is drawn never repeats the noise of the fit. Subclasses set `random_state` in their
    constructor, and give `_fit`, `_draw`, `denoiser`, `score_samples` and `predict_proba`.
    """

    random_state: Any

    def fit(self, X: Any, y: Any = None) -> Any:
        """Learn the law of the rows of X, (n, d), and return itself; `y` is not used."""
        data = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2)
        self._fit(np.asarray(data, float), self._key(FIT))
        return self

    def sample(self, key: Any = 1, n: int | None = None) -> Any:
        """`sample(key, n)`: n samples (n, d) for a typed key; `sample(n)`: samples and components, as scikit-learn.

        In the second form the randomness is that of `random_state`: the same numbers each time, if it is an integer.
        """
        check_is_fitted(self)
        if n is None:
            if is_key(key):
                raise TypeError("n must be given with a key, as in sample(key, 1000).")
            x, components = self._draw(self._key(SAMPLE), checks.at_least("n", key, 1))
            return np.asarray(x), np.asarray(components)
        return self._draw(checks.typed_key(key), checks.at_least("n", n, 1))[0]

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of the rows of X, in nats."""
        return float(np.mean(self.score_samples(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Number of the most probable component of each row of X, (n,)."""
        return self.predict_proba(X).argmax(1)

    @abstractmethod
    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of each row of X in nats, (n,)."""

    @abstractmethod
    def predict_proba(self, X: Any) -> np.ndarray:
        """P(component given x) for each row of X, (n, K)."""

    @abstractmethod
    def denoiser(self, schedule: Schedule) -> Denoiser:
        """E[x_0 given x_t] under the law that was learned, for any sampler."""

    @abstractmethod
    def _fit(self, x: np.ndarray, key: Array) -> None:
        """Learn from finite data (n, d) in float64."""

    @abstractmethod
    def _draw(self, key: Array, n: int) -> tuple[Array, Array]:
        """Samples (n, d) and their components (n,)."""

    def _checked(self, X: Any) -> np.ndarray:
        """New data (n, d) in float64, after a fit."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=(np.float64, np.float32), reset=False), float)

    def _key(self, use: int) -> Array:
        """The key of one use."""
        return key_of(self.random_state, use)

    def __sklearn_is_fitted__(self) -> bool:
        # A fit that failed has already noted the features.
        return any(name.endswith("_") and not name.endswith("_in_") for name in vars(self))


def key_of(random_state: Any, use: int) -> Array:
    """The key of one use, FIT or SAMPLE, from an integer, a RandomState, None, or a typed key."""
    given = random_state
    if not is_key(given):
        given = jax.random.key(check_random_state(given).randint(2**31 - 1))
    return jax.random.split(checks.typed_key(given))[use]
