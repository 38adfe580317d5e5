"""S-parameters at all frequencies of a band from a few of them, with standard errors and passive draws."""

from jaxsamp.sparameters.circuits import channel, ladder
from jaxsamp.sparameters.comparing import compare
from jaxsamp.sparameters.data import SParameters, as_sparameters, read, write
from jaxsamp.sparameters.interpolation import Interpolation, interpolate, spaced
from jaxsamp.sparameters.passive import posterior

__all__ = [
    "Interpolation",
    "SParameters",
    "as_sparameters",
    "channel",
    "compare",
    "interpolate",
    "ladder",
    "posterior",
    "read",
    "spaced",
    "write",
]
