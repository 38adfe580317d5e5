"""How data were measured or damaged: linear operators, and annotations of damaged data. They do not use denoisers."""

from jaxsamp.corruptions.admission import Admission
from jaxsamp.corruptions.annotations import Annotations
from jaxsamp.corruptions.linear import DenseOperator, MaskOperator

__all__ = ["Admission", "Annotations", "DenseOperator", "MaskOperator"]
