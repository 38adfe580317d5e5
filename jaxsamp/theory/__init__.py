"""Published schemes, implemented literally."""

from jaxsamp.theory.published import Scheme, dpom, dpum, gcc, gcc_parallel

__all__ = ["Scheme", "dpom", "dpum", "gcc", "gcc_parallel"]
