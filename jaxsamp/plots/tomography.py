"""A picture of copies against error."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from jaxsamp.plots.style import DPI, FAINT, LINES, MARKS, STYLE, Figure, titled


def copy_curves(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Errors of estimates of a state against the number of copies that are measured at once.

    Args:
        rows: those of `jaxsamp.recipes.copies_against_error`. On the left the normalized squared errors with two
            standard errors, and lines through exact values; on the right the distance of the mean from the state, with
            a dashed line for what it would be without bias.
        title: shown above both panels.
    """
    names = [*dict.fromkeys(row["estimator"] for row in rows)]
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.8), dpi=DPI)
        left, right = figure.subplots(1, 2)
        for i, name in enumerate(names):
            mine = sorted((row for row in rows if row["estimator"] == name), key=lambda row: row["t"])
            t, color, mark = [row["t"] for row in mine], LINES[i % len(LINES)], MARKS[i % len(MARKS)]
            error, bars = (np.array([row[key] for row in mine]) for key in ("squared_error", "squared_error_se"))
            # The lower end of a bar may lie below zero, which a logarithmic axis does not have.
            reach = np.minimum(2 * bars, 0.9 * error), 2 * bars
            left.errorbar(t, error, reach, fmt=mark, color=color, markersize=4, capsize=2, label=name)
            known = [(row["t"], row["exact"]) for row in mine if row["exact"] is not None]
            left.plot(*np.transpose(known or [(np.nan, np.nan)]), color=color, linewidth=1)
            right.plot(t, [row["distance"] for row in mine], mark + "-", color=color, markersize=4)
            right.plot(t, [row["noise"] for row in mine], "--", color=color, linewidth=0.8)
        all_t = np.array(sorted({row["t"] for row in rows}), float)
        if len(all_t) > 1:
            first = next(row["squared_error"] for row in rows if row["t"] == all_t[0])
            left.plot(all_t, first * (all_t / all_t[0]) ** -0.5, ":", color=FAINT, label="slope -1/2")
        left.set_ylabel(r"$t \, E \|\hat\rho - \rho\|^2$, estimate from t copies")
        right.set_ylabel(r"$\|\hat\rho - \rho\|$, mean of all estimates")
        right.plot([], [], "--", color=FAINT, label="noise alone")
        for axes in (left, right):
            axes.set(xscale="log", yscale="log", xlabel="t, copies per measurement")
            axes.set_xticks(all_t, [f"{int(t)}" for t in all_t])
            axes.minorticks_off()
            axes.legend(fontsize=7, frameon=True, framealpha=0.8, edgecolor="none")
        return titled(figure, title)
