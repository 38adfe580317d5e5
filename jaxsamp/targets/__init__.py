"""Laws with exact denoisers, scores and densities at every noise level."""

from jaxsamp.targets.gaussian_mixture import GaussianMixture

__all__ = ["GaussianMixture"]
