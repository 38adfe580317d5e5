"""Denoisers: E[x_0 | x_t] from any network, and wrappers of denoisers, which are denoisers too.

All of them are pytrees: weights, guidance scales, observations and clipping bounds are leaves, so new values never
recompile.
"""

from jaxsamp.denoisers.base import BaseDenoiser, Wrapper, per_event
from jaxsamp.denoisers.classifier import ClassifierGuided, classifier_guide
from jaxsamp.denoisers.clipping import Clipped, clip
from jaxsamp.denoisers.corrupted import guide_reconstruction, restore, with_operator
from jaxsamp.denoisers.dps import DPSDenoiser, dps
from jaxsamp.denoisers.guidance import Guided, guide
from jaxsamp.denoisers.inpainting import Inpainted, inpaint
from jaxsamp.denoisers.network import NetworkDenoiser, denoiser
from jaxsamp.denoisers.observed import Observed
from jaxsamp.denoisers.posterior import PosteriorDenoiser, posterior

__all__ = [
    "BaseDenoiser",
    "ClassifierGuided",
    "Clipped",
    "DPSDenoiser",
    "Guided",
    "Inpainted",
    "NetworkDenoiser",
    "Observed",
    "PosteriorDenoiser",
    "Wrapper",
    "classifier_guide",
    "clip",
    "denoiser",
    "dps",
    "guide",
    "guide_reconstruction",
    "inpaint",
    "per_event",
    "posterior",
    "restore",
    "with_operator",
]
