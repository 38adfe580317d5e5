"""Pictures of samples beside the truth, and of numbers.

Every function returns a Matplotlib figure that belongs to no window: `pyplot` is not imported, no backend is chosen. In
a notebook it is shown as the last line of a cell.
"""

from jaxsamp.core import extras

with extras.needed("jaxsamp.plots"):
    from jaxsamp.plots.bars import level_name, levels
    from jaxsamp.plots.curves import comparison, losses, score_errors
    from jaxsamp.plots.intervals import intervals
    from jaxsamp.plots.posteriors import coverage, rank_histogram
    from jaxsamp.plots.samples import images, is_image, marginals, panels, scatter
    from jaxsamp.plots.sheets import grid, sheet, strips
    from jaxsamp.plots.sparameters import sparameters
    from jaxsamp.plots.spins import selection, spin_chains, spin_fit
    from jaxsamp.plots.style import STYLE, Figure, save
    from jaxsamp.plots.tomography import copy_curves
    from jaxsamp.plots.tree import merge_tree
    from jaxsamp.plots.windows import timeline, window

__all__ = [
    "STYLE",
    "Figure",
    "comparison",
    "coverage",
    "copy_curves",
    "grid",
    "images",
    "intervals",
    "is_image",
    "level_name",
    "levels",
    "losses",
    "marginals",
    "merge_tree",
    "panels",
    "rank_histogram",
    "save",
    "scatter",
    "score_errors",
    "selection",
    "sheet",
    "sparameters",
    "spin_chains",
    "spin_fit",
    "strips",
    "timeline",
    "window",
]
