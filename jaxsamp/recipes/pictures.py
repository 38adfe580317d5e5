"""Samples next to true samples: as images, as points in the plane, or one coordinate at a time."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsamp.core.types import CLEAN, Array, Level, is_image
from jaxsamp.corruptions import Corrupted
from jaxsamp.corruptions.laws import FURTHER
from jaxsamp.recipes.measured import visible
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.tasks import draw_labels
from jaxsamp.running.sampling import sample

DRAWN, DRAWN_STEPS = {True: 100, False: 1000}, 16  # number of images (True) or of other samples (False); steps


def beside_truth(
    key: Array, x: np.ndarray, data: LearningData, level: Level = CLEAN, law: Any = None, title: str = ""
) -> Any:
    """Samples x, (n, *event), next to held-out data or, if there are none, next to true samples of the law.

    Where nobody has clean data, they are next to what was seen of held-out ones.

    Args:
        key: a typed key; draws the true samples.
        x: the samples.
        data: the data or law that they imitate.
        level: their noise level, which true samples and the density of the law get too.
        law: their law; by default that of the data, if it is known.
        title: the title of the picture.

    Returns:
        A Matplotlib figure, for `jaxsamp.plots.save`.
    """
    law = data.law if law is None else law
    true, labels = data.held_out, ("new", "real, held out")
    if true is None and law is None:
        true, labels = visible(data.held_out_measured), ("new", "measured, held out")
    elif true is None:
        for_law, for_noise = jax.random.split(key)
        true = law.sample(for_law, len(x))
        true = np.asarray(true + level.sigma * jax.random.normal(for_noise, true.shape))
        labels = ("samples", "true samples")
    elif data.train is data.held_out:
        labels = ("samples", "true samples")
    density = None if law is None or data.event != (2,) else jax.jit(partial(law.log_prob, level=level))
    return side_by_side({labels[0]: x, labels[1]: true}, title, density)


def side_by_side(sets: dict[str, Any], title: str = "", density: Any = None) -> Any:
    """Sets of samples by name: as grids of images; as points in the plane or single coordinates, the last two of them.

    Args:
        sets: samples (n, *event) by name; images may be NaN where nobody has seen them, and complex ones, (h, w, 2),
            are shown by their absolute values. The last set says what is black and what is white.
        title: the title of the picture.
        density: a log density in the plane, which is shaded.

    Returns:
        A Matplotlib figure, for `jaxsamp.plots.save`.
    """
    from jaxsamp import plots

    shown, labels = [_plain(x) for x in sets.values()], list(sets)
    if is_image(shown[-1].shape[1:]):
        limits = float(np.nanmin(shown[-1])), float(np.nanmax(shown[-1]))
        return plots.panels(shown, labels, title=title, limits=limits)
    samples, true = (np.nan_to_num(x) for x in shown[-2:])
    if true.shape[1:] == (2,):
        return plots.scatter(samples, true, log_prob=density, title=title, labels=(labels[-2], labels[-1]))
    return plots.marginals(samples, true, title=title, labels=(labels[-2], labels[-1]))


def _plain(x: Any) -> np.ndarray:
    """Samples, or the absolute values of complex images."""
    x = np.asarray(x)
    return np.hypot(x[..., 0], x[..., 1]) if x.ndim == 4 and x.shape[-1] == 2 else x


def alone(x: np.ndarray, data: LearningData, labels: Any = None) -> Any:
    """Samples x, (n, *event), in a plain grid with the grays of the data; with several labels, a row for each.

    Args:
        x: the samples.
        data: the data that they imitate.
        labels: (n,), of the samples; None if they have none.

    Returns:
        A Matplotlib figure, for `jaxsamp.plots.save`; None where the samples are not images.
    """
    from jaxsamp import plots

    if not is_image(data.event):
        return None
    if labels is not None and len(np.unique(labels)) == 1:
        labels = None
    limits = None if data.held_out is None else (float(np.min(data.held_out)), float(np.max(data.held_out)))
    return plots.grid(x, labels=labels, limits=limits)


def training_pictures(
    key: Array,
    data: LearningData,
    folder: str | Path,
    steps: int,
    labels: bool = False,
    mesh: Any = None,
    further: float = FURTHER,
) -> Callable[[int, Any], None]:
    """A callback for `jaxsamp.fit` that plots samples by the averaged weights, from the same noise each time.

    A network that learns from measurements makes each sample through an operator of its own, the same each time.

    Args:
        key: a typed key; draws the noise, the labels and the true samples next to them.
        data: the data or law that is learned.
        folder: the folder for step-1000.png, ...; created with the first of them.
        steps: number of steps of the whole run, for the title.
        labels: whether the network is given labels.
        mesh: the devices that `fit` trains on.
        further: rate of the further corruption of those operators.
    """
    for_noise, for_labels, for_truth, for_operators = jax.random.split(key, 4)
    n = DRAWN[is_image(data.event)]
    cond = draw_labels(for_labels, data.labels, 0, n) if labels else None
    if data.measured is not None:
        cond = Corrupted(data.measured.law.draw(for_operators, n, data.event, further), cond)

    def paint(step: int, state: Any) -> None:
        x = sample(for_noise, state.denoiser(), (n, *data.event), steps=DRAWN_STEPS, cond=cond, mesh=mesh).x
        from jaxsamp import plots

        title = f"{data.name}: after {step:,} of {steps:,} steps"
        Path(folder).mkdir(exist_ok=True)
        plots.save(beside_truth(for_truth, np.asarray(x), data, title=title), Path(folder) / f"step-{step}.png")

    return paint
