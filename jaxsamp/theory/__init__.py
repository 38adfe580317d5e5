"""Published schemes, implemented literally, and critical windows."""

from jaxsamp.theory.published import Scheme, dpom, dpum, gcc, gcc_parallel
from jaxsamp.theory.windows import (
    LateStart,
    Merge,
    Returned,
    Transitions,
    Window,
    critical_windows,
    late_start,
    merge_tree,
    noise_and_denoise,
    transitions,
)

__all__ = [
    "LateStart",
    "Merge",
    "Returned",
    "Scheme",
    "Transitions",
    "Window",
    "critical_windows",
    "dpom",
    "dpum",
    "gcc",
    "gcc_parallel",
    "late_start",
    "merge_tree",
    "noise_and_denoise",
    "transitions",
]
