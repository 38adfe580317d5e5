"""How data were measured or damaged: operators, their laws, measured data, annotations. They do not use denoisers."""

from jaxsamp.corruptions.admission import Admission
from jaxsamp.corruptions.annotations import Annotations
from jaxsamp.corruptions.boxes import Box, FixedBox, KeepPatch
from jaxsamp.corruptions.condition import Corrupted
from jaxsamp.corruptions.images import (
    JPEG,
    ColorShift,
    GaussianBlur,
    GaussianNoise,
    ImageCorruption,
    MotionBlur,
    Pixelate,
)
from jaxsamp.corruptions.imaging import Blur, Downsample, KSpace
from jaxsamp.corruptions.laws import CompressedSensing, Corruption, Mask
from jaxsamp.corruptions.linear import AveragingOperator, BlurOperator, DenseOperator, FourierMaskOperator, MaskOperator
from jaxsamp.corruptions.measurements import Measurements, corrupt
from jaxsamp.corruptions.nonlinear import ClipOperator, MagnitudeOperator, SaturationOperator
from jaxsamp.corruptions.stored import StoredMeasurements

__all__ = [
    "Admission",
    "Annotations",
    "AveragingOperator",
    "Blur",
    "BlurOperator",
    "Box",
    "ClipOperator",
    "ColorShift",
    "CompressedSensing",
    "Corrupted",
    "Corruption",
    "DenseOperator",
    "Downsample",
    "FixedBox",
    "FourierMaskOperator",
    "GaussianBlur",
    "GaussianNoise",
    "ImageCorruption",
    "JPEG",
    "KSpace",
    "KeepPatch",
    "MagnitudeOperator",
    "Mask",
    "MaskOperator",
    "Measurements",
    "MotionBlur",
    "Pixelate",
    "SaturationOperator",
    "StoredMeasurements",
    "corrupt",
]
