"""Linear operators that describe how data were measured or damaged. They do not use denoisers."""

from jaxsamp.corruptions.linear import DenseOperator, MaskOperator

__all__ = ["DenseOperator", "MaskOperator"]
