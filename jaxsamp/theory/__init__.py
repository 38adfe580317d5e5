"""Published schemes, implemented literally, and critical windows."""

from jaxsamp.theory.published import Scheme, dpom, dpum, gcc, gcc_parallel
from jaxsamp.theory.windows import Merge, Returned, Window, critical_windows, merge_tree, noise_and_denoise

__all__ = [
    "Merge",
    "Returned",
    "Scheme",
    "Window",
    "critical_windows",
    "dpom",
    "dpum",
    "gcc",
    "gcc_parallel",
    "merge_tree",
    "noise_and_denoise",
]
