"""Pictures of samples beside the truth.

Every function returns a Matplotlib figure that no window knows of: nothing here imports `pyplot` or chooses a backend.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from jaxsamp.core.types import is_image

DPI = 150
NEW, TRUE, INK, FAINT = "#d1495b", "#30638e", "#222222", "#8a8a8a"
OUTSIDE, SHADES, PIXELS = (0.01, 0.05, 0.2, 0.5), ("#f4f2ee", "#e9e5dd", "#dad4c8", "#c9c1b1"), 200
WIDE = 20.0  # values that differ by more are drawn on a logarithmic axis
LINES, MARKS = ("#d1495b", "#30638e", "#edae49", "#00798c", "#6a4c93", "#7a7a7a", "#3f7d20", "#b56576"), "osD^v"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}


def images(
    samples: Any,
    real: Any,
    *,
    title: str = "",
    labels: tuple[str, str] = ("samples", "real"),
    columns: int = 10,
    rows: int = 10,
) -> Figure:
    """The first images of `samples` in a grid beside the first of `real`.

    Args:
        samples: (n, height, width), or (n, height, width, channels) with 1 or 3 channels.
        real: (m, height, width[, channels]); its range of values becomes black to white.
        title: above both grids.
        labels: above each grid.
        columns: images in a row of a grid.
        rows: at most so many rows.

    Raises:
        ValueError: arrays that are no images, or of two shapes.
    """
    samples, real = np.asarray(samples, float), np.asarray(real, float)
    if not is_image(samples.shape[1:]) or samples.shape[1:] != real.shape[1:]:
        raise ValueError(
            "samples and real must be images of one shape, (n, height, width) or (n, height, width, 1 or 3); got "
            f"{samples.shape} and {real.shape}."
        )
    low, high = real.min(), real.max()
    rows = max(1, min(rows, -(-min(len(samples), len(real)) // columns)))  # neither grid half empty
    with rc_context(STYLE):
        height, width = real.shape[1] * rows, real.shape[2] * columns
        layout = ConstrainedLayoutEngine(wspace=0.05, w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(9.0, 0.8 + 4.3 * height / width), dpi=DPI, layout=layout)
        for axes, batch, label in zip(figure.subplots(1, 2), (samples, real), labels, strict=True):
            shown = _sheet((batch - low) / (high - low or 1.0), columns, rows)
            axes.imshow(shown.clip(0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(label, pad=6)
            axes.set_axis_off()
        return _titled(figure, title)


def scatter(
    samples: Any,
    true: Any,
    *,
    log_prob: Callable[[np.ndarray], Any] | None = None,
    title: str = "",
    labels: tuple[str, str] = ("samples", "true samples"),
) -> Figure:
    """Points in the plane beside true ones, over regions that hold 50, 80, 95 and 99 % of the true ones.

    Args:
        samples: (n, 2).
        true: (m, 2); its central part sets the limits of both panels.
        log_prob: (k, 2) -> (k,), the true log density; without it no regions are drawn.
        title: above both panels.
        labels: above each panel.

    Raises:
        ValueError: points that are not in the plane.
    """
    samples, true = np.asarray(samples, float), np.asarray(true, float)
    if samples.shape[1:] != (2,) or true.shape[1:] != (2,):
        raise ValueError(f"samples and true must be points (n, 2); got {samples.shape} and {true.shape}.")
    low, high = np.quantile(true, [0.002, 0.998], axis=0)
    center, half = (low + high) / 2, 0.6 * max(*(high - low), 1e-6)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 5.0), dpi=DPI, layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, points, label, color in zip(panels, (samples, true), labels, (NEW, TRUE), strict=True):
            if log_prob is not None:
                _regions(axes, log_prob, true, center, half)
            size = float(np.clip(6000 / max(len(points), 1), 1.5, 20))
            axes.scatter(*points.T, s=size, c=color, alpha=0.6, linewidths=0)
            axes.set(xlim=center[0] + [-half, half], ylim=center[1] + [-half, half], aspect="equal")
            axes.set_title(label, pad=6)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        return _titled(figure, title)


def marginals(
    samples: Any, true: Any, *, title: str = "", labels: tuple[str, str] = ("samples", "true samples"), panels: int = 8
) -> Figure:
    """Histograms of single coordinates of the samples over those of true samples.

    Args:
        samples: (n, *event), flattened to (n, d).
        true: (m, *event).
        title: above all panels.
        labels: of the two histograms.
        panels: at most so many coordinates, evenly spaced among the d.
    """
    samples, true = (np.asarray(x, float).reshape(len(x), -1) for x in (samples, true))
    chosen = np.unique(np.linspace(0, true.shape[1] - 1, min(panels, true.shape[1])).round().astype(int))
    across = min(len(chosen), 4)
    down = -(-len(chosen) // across)
    filled, line = {"alpha": 0.35}, {"histtype": "step", "linewidth": 1.3}
    with rc_context(STYLE):
        figure = Figure(figsize=(max(2.4 * across, 4.5), 0.9 + 1.9 * down), dpi=DPI, layout="constrained")
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes, i in zip(grid, chosen, strict=False):
            bins = np.histogram_bin_edges(true[:, i], bins=int(np.clip(len(true) ** 0.5, 8, 40)))
            for x, color, look, label in ((true, TRUE, filled, labels[1]), (samples, NEW, line, labels[0])):
                axes.hist(x[:, i], bins, weights=np.full(len(x), 1 / len(x)), color=color, label=label, **look)
            axes.set_title(f"coordinate {i}", pad=4)
            axes.set_yticks([])
        for axes in grid[len(chosen) :]:
            axes.set_axis_off()
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        return _titled(figure, title)


def comparison(rows: list[dict[str, Any]], *, title: str = "") -> Figure:
    """Distance to the exact flow, and to the law, against evaluations and against rounds, one line a sampler.

    Args:
        rows: of `jaxsamp compare`: "sampler", "evaluations", "rounds", "distance_to_flow" (None: not drawn), "energy"
            and "energy_null", the band of true samples, which is shaded.
        title: above all panels.
    """
    names = list(dict.fromkeys(row["sampler"] for row in rows))
    low, high = (float(np.mean([row["energy_null"][end] for row in rows])) for end in (0, 1))
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 7.0), dpi=DPI, layout="constrained")
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
        for axes, cost in zip(grid[1], ("evaluations", "rounds"), strict=True):
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.set_xlabel(cost)
        grid[0, 0].set_ylabel("distance to the flow")
        grid[1, 0].set_ylabel("energy distance (shaded: true samples)")
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        return _titled(figure, title)


def losses(entries: list[dict[str, Any]], *, title: str = "") -> Figure:
    """The loss of a training run, and the norm of its gradient, against the number of updates.

    Args:
        entries: lines of the journal of `jaxsamp.fit`: "step", "loss" and "grad_norm", means since the line before.
        title: above both panels.
    """
    steps = [entry["step"] for entry in entries]
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 5.0), dpi=DPI, layout="constrained")
        panels = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        for axes, name, label in zip(panels, ("loss", "grad_norm"), ("loss", "norm of its gradient"), strict=True):
            values = np.array([entry[name] for entry in entries], float)
            axes.plot(steps, values, ".", color=TRUE, markersize=3, alpha=0.35)
            axes.plot(steps, _smooth(values), color=NEW if name == "loss" else TRUE, linewidth=1.3)
            axes.set_ylabel(label)
            if len(values) and values.max() > WIDE * values.min() > 0:
                axes.set_yscale("log")
        panels[1].set_xlabel("updates")
        return _titled(figure, title)


def score_errors(rows: list[dict[str, float]], *, title: str = "") -> Figure:
    """The relative error of a denoiser against the noise level, with two standard errors.

    Args:
        rows: of `jaxsamp score-error`: "level" (sigma / alpha), "relative" and "stderr".
        title: above the panel.
    """
    level, relative, stderr = (np.array([row[name] for row in rows]) for name in ("level", "relative", "stderr"))
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 4.5), dpi=DPI, layout="constrained")
        axes = figure.subplots()
        # The lower end of a bar may lie below zero, which a logarithmic axis does not have.
        bars = np.minimum(2 * stderr, 0.9 * relative), 2 * stderr
        axes.errorbar(level, relative, bars, fmt="o-", color=TRUE, markersize=4, linewidth=1.2, capsize=2)
        axes.set(xscale="log", yscale="log", xlabel="noise level sigma / alpha", ylabel="error / Bayes risk")
        axes.grid(color=SHADES[1])
        return _titled(figure, title)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, 150 dots an inch."""
    figure.savefig(path, dpi=DPI, format="png", facecolor="white")


