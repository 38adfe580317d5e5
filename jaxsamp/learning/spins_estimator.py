"""`fit_spins` as an estimator of scikit-learn."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxsamp.core.batching import each
from jaxsamp.learning.binarize import spins, thresholds
from jaxsamp.learning.spins import fit_spins

AT_ONCE = 8192  # rows that are judged at once


class SpinRegressor(DensityMixin, BaseEstimator):
    """The regression of each of n spins on the others, whose coefficients are the couplings of p(x) = exp(S(x)) / Z.

    The same as `jaxsamp.learning.fit_spins`, with scikit-learn's conventions: E[x_i | others] = tanh f_i, where f_i is
    the local field, sum_j J_ij x_j + h_i for pairs.

    Args:
        order: most spins of a product, 2, 3 or 4.
        method: "rple", "rise", "logrise" or "sparsitron".
        l1: the penalty, "auto" or a number, except for "sparsitron".
        width: the bound for "sparsitron", or None.
        binarize: None for data of -1 and +1, or of 0 and 1; a number, above which a feature is +1, and -1 elsewhere; or
            "median", that of the feature.
        random_state: of the order in which "sparsitron" reads rows, an integer, a RandomState or None.

    Attributes:
        model_: the law, a `jaxsamp.discrete.Ising` for order 2 and an `MRF` for others.
        thresholds_: those of the features, (n,), or None.
        coef_: J, (n, n), symmetric; for order 2.
        intercept_: h, (n,); for order 2.
        loss_per_node_, asymmetry_, width_: as of a `SpinFit`.

    Raises (by `fit`):
        ValueError: as `fit_spins`.
    """

    # Anything at all, as scikit-learn asks of constructors: `fit` says what is wrong.
    def __init__(
        self,
        *,
        order: Any = 2,
        method: Any = "rple",
        l1: Any = "auto",
        width: Any = None,
        binarize: Any = None,
        random_state: Any = None,
    ):
        self.order = order
        self.method = method
        self.l1 = l1
        self.width = width
        self.binarize = binarize
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "SpinRegressor":
        """Learn from the rows of X, (m, n), and return itself; `y` is not used."""
        X = validate_data(self, X, ensure_min_samples=2, ensure_min_features=2)
        self.thresholds_ = thresholds(self.binarize, X)
        x = spins(X, self.thresholds_)
        key = None
        if self.method == "sparsitron":
            key = jax.random.key(check_random_state(self.random_state).randint(2**31 - 1))
        found = fit_spins(x, self.order, self.method, width=self.width, l1=self.l1, weights=sample_weight, key=key)
        self.model_, self.loss_per_node_, self.asymmetry_, self.width_ = found
        if self.order == 2:
            self.coef_, self.intercept_ = np.asarray(found.model.couplings), np.asarray(found.model.fields)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """E[x_i | the others] = tanh f_i of each spin of each row, (m, n), from -1 to 1."""
        check_is_fitted(self)
        return np.tanh(self._local_fields(X)[1])

    def score_samples(self, X: Any) -> np.ndarray:
        """Log pseudo-likelihood of each row in nats, sum_i log P(x_i | the others), (m,)."""
        check_is_fitted(self)
        x, fields = self._local_fields(X)
        return -np.logaddexp(0, -2 * x * fields).sum(1)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`."""
        return float(np.mean(self.score_samples(X)))

    def _local_fields(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        x = np.where(spins(validate_data(self, X, reset=False), self.thresholds_) > 0, 1, -1).astype(np.int8)
        fields = each(lambda row: self.model_.local_fields(row[None])[0], jnp.asarray(x), AT_ONCE)
        return x, np.asarray(fields, float)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")  # a fit that failed has noted the thresholds
