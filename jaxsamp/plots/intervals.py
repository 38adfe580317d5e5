"""Pictures of estimates with their confidence intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from jaxsamp.plots.style import DPI, NEW, SHADES, STYLE, TRUE, Figure, titled


def intervals(panels: Mapping[str, Sequence[Mapping[str, Any]]], *, title: str = "") -> Figure:
    """Estimates in the order of their rows, with bars from the lower to the upper end, one panel above the other.

    Args:
        panels: rows by name of the panel; a row has "label", "value", "low", "high" and "exact", of which "value" and
            "exact" may be None.
        title: shown above all panels.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 0.6 + 2.6 * len(panels)), dpi=DPI)
        for axes, (name, rows) in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True):
            places = np.arange(len(rows))
            low, high, value, exact = (
                np.array([row[key] for row in rows], float) for key in ("low", "high", "value", "exact")
            )
            axes.vlines(places, low, high, color=TRUE, linewidth=1.4, label="interval")
            axes.plot(places, value, "o", color=TRUE, markersize=3.5, label="estimate")
            if np.isfinite(exact).any():
                axes.plot(places, exact, "_", color=NEW, markersize=9, markeredgewidth=1.6, label="true")
            axes.set_xticks(places, [row["label"] for row in rows], rotation=90, family="monospace", fontsize=6)
            axes.set_xlim(-0.8, len(rows) - 0.2)
            axes.set_ylabel(name)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color=SHADES[1])
            axes.set_axisbelow(True)
        marks: dict[str, Any] = {}  # of all panels, because the truth may be known in some of them only
        for axes in figure.axes:
            handles, labels = axes.get_legend_handles_labels()
            marks |= dict(zip(labels, handles, strict=True))
        figure.legend(list(marks.values()), list(marks), loc="outside lower center", ncols=3, fontsize=8)
        return titled(figure, title)
