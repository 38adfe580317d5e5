"""Critical windows: when samples decide, going back from noise."""

from jaxsamp.theory.windows.averages import Curve
from jaxsamp.theory.windows.closed_forms import (
    class_entropy,
    collapse_time,
    masked_strings,
    pair_total_variation,
    speciation_time,
    stay_probability,
    two_gaussians,
)
from jaxsamp.theory.windows.critical import critical_windows
from jaxsamp.theory.windows.crossings import Crossing
from jaxsamp.theory.windows.late import LateStart, late_start
from jaxsamp.theory.windows.learned import learned_entropy
from jaxsamp.theory.windows.returned import Returned, noise_and_denoise
from jaxsamp.theory.windows.transitions import Transitions, transitions
from jaxsamp.theory.windows.tree import Merge, merge_tree
from jaxsamp.theory.windows.window import Window

__all__ = [
    "Crossing",
    "Curve",
    "LateStart",
    "Merge",
    "Returned",
    "Transitions",
    "Window",
    "class_entropy",
    "collapse_time",
    "critical_windows",
    "late_start",
    "learned_entropy",
    "masked_strings",
    "merge_tree",
    "noise_and_denoise",
    "pair_total_variation",
    "speciation_time",
    "stay_probability",
    "transitions",
    "two_gaussians",
]
