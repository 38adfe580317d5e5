"""Fitting models other than networks."""

from jaxsamp.learning.gaussian_mixture import fit_gaussian_mixture

__all__ = ["fit_gaussian_mixture"]
