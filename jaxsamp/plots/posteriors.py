"""Pictures of whether posteriors are calibrated: histograms of ranks, and curves of expected coverage."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from jaxsamp.plots.style import DPI, INK, LINES, SHADES, STYLE, TRUE, Figure, titled

COLUMNS = 4  # panels side by side
MOST = 16  # quantities that are shown


def rank_histogram(found: Any, names: Sequence[str] | None = None, *, title: str = "") -> Figure:
    """The ranks of true parameters among their posterior draws, one panel per quantity, the first 16.

    Steps are counts over the expected count. The shaded band is that of `found.band`: all steps of a panel lie in it
    for 99 % of exact posteriors or more.

    Args:
        found: as `jaxsamp.metrics.sbc_ranks` returns it.
        names: of the quantities, shown above their panels with the p-value of each.
        title: shown above all panels.

    Raises:
        ValueError: there are not as many names as quantities.
    """
    count = len(found.counts)
    if names is not None and len(names) != count:
        raise ValueError(f"names must be of all {count} quantities; got {len(names)}.")
    shown = min(count, MOST)
    columns = min(shown, COLUMNS)
    rows = -(-shown // columns)
    edges = np.concatenate([[0], np.cumsum(found.expected) / np.sum(found.expected)]) * (found.draws + 1) - 0.5
    with rc_context(STYLE):
        figure = Figure(figsize=(max(2.4 * columns, 4.0), 2.2 * rows + 0.4), dpi=DPI)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for q, axes in enumerate(panels.ravel()):
            if q >= shown:
                axes.set_visible(False)
                continue
            low, high = found.band / found.expected
            axes.stairs(high, edges, baseline=low, fill=True, color=SHADES[2], zorder=0)
            axes.stairs(found.counts[q] / found.expected, edges, baseline=None, color=TRUE, linewidth=1.4)
            axes.axhline(1, color=INK, linewidth=0.8, linestyle="--")
            name = f"quantity {q}" if names is None else names[q]
            axes.set_title(f"{name}: p = {found.metrics[q].p_value:.2g}")
            axes.spines[["top", "right"]].set_visible(False)
        panels[0, 0].set_ylim(bottom=0)  # of all panels, once they have their lines
        figure.supxlabel(f"rank among {found.draws:,} draws", fontsize=9)
        figure.supylabel("ranks / expected", fontsize=9)
        return titled(figure, title)


def coverage(found: Any, *, title: str = "") -> Figure:
    """The expected coverage of posteriors against their credibility level, one curve per posterior.

    Exact posteriors lie on the diagonal; the whole curve stays in the shaded band for 995 exact posteriors in 1,000.
    About references on all sides, too narrow posteriors are above it at low levels and below it at high ones, and those
    too wide the other way. About references near the observation, too wide ones are above it everywhere.

    Args:
        found: as `jaxsamp.metrics.tarp` returns it, or several of them by name.
        title: shown above the panel.
    """
    curves = found if isinstance(found, Mapping) else {"": found}
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.5 + 0.2 * len(curves)), dpi=DPI)
        axes = figure.subplots()
        half = max(one.metric.null_high for one in curves.values())
        ends = np.array([0.0, 1.0])
        axes.fill_between(ends, ends - half, ends + half, color=SHADES[2], linewidth=0, zorder=0)
        axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle="--")
        for k, (name, one) in enumerate(curves.items()):
            p_value = f"p = {one.metric.p_value:.2g}"
            label = f"{name}: {p_value}" if name else p_value
            axes.plot(one.level, one.coverage, color=LINES[k % len(LINES)], linewidth=1.4, label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="credibility level", ylabel="expected coverage")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
        return titled(figure, title)
