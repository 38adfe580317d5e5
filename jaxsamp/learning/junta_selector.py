"""The coordinates that a label depends on, as a selector of features of scikit-learn."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxsamp.learning.binarize import spins, thresholds
from jaxsamp.learning.select import Selection, select


class JuntaSelector(SelectorMixin, BaseEstimator):
    """The few binary features that y depends on, where features depend on each other; see `jaxsamp.learning.select`.

    It takes features of -1 and +1, or of 0 and 1, or any with a threshold in `binarize`, and y of numbers.

    Args:
        max_size, alpha, min_rows, order, conditional_mean: as of `select`.
        binarize: None; or a number, above which a feature is +1, and -1 elsewhere; or "median", that of the feature.

    Attributes:
        selection_: the `Selection`, with `predict`.
        thresholds_: those of the features, (n,), or None.

    Raises (by `fit`):
        ValueError: as `select` does.

    Source: as of `select`.
    """

    selection_: Selection
    n_features_in_: int

    def __init__(
        self,
        max_size: Any = 6,
        alpha: Any = 1e-4,
        *,
        min_rows: Any = 400,
        order: Any = 2,
        conditional_mean: Any = None,
        binarize: Any = None,
    ):
        self.max_size = max_size
        self.alpha = alpha
        self.min_rows = min_rows
        self.order = order
        self.conditional_mean = conditional_mean
        self.binarize = binarize

    def fit(self, X: Any, y: Any, unlabeled: Any = None) -> "JuntaSelector":
        """Find the features of X (m, n) that y (m,) depends on, with further samples of X if there are any."""
        X, y = validate_data(self, X, y, ensure_min_samples=2, ensure_min_features=2, y_numeric=True)
        self.thresholds_ = thresholds(self.binarize, X)
        if self.thresholds_ is not None:
            X, unlabeled = spins(X, self.thresholds_), None if unlabeled is None else spins(unlabeled, self.thresholds_)
        settings = {name: getattr(self, name) for name in ("min_rows", "order", "conditional_mean")}
        self.selection_ = select(X, y, unlabeled, self.max_size, self.alpha, **settings)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Mean label of the rows that agree with each row of X in the features that were selected, (m,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self.selection_.predict(spins(X, self.thresholds_))

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, bool)
        mask[list(self.selection_.indices)] = True
        return mask

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "selection_")  # a fit that failed has noted the thresholds

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
