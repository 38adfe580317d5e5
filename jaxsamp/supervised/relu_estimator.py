"""Networks of few ReLUs as a regressor of scikit-learn."""

from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxsamp.learning.estimator import FIT, key_of
from jaxsamp.learning.start import Whitening, whitened, whitening
from jaxsamp.supervised.relu import ReLU, ReLUFit, fit_relu


class ReLUNetRegressor(RegressorMixin, BaseEstimator):
    """y = c + sum_i l_i relu(w_i.z) for z = S^(-1/2) (x - m), from Gaussian rows; see `jaxsamp.supervised.fit_relu`.

    With `whiten`, m and S are the mean and covariance of the rows, which may be of any Gaussian law; if not, m = 0 and
    S = I, and rows should be standard normal. Rows are shuffled, and a tenth of them judges the fit.

    Args:
        k: largest number of ReLUs, 1 to 10.
        whiten: whether rows are whitened.
        rank, polish, starts, contractions, multiscale: as of `ReLU`.
        random_state: an integer, a RandomState, None, or a typed key.

    Attributes:
        fit_: the `ReLUFit` for whitened rows.
        coef_: weights S^(-1/2) w_i for rows as they are, (m, n_features).

    Raises (by `fit`):
        ValueError: as `fit_relu` does, or the covariance of the rows cannot be whitened.

    Source: as of `fit_relu`.
    """

    fit_: ReLUFit
    n_features_in_: int

    def __init__(
        self,
        k: Any = 3,
        *,
        whiten: Any = True,
        rank: Any = "auto",
        polish: Any = True,
        starts: Any = 12,
        contractions: Any = 12,
        multiscale: Any = False,
        random_state: Any = None,
    ):
        self.k = k
        self.whiten = whiten
        self.rank = rank
        self.polish = polish
        self.starts = starts
        self.contractions = contractions
        self.multiscale = multiscale
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "ReLUNetRegressor":
        """Learn from rows X (n, n_features) and labels y (n,), and return itself."""
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), ensure_min_samples=2, y_numeric=True)
        names = ("rank", "polish", "starts", "contractions", "multiscale")
        settings = ReLU(**{name: getattr(self, name) for name in names})
        key = key_of(self.random_state, FIT)
        order = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist()).permutation(len(X))
        X, y = np.asarray(X, float)[order], np.asarray(y, float)[order]
        d = X.shape[1]
        z, self._white = whitened(X) if self.whiten else (X, whitening(np.zeros(d), 1.0))
        self.fit_ = fit_relu(key, z, y, self.k, settings)
        self.coef_ = self.fit_.weights @ _matrix(self._white, d)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Labels of rows X, (n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return self.fit_.predict(self._white.apply(np.asarray(X, float)))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fit_")


def _matrix(white: Whitening, d: int) -> np.ndarray:
    """S^(-1/2)."""
    return white.inverse if white.inverse.ndim else white.inverse * np.eye(d)
