"""The style of all pictures, and the figure that they are drawn on."""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.figure
from matplotlib.rcsetup import cycler

from jaxsamp.core import disk

DPI = 150  # dots per inch
AS_PNG: Any = {"dpi": DPI, "format": "png", "facecolor": "white"}
NEW, TRUE, INK, FAINT = "#d1495b", "#30638e", "#222222", "#8a8a8a"
MISSING = (0.55, 0.68, 0.80)  # of pixels that nobody has seen
SHADES = ("#f4f2ee", "#e9e5dd", "#dad4c8", "#c9c1b1")
LINES, MARKS = ("#d1495b", "#30638e", "#edae49", "#00798c", "#6a4c93", "#7a7a7a", "#3f7d20", "#b56576"), "osD^v"
# For figures of one's own: `plt.style.use(js.plots.STYLE)`.
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "axes.prop_cycle": cycler(color=LINES),
    "legend.frameon": False,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "figure.constrained_layout.use": True,
    "savefig.dpi": DPI,
}


class Figure(matplotlib.figure.Figure):
    """A Matplotlib figure that a notebook shows as the last line of a cell.

    `pyplot` does not know it. So it is shown where it is the value of a cell and nowhere else, and need not be closed.
    """

    def _repr_png_(self) -> bytes:
        """The picture, as `save` writes it; IPython asks for it."""
        written = BytesIO()
        self.savefig(written, **AS_PNG)
        return written.getvalue()


def save(figure: matplotlib.figure.Figure, path: str | Path) -> None:
    """Write a figure as PNG, 150 dots per inch.

    Raises:
        OSError: the disk is full, or the system refuses for another reason; the error names the file.
    """
    with disk.writing(path):
        figure.savefig(path, **AS_PNG)


def titled(figure: Figure, title: str) -> Figure:
    """The figure, with the title, if it is not empty, above all of its panels."""
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
