"""Fitting models other than denoisers, and finding the noise levels at which damaged samples may train."""

from jaxsamp.learning.annotate import annotate_fixed, annotate_percentile, annotate_scores
from jaxsamp.learning.annotate_classifier import annotate_classifier
from jaxsamp.learning.annotate_gaussian import annotate_gaussian
from jaxsamp.learning.classifier import DamageClassifier, fit_classifier
from jaxsamp.learning.context import Context, measure_context
from jaxsamp.learning.gaussian_mixture import fit_gaussian_mixture
from jaxsamp.learning.receptive_field import measure_receptive_field

__all__ = [
    "Context",
    "DamageClassifier",
    "annotate_classifier",
    "annotate_fixed",
    "annotate_gaussian",
    "annotate_percentile",
    "annotate_scores",
    "fit_classifier",
    "fit_gaussian_mixture",
    "measure_context",
    "measure_receptive_field",
]
