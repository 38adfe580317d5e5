"""What networks are trained on: which noise levels, weighed how, and the denoising loss; pure functions of arrays.

Two numbers describe a training run: how often a level lambda is drawn, p(lambda), and how much the squared error of
the posterior mean counts there, w(lambda). Only the product p w shapes the loss; p alone shapes its noise.
"""

from jaxsamp.losses.denoising import at_level, denoising, drop
from jaxsamp.losses.levels import Importance, LogNormal, NoiseLevelDistribution, UniformLogSNR, UniformTime
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
    "at_level",
    "denoising",
    "drop",
]
