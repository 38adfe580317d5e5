"""Bars: how many samples train above which noise level."""

from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context

from jaxsamp.plots.style import DPI, FAINT, NEW, STYLE, TRUE, Figure, titled


def level_name(row: dict[str, Any]) -> str:
    """A row of levels in words: "0, clean", "1.5", "1.2 to 1.5" or "never"."""
    low, high = row["low"], row["high"]
    if low is None:
        return "never"
    if high == 0:
        return "0, clean"
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def levels(rows: list[dict[str, Any]], below: Sequence[dict[str, Any]] = (), *, title: str = "") -> Figure:
    """Horizontal bars, one for each row of levels.

    Args:
        rows: as `jaxsamp annotate` writes them: "low" and "high", which are 0 for clean samples and None for never,
            and "count".
        below: the same of the levels up to which samples train as clean.
        title: shown above the panel.
    """
    names = [level_name(row) for row in rows] + [f"up to {level_name(row)}" for row in below]
    colors = [FAINT if row["low"] is None else TRUE if row["high"] == 0 else NEW for row in rows] + [TRUE] * len(below)
    rows = [*rows, *below]
    counts = [row["count"] for row in rows]
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 1.1 + 0.32 * len(rows)), dpi=DPI)
        axes = figure.subplots()
        bars = axes.barh(range(len(rows)), counts, color=colors, height=0.75)
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=4)
        axes.set_yticks(range(len(rows)), names)
        axes.margins(x=0.12)
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("number of samples by the noise level sigma / alpha above or up to which they train")
        return titled(figure, title)
