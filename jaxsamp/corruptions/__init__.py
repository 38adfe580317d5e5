"""How data were measured or damaged: operators, their laws, and measured data. They do not use denoisers."""

from jaxsamp.corruptions.boxes import Box, FixedBox, KeepPatch
from jaxsamp.corruptions.laws import Blur, CompressedSensing, Corruption, Downsample, KSpace, Mask
from jaxsamp.corruptions.linear import AveragingOperator, BlurOperator, DenseOperator, FourierMaskOperator, MaskOperator

__all__ = [
    "AveragingOperator",
    "Blur",
    "BlurOperator",
    "Box",
    "CompressedSensing",
    "Corruption",
    "DenseOperator",
    "Downsample",
    "FixedBox",
    "FourierMaskOperator",
    "KSpace",
    "KeepPatch",
    "Mask",
    "MaskOperator",
]
