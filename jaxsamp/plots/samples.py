"""Pictures of samples beside true ones: images, points in the plane, histograms of coordinates."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from jaxsamp.core.types import Data, is_image
from jaxsamp.plots.sheets import sheet
from jaxsamp.plots.style import DPI, MISSING, NEW, SHADES, STYLE, TRUE, Figure, titled

OUTSIDE = (0.01, 0.05, 0.2, 0.5)  # shares of the true points outside each shaded region
PIXELS = 200  # places along each axis at which the density is evaluated


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
        real: (m, height, width[, channels]); its smallest value is drawn black and its largest white, and what is NaN
            in a color of its own.
        title: shown above both grids.
        labels: shown above each grid.
        columns: number of images in each row of a grid.
        rows: largest number of rows of a grid.

    Raises:
        ValueError: the arrays are not images, or images of two shapes.
    """
    samples, real = np.asarray(samples, float), np.asarray(real, float)
    if not is_image(samples.shape[1:]) or samples.shape[1:] != real.shape[1:]:
        raise ValueError(
            "samples and real must be images of one shape, (n, height, width) or (n, height, width, 1 or 3); got "
            f"{samples.shape} and {real.shape}."
        )
    limits = np.nanmin(real), np.nanmax(real)
    return panels((samples, real), labels, title=title, limits=limits, columns=columns, rows=rows)


def panels(
    batches: Sequence[Any],
    labels: Sequence[str],
    *,
    title: str = "",
    limits: Data | None = None,
    columns: int = 10,
    rows: int = 10,
) -> Figure:
    """The first images of several sets, each in a grid, side by side; pixels that are NaN have a color of their own.

    Args:
        batches: of each set (n, height, width), or (n, height, width, channels) with 1 or 3 channels.
        labels: shown above each grid.
        title: shown above all grids.
        limits: (black, white), the values that are drawn so; by default the smallest and largest of all sets.
        columns: number of images in each row of a grid.
        rows: largest number of rows of a grid.

    Raises:
        ValueError: a set holds no images.
    """
    sets = [np.asarray(batch, float) for batch in batches]
    if limits is None:
        limits = min(np.nanmin(batch) for batch in sets), max(np.nanmax(batch) for batch in sets)
    rows = max(1, min(rows, -(-min(map(len, sets)) // columns)))  # so that no grid is half empty
    with rc_context(STYLE):
        height, width = sets[-1].shape[1] * rows, sets[-1].shape[2] * columns
        layout = ConstrainedLayoutEngine(wspace=0.05, w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(4.5 * len(sets), 0.8 + 4.3 * height / width), dpi=DPI, layout=layout)
        grid = figure.subplots(1, len(sets), squeeze=False).ravel()
        for axes, batch, label in zip(grid, sets, labels, strict=True):
            axes.imshow(sheet(batch, columns, rows, limits=limits, missing=MISSING))
            axes.set_title(label, pad=6)
            axes.set_axis_off()
        return titled(figure, title)


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
        title: shown above both panels.
        labels: shown above each panel.

    Raises:
        ValueError: the points are not in the plane.
    """
    samples, true = np.asarray(samples, float), np.asarray(true, float)
    if samples.shape[1:] != (2,) or true.shape[1:] != (2,):
        raise ValueError(f"samples and true must be points (n, 2); got {samples.shape} and {true.shape}.")
    low, high = np.quantile(true, [0.002, 0.998], axis=0)
    center, half = (low + high) / 2, 0.6 * max(*(high - low), 1e-6)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, 5.0), dpi=DPI)
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
        return titled(figure, title)


def marginals(
    samples: Any, true: Any, *, title: str = "", labels: tuple[str, str] = ("samples", "true samples"), panels: int = 8
) -> Figure:
    """Histograms of single coordinates of the samples over those of true samples.

    Args:
        samples: (n, *event), flattened to (n, d).
        true: (m, *event).
        title: shown above all panels.
        labels: names of the two histograms.
        panels: largest number of coordinates to show; they are evenly spaced among the d.
    """
    samples, true = (np.asarray(x, float).reshape(len(x), -1) for x in (samples, true))
    chosen = np.unique(np.linspace(0, true.shape[1] - 1, min(panels, true.shape[1])).round().astype(int))
    across = min(len(chosen), 4)
    down = -(-len(chosen) // across)
    filled, line = {"alpha": 0.35}, {"histtype": "step", "linewidth": 1.3}
    with rc_context(STYLE):
        figure = Figure(figsize=(max(2.4 * across, 4.5), 0.9 + 1.9 * down), dpi=DPI)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes, i in zip(grid, chosen, strict=False):
            bins = _edges(true[:, i])
            for x, color, look, label in ((true, TRUE, filled, labels[1]), (samples, NEW, line, labels[0])):
                axes.hist(x[:, i], bins, weights=np.full(len(x), 1 / len(x)), color=color, label=label, **look)
            axes.set_title(f"coordinate {i}", pad=4)
            axes.set_yticks([])
        for axes in grid[len(chosen) :]:
            axes.set_axis_off()
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return titled(figure, title)


def _edges(x: np.ndarray) -> np.ndarray:
    """Edges of bars over the range of x; a coordinate that is constant up to rounding is drawn as a constant is.

    Without that, bars would be narrower than the rounding of x.
    """
    low, high, count = x.min(), x.max(), int(np.clip(len(x) ** 0.5, 8, 40))
    rounding = 100 * np.spacing(max(abs(low), abs(high)))
    if high - low <= rounding:
        low, high = low - max(0.5, rounding), high + max(0.5, rounding)
        count |= 1  # an odd number, so that the value is not an edge
    return np.histogram_bin_edges(x, bins=count, range=(low, high))


def _regions(axes: Any, log_prob: Callable[[np.ndarray], Any], true: np.ndarray, center: Any, half: float) -> None:
    """Shade the regions above four densities, each the quantile of the true points' own densities."""
    x, y = (c + np.linspace(-half, half, PIXELS) for c in center)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    height = np.asarray(log_prob(points.astype(np.float32)), float).reshape(PIXELS, PIXELS)
    if height.max() == -np.inf:
        return  # the density is zero everywhere, and no region lies above another
    # Bounded below first, because a quantile between two densities that are zero would be NaN.
    own = np.maximum(np.asarray(log_prob(true.astype(np.float32)), float), height.max() - 1000)
    # Levels of contours must increase, even where the density is flat or zero; a flat density lies above all of them.
    levels = np.quantile(own, OUTSIDE) - 1e-6 * np.arange(len(OUTSIDE), 0, -1)
    axes.contourf(x, y, height, [*levels, max(height.max(), levels[-1]) + 1], colors=SHADES)
