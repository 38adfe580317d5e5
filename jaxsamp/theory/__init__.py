"""Published schemes, implemented literally, and critical windows."""

from jaxsamp.theory.published import Scheme, dpom, dpum, gcc, gcc_parallel
from jaxsamp.theory.windows import Merge, Window, critical_windows, merge_tree

__all__ = ["Merge", "Scheme", "Window", "critical_windows", "dpom", "dpum", "gcc", "gcc_parallel", "merge_tree"]