def _sheet(batch: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """The first columns * rows images in one, with white gaps; missing ones are white."""
    batch = batch.reshape(*batch.shape[:3], -1)[: columns * rows]
    gap = max(1, batch.shape[1] // 12)
    framed = np.pad(batch, ((0, columns * rows - len(batch)), *[(0, gap)] * 2, (0, 0)), constant_values=1.0)
    height, width, channels = framed.shape[1:]
    sheet = framed.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, channels)[:-gap, :-gap].squeeze()


def _smooth(values: np.ndarray) -> np.ndarray:
    """Running means over a twentieth of the values, shorter toward both ends."""
    half = len(values) // 40
    places = np.arange(len(values))
    reach = np.minimum(half, np.minimum(places, places[::-1]))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)


def _regions(axes: Any, log_prob: Callable[[np.ndarray], Any], true: np.ndarray, center: Any, half: float) -> None:
    """Shade the regions above four densities, each the quantile of the true points' own densities."""
    x, y = (c + np.linspace(-half, half, PIXELS) for c in center)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    height = np.asarray(log_prob(points.astype(np.float32)), float).reshape(PIXELS, PIXELS)
    levels = np.quantile(np.asarray(log_prob(true.astype(np.float32)), float), OUTSIDE)
    # Contours must increase, also where the density is flat or zero; a flat one lies above all of them.
    levels = np.maximum(levels, height.max() - 1000) - 1e-6 * np.arange(len(levels), 0, -1)
    axes.contourf(x, y, height, [*levels, max(height.max(), levels[-1]) + 1], colors=SHADES)


def _titled(figure: Figure, title: str) -> Figure:
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
