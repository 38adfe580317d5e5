"""The denoising loss, the laws of noise levels and the weightings for training; pure functions of arrays.

Two functions describe a training loss: p(lambda), the density with which a level lambda is drawn, and w(lambda), the
weight of the squared error of the posterior mean. Only the product p w determines the mean of the loss; p alone
determines its noise.
"""

from jaxsamp.losses.consistency import consistency
from jaxsamp.losses.corrupted import ambient
from jaxsamp.losses.denoising import at_level, denoising, drop
from jaxsamp.losses.gsure import gsure
from jaxsamp.losses.levels import Importance, LogNormal, NoiseLevelDistribution, UniformLogSNR, UniformTime
from jaxsamp.losses.omni import ambient_omni
from jaxsamp.losses.weightings import EDMWeighting, MinSNRWeighting, SNRWeighting, UnitWeighting, Weighting

__all__ = [
    "EDMWeighting",
    "Importance",
    "NoiseLevelDistribution",
    "LogNormal",
    "MinSNRWeighting",
    "SNRWeighting",
    "UniformLogSNR",
    "UniformTime",
    "UnitWeighting",
    "Weighting",
    "ambient",
    "ambient_omni",
    "at_level",
    "consistency",
    "denoising",
    "drop",
    "gsure",
]
