"""Fitting models other than networks, and finding the noise levels at which damaged samples may train."""

from jaxsamp.learning.annotate import annotate_fixed, annotate_percentile, annotate_scores
from jaxsamp.learning.annotate_gaussian import annotate_gaussian
from jaxsamp.learning.gaussian_mixture import fit_gaussian_mixture

__all__ = ["annotate_fixed", "annotate_gaussian", "annotate_percentile", "annotate_scores", "fit_gaussian_mixture"]
