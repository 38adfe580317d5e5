"""Functions learned from labeled examples, and how hard that is."""

from jaxsamp.supervised.degree import (
    Witness,
    approximate_degree,
    best_error,
    csq_norm,
    dual_witness,
    threshold_degree,
)
from jaxsamp.supervised.exact_relu import SingleReLU, train_single_relu

__all__ = [
    "SingleReLU",
    "Witness",
    "approximate_degree",
    "best_error",
    "csq_norm",
    "dual_witness",
    "threshold_degree",
    "train_single_relu",
]
