"""Functions learned from labeled examples, and how hard that is."""

from typing import TYPE_CHECKING, Any

from jaxsamp.core import extras
from jaxsamp.supervised.attention import AttentionFit, fit_attention
from jaxsamp.supervised.attention_layer import AttentionLayer, sign_matrices
from jaxsamp.supervised.degree import (
    Witness,
    approximate_degree,
    best_error,
    csq_norm,
    dual_witness,
    threshold_degree,
)
from jaxsamp.supervised.exact_relu import SingleReLU, train_single_relu
from jaxsamp.supervised.polynomial import PolynomialClassifier
from jaxsamp.supervised.relu import ReLU, ReLUFit, fit_relu
from jaxsamp.supervised.smooth import SmoothFit, fit_smooth
from jaxsamp.supervised.smoothed_error import Certificate, SmoothedError, certify, smoothed_error

if TYPE_CHECKING:
    from jaxsamp.supervised.relu_estimator import ReLUNetRegressor as ReLUNetRegressor
    from jaxsamp.supervised.smooth_estimator import SmoothedPolynomialClassifier as SmoothedPolynomialClassifier

__all__ = [
    "AttentionFit",
    "AttentionLayer",
    "Certificate",
    "PolynomialClassifier",
    "ReLU",
    "ReLUFit",
    "ReLUNetRegressor",
    "SingleReLU",
    "SmoothFit",
    "SmoothedError",
    "SmoothedPolynomialClassifier",
    "Witness",
    "approximate_degree",
    "best_error",
    "certify",
    "csq_norm",
    "dual_witness",
    "fit_attention",
    "fit_relu",
    "fit_smooth",
    "sign_matrices",
    "smoothed_error",
    "threshold_degree",
    "train_single_relu",
]


def __getattr__(name: str) -> Any:
    """Load what needs scikit-learn when it is first used, because the rest does not need it."""
    with extras.needed(f"jaxsamp.supervised.{name}"):
        if name == "ReLUNetRegressor":
            from jaxsamp.supervised.relu_estimator import ReLUNetRegressor as found
        elif name == "SmoothedPolynomialClassifier":
            from jaxsamp.supervised.smooth_estimator import SmoothedPolynomialClassifier as found
        else:
            raise AttributeError(f"module 'jaxsamp.supervised' has no attribute {name!r}")
    return found
