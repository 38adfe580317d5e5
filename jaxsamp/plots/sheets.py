"""Many images on one sheet, with nothing beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from jaxsamp.core import checks
from jaxsamp.core.types import Data, is_image
from jaxsamp.plots.style import DPI, STYLE, Figure, titled

SIDE = 900  # dots: images are enlarged by a whole factor as long as the longer side of their sheet stays below it
MARGIN, LETTER = 0.06, 0.08  # inches: around the sheet, and the width of a letter


def grid(
    samples: Any,
    *,
    labels: Data | None = None,
    limits: Data | None = None,
    columns: int = 10,
    rows: int = 10,
) -> Figure:
    """The first samples in a grid and nothing else; with labels one row per class, its label at the left.

    Args:
        samples: (n, height, width), or (n, height, width, channels) with 1 or 3 channels.
        labels: (n,); each row has the first samples of one label.
        limits: (black, white), the values that are drawn so; by default the smallest and the largest that are shown.
        columns: largest number of images in each row.
        rows: largest number of rows; of more labels than that, the first in increasing order are shown.

    Raises:
        ValueError: the samples are not images, or there are none; there is not one label for each; a number is below 1.
    """
    checks.at_least("columns", columns, 1)
    checks.at_least("rows", rows, 1)
    samples, names = np.asarray(samples), []
    if labels is None:
        samples = samples[: rows * columns]
    else:
        samples, names = _in_classes(samples, np.asarray(labels), columns, rows)
        columns = len(samples) // max(1, len(names))
    shown = sheet(samples, max(1, min(columns, len(samples))), limits=limits)
    factor = max(1, SIDE // max(shown.shape[:2]))
    height, width = (factor * side / DPI for side in shown.shape[:2])
    left = MARGIN + LETTER * max([len(str(name)) + 1 for name in names], default=0)
    whole = left + width + MARGIN, height + 2 * MARGIN
    with rc_context(STYLE | {"figure.constrained_layout.use": False}):
        figure = Figure(figsize=whole, dpi=DPI)
        # A sheet of exactly as many dots as the images have, times the factor, so that all pixels are equally large.
        axes = figure.add_axes((left / whole[0], MARGIN / whole[1], width / whole[0], height / whole[1]))
        axes.imshow(shown, aspect="auto")
        middles = (np.arange(len(names)) + 0.5) * (len(shown) / max(1, len(names))) - 0.5
        axes.set_yticks(middles, [str(name) for name in names])
        axes.set_xticks([])
        axes.tick_params(length=0, pad=3)
        axes.spines[:].set_visible(False)
    return figure


def strips(
    start: Any, returned: Any, names: Sequence[str], *, limits: Data | None = None, rows: int = 10, title: str = ""
) -> Figure:
    """A row for each sample: itself, and what came back from each time; those of a time are a column.

    Args:
        start: images (n, height, width[, channels]), with 1 or 3 channels.
        returned: (times, m, height, width[, channels]), of the first m of them.
        names: of the times.
        limits: (black, white), the values that are drawn so; by default the smallest and the largest of `start`.
        rows: largest number of samples.
        title: shown above.

    Raises:
        ValueError: these are not images of one shape, or there is not one name for each time.
    """
    first, after = np.asarray(start, float), np.asarray(returned, float)
    if not is_image(first.shape[1:]) or after.shape[2:] != first.shape[1:] or not 0 < after.shape[1] <= len(first):
        raise ValueError(
            "returned must be (times, m, height, width[, 1 or 3]), m of the samples of start, (n, height, width[, 1 or "
            f"3]); got {after.shape} and {first.shape}."
        )
    if len(names) != len(after):
        raise ValueError(f"names must be one for each of the {len(after)} times; got {len(names)}.")
    if limits is None:
        limits = np.nanmin(first), np.nanmax(first)
    rows, columns = min(rows, after.shape[1]), 1 + len(after)
    images = np.concatenate([first[None, :rows], after[:, :rows]]).swapaxes(0, 1).reshape(-1, *first.shape[1:])
    whole = sheet(images, columns, rows, limits=limits)
    with rc_context(STYLE):
        width = 0.62 * columns
        figure = Figure(figsize=(width, 0.55 + width * len(whole) / whole.shape[1]), dpi=DPI)
        axes = figure.subplots()
        axes.imshow(whole, aspect="auto")
        middles = (np.arange(columns) + 0.5) * (whole.shape[1] / columns) - 0.5
        axes.set_xticks(middles, ["start", *names], fontsize=8)
        axes.set_yticks([])
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.spines[:].set_visible(False)
        return titled(figure, title)


def sheet(
    images: Any,
    columns: int = 10,
    rows: int | None = None,
    *,
    limits: Data | None = None,
    missing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """The first images as one, in reading order, with white gaps; for `imshow`.

    Args:
        images: (n, height, width), or (n, height, width, channels) with 1 or 3 channels.
        columns: number of images in each row.
        rows: number of rows, which may stay partly white; by default as many as the images need.
        limits: (black, white), the values that become so; by default the smallest and the largest that are shown.
        missing: the color of pixels that are NaN, red, green and blue from 0 to 1.

    Returns:
        (height, width, 3), from 0, black, to 1, white.

    Raises:
        ValueError: these are not images, there are none, or a number is below 1.
    """
    given = np.asarray(images)
    if not len(given) or not is_image(given.shape[1:]):
        raise ValueError(
            f"images must be (n, height, width), or (n, height, width, 1 or 3), with n > 0; got {given.shape}."
        )
    checks.at_least("columns", columns, 1)
    checks.at_least("rows", 1 if rows is None else rows, 1)
    rows = -(-len(given) // columns) if rows is None else rows
    batch = np.asarray(given[: columns * rows], float)
    low, high = np.asarray((np.nanmin(batch), np.nanmax(batch)) if limits is None else limits, float)
    batch = ((batch - low) / (high - low or 1.0)).clip(0, 1)
    batch = np.broadcast_to(batch.reshape(*batch.shape[:3], -1), (*batch.shape[:3], 3))
    batch = np.where(np.isnan(batch), missing, batch)
    gap = max(1, batch.shape[1] // 12)
    framed = np.pad(batch, ((0, columns * rows - len(batch)), *[(0, gap)] * 2, (0, 0)), constant_values=1.0)
    height, width = framed.shape[1:3]
    whole = framed.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return whole.reshape(rows * height, columns * width, 3)[:-gap, :-gap]


def _in_classes(samples: np.ndarray, labels: np.ndarray, columns: int, rows: int) -> tuple[np.ndarray, list[Any]]:
    """The first samples of each label, rows of equal length with NaN for missing ones; and the labels."""
    if labels.shape != samples.shape[:1]:
        raise ValueError(f"labels must be one for each of the {len(samples)} samples; got shape {labels.shape}.")
    names = np.unique(labels)[:rows].tolist()
    some = [samples[labels == name][:columns].astype(float) for name in names]
    length = max(map(len, some), default=0)
    full = [np.concatenate([x, np.full((length - len(x), *x.shape[1:]), np.nan)]) for x in some]
    return np.concatenate(full or [samples]), names
