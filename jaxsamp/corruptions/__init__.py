"""What was done to data before they were seen: linear operators. They know no denoiser."""

from jaxsamp.corruptions.linear import DenseOperator, MaskOperator

__all__ = ["DenseOperator", "MaskOperator"]
