"""`fit_smooth` as a classifier of scikit-learn."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxsamp.learning.estimator import FIT, key_of
from jaxsamp.supervised.polynomial import PolynomialClassifier
from jaxsamp.supervised.smooth import fit_smooth
from jaxsamp.supervised.smoothed_error import SmoothedError


class SmoothedPolynomialClassifier(ClassifierMixin, BaseEstimator):
    """A polynomial of low degree that tells two classes apart; see `jaxsamp.supervised.fit_smooth`.

    Args:
        sigma: standard deviation of the noise of `smoothed_error_`; None with rho.
        degree, loss, project, rho: as of `fit_smooth`.
        random_state: an integer, a RandomState, None, or a typed key.

    Attributes:
        classes_: the two labels, of which the second stands for +1.
        classifier_: the polynomial.
        error_, smoothed_error_: with their limits, as of a `SmoothFit`.

    Raises (by `fit`):
        ValueError: as `fit_smooth`, or there are more than two classes.

    Source: as of `fit_smooth`.
    """

    classifier_: PolynomialClassifier
    error_: SmoothedError
    smoothed_error_: SmoothedError

    # Anything at all, as scikit-learn asks of constructors: `fit` says what is wrong.
    def __init__(
        self,
        sigma: Any = 0.5,
        *,
        degree: Any = 3,
        loss: Any = "logistic",
        project: Any = None,
        rho: Any = None,
        random_state: Any = None,
    ):
        self.sigma = sigma
        self.degree = degree
        self.loss = loss
        self.project = project
        self.rho = rho
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "SmoothedPolynomialClassifier":
        """Learn the classes y (n,) of the rows of X (n, d), and return itself."""
        X, y = validate_data(self, X, y, ensure_min_samples=2)
        check_classification_targets(y)
        classes = np.unique(y)
        if len(classes) != 2:
            count = "one class" if len(classes) == 1 else f"{len(classes)} classes"
            raise ValueError(f"Only binary classification is supported: y must have two classes; got {count}.")
        signs, key = np.where(y == classes[1], 1, -1), key_of(self.random_state, FIT)
        settings = {name: getattr(self, name) for name in ("sigma", "degree", "loss", "project", "rho")}
        found = fit_smooth(X, signs, **settings, key=key)
        self.classes_, self.classifier_ = classes, found.classifier
        self.error_, self.smoothed_error_ = found.error, found.smoothed
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The polynomial less its threshold at rows of X, (n,): above 0 for the second class."""
        check_is_fitted(self)
        return np.asarray(self.classifier_(validate_data(self, X, reset=False)), float)

    def predict(self, X: Any) -> np.ndarray:
        """The class of each row of X, (n,)."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")  # a fit that failed has noted the features

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
