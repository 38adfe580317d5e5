"""Pictures of numbers: a comparison of samplers, a training run, the error of a denoiser."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import ScalarFormatter

from jaxsamp.plots.style import DPI, INK, LINES, MARKS, NEW, SHADES, STYLE, TRUE, Figure, titled

LINEAR_RANGE = 20.0  # the largest ratio of two values on a linear axis; above it the axis is logarithmic


def comparison(rows: list[dict[str, Any]], *, flow: dict[str, Any] | None = None, title: str = "") -> Figure:
    """Distance to the exact flow, and to the law, against evaluations and against rounds, one line per sampler.

    Args:
        rows: as `jaxsamp compare` writes them: "sampler", "evaluations", "rounds", "distance_to_flow" (None: not
            drawn), "energy" and "energy_null", the band (low, high) of true samples, which is shaded.
        flow: the numerical flow itself: "steps", and "distance_to_half_as_many", its distance to the flow in half as
            many steps. Distances below that are not known; they are shaded under a dashed line.
        title: shown above all panels.
    """
    names = list(dict.fromkeys(row["sampler"] for row in rows))
    low, high = (float(np.mean([row["energy_null"][end] for row in rows])) for end in (0, 1))
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 7.0), dpi=DPI)
        grid = figure.subplots(2, 2, sharex="col", sharey="row")
        for k, name in enumerate(names):
            own = [row for row in rows if row["sampler"] == name]
            look = {"color": LINES[k % len(LINES)], "marker": MARKS[k // len(LINES) % len(MARKS)], "label": name}
            for across, cost in enumerate(("evaluations", "rounds")):
                for down, error in enumerate(("distance_to_flow", "energy")):
                    known = [(row[cost], row[error]) for row in own if row[error] is not None]
                    points = np.array(known, float).reshape(-1, 2)
                    grid[down, across].plot(*points.T, markersize=4, linewidth=1.2, **look)
        for axes in grid[1]:
            axes.axhspan(low, high, color=SHADES[1], zorder=0)
            # Unbiased estimates fall on both sides of zero: linear inside the band, logarithmic outside.
            axes.set_yscale("symlog", linthresh=max(abs(low), abs(high), 1e-12))
        grid[0, 0].set_yscale("log")
        if flow is not None and flow["distance_to_half_as_many"] > 0:
            _own_error(grid[0], flow["steps"], flow["distance_to_half_as_many"])
        for axes, cost in zip(grid[1], ("evaluations", "rounds"), strict=True):
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.set_xlabel(cost)
        grid[0, 0].set_ylabel("distance to the flow")
        grid[1, 0].set_ylabel("energy distance (shaded: true samples)")
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return titled(figure, title)


def losses(entries: list[dict[str, Any]], *, title: str = "") -> Figure:
    """The loss of a training run, and the norm of its gradient, against the number of updates.

    Args:
        entries: lines of the metrics file of `jaxsamp.fit`: "step", and "loss" and "grad_norm", which are means since
            the line before.
        title: shown above both panels.
    """
    steps = [entry["step"] for entry in entries]
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 5.0), dpi=DPI)
        panels = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        for axes, name, label in zip(panels, ("loss", "grad_norm"), ("loss", "norm of its gradient"), strict=True):
            values = np.array([entry[name] for entry in entries], float)
            axes.plot(steps, values, ".", color=TRUE, markersize=3, alpha=0.35)
            axes.plot(steps, _smooth(values), color=NEW if name == "loss" else TRUE, linewidth=1.3)
            axes.set_ylabel(label)
            if len(values) and values.max() > LINEAR_RANGE * values.min() > 0:
                axes.set_yscale("log")
        panels[1].set_xlabel("updates")
        return titled(figure, title)


def score_errors(rows: list[dict[str, float]], *, title: str = "") -> Figure:
    """The relative error of a denoiser against the noise level, with bars of two standard errors.

    Args:
        rows: as `jaxsamp score-error` writes them: "level" (sigma / alpha), "relative" (error / Bayes risk) and its
            "stderr".
        title: shown above the panel.
    """
    level, relative, stderr = (np.array([row[name] for row in rows]) for name in ("level", "relative", "stderr"))
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 4.5), dpi=DPI)
        axes = figure.subplots()
        # The lower end of a bar may lie below zero, which a logarithmic axis does not have.
        bars = np.minimum(2 * stderr, 0.9 * relative), 2 * stderr
        axes.errorbar(level, relative, bars, fmt="o-", color=TRUE, markersize=4, linewidth=1.2, capsize=2)
        axes.set(xscale="log", yscale="log", xlabel="noise level sigma / alpha", ylabel="error / Bayes risk")
        axes.grid(color=SHADES[1])
        return titled(figure, title)


def _own_error(panels: Any, steps: int, error: float) -> None:
    """The distance below which the reference itself is not known, on logarithmic axes that already have their lines."""
    label = f"error of the flow itself, {steps:,} against {steps // 2:,} steps"
    lowest = min(panels[0].get_ylim()[0], error / 2)
    panels[0].set_ylim(bottom=lowest)
    for axes in panels:
        axes.axhspan(lowest, error, color=SHADES[1], zorder=0)
        axes.axhline(error, color=INK, linewidth=0.9, linestyle="--", label=label)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Running means over a twentieth of the values, shorter toward both ends."""
    half = len(values) // 40
    places = np.arange(len(values))
    reach = np.minimum(half, np.minimum(places, places[::-1]))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)
