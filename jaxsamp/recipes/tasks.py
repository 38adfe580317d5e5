"""What is sampled: a law with an exact score, or a learned network with its labels and its linear part."""

import json
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import grids, schedules
from jaxsamp.calibration import calibrate
from jaxsamp.core import checks
from jaxsamp.core.types import Array, Data, Level, is_image
from jaxsamp.datasets.labels import number_of
from jaxsamp.denoisers import clip, guide
from jaxsamp.recipes.laws import law_of
from jaxsamp.recipes.parts import LearningData
from jaxsamp.samplers import Sampler

CONFIG, TABLE = "config.json", "label_table"
LARGEST = 1024  # number of samples on which a network is calibrated


class SamplingTask(NamedTuple):
    """What is sampled, and the data that it is compared with.

    Attributes:
        data: the data or law that the samples imitate.
        law: the exact law, or None if it is not known.
        denoiser: the denoiser of the law, or a network.
        event: shape of one sample of the denoiser; samples are reported in the shape `data.event`.
        cond: labels (n,) as the network numbers them, or None; in a `jaxsamp.corruptions.Corrupted` with the operators
            of a network that has learned from measurements.
        labels: the same labels as they are in the data, (n,), or None.
    """

    data: LearningData
    law: Any
    denoiser: Any
    event: tuple[int, ...]
    cond: Any = None
    labels: Any = None


class Guidance(NamedTuple):
    """Classifier-free guidance toward labels; see `jaxsamp.guide`.

    Attributes:
        scale: 1 is none.
        interval: the noise levels sigma / alpha between which it is on, or None.
        rescale: from 0 to 1, or None.
    """

    scale: float
    interval: tuple[float, ...] | None = None
    rescale: float | None = None


def exact_task(
    data: LearningData,
    schedule: str | Any = "vp",
    model: str = "mixture",
    components: int | None = None,
    seed: int = 0,
) -> SamplingTask:
    """The task of sampling by the exact score of a known law, or of the law that is made from the training data.

    Args:
        data: see `load`.
        schedule: how noise grows: a schedule, or its name.
        model, components, seed: see `law_of`; used only for data.

    Raises:
        ValueError: as `law_of`; or the schedule is unknown.
    """
    schedule = schedule_of(schedule)
    law = data.law
    if data.measured is not None:
        raise ValueError(
            f"data must be clean samples to become a law; {data.name} holds measurements, from which a network learns."
        )
    if law is None:
        law = law_of(data.train, model, components, seed)
    return SamplingTask(data, law, law.denoiser(schedule), law.event_shape)


def learned_task(
    key: Array,
    data: LearningData,
    denoiser: Any,
    n: int,
    label: int | str | None = None,
    guidance: float | Guidance | None = None,
    table: Data | None = None,
) -> SamplingTask:
    """The task of sampling by a learned network, with labels for `n` samples if it was trained with labels.

    Args:
        key: a typed key; draws the labels.
        data: the data that the network has learned; see `load` and `trained_on`.
        denoiser: see `learned_denoiser`.
        n: number of samples, and of labels.
        label: the one label to sample, a number or a name as in the data; by default labels as frequent as in the data.
        guidance: scale of classifier-free guidance toward the label, or a `Guidance`.
        table: the network's labels as they are in its data, (K,), in the order of its numbers; see `trained_labels`.
            By default those of `data`, or 0 ... K - 1 if it has none.

    Raises:
        ValueError: the network does not have that label, or has no labels to be guided by; there are too few data of
            that label; the data or the table have other labels; or the network takes samples of another shape.
    """
    chosen = guided(denoiser, guidance)
    data, cond, labels = labels_for(key, data, denoiser, n, label, table)
    check_event(denoiser, data.event, cond)
    return SamplingTask(data, data.law, chosen, data.event, cond, labels)


def guided(denoiser: Any, guidance: float | Guidance | None) -> Any:
    """A learned network with guidance, of that scale or these settings, toward its labels; as it is for None.

    Raises:
        ValueError: the network has no labels, the scale is not finite, or another setting is not one of `guide`.
    """
    if guidance is None:
        return denoiser
    scale, interval, rescale = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
    if not classes_of(denoiser):
        raise ValueError("guidance is for a network that was trained with labels; this one was not.")
    if not isfinite(scale):
        raise ValueError(f"guidance must be finite; got {scale}.")
    null = getattr(denoiser.apply.network, "null_label", classes_of(denoiser))
    if null is None:
        raise ValueError('guidance is for a network with a label that means "no label"; this one has none.')
    return guide(denoiser, scale, null, interval, rescale)


def thresholded(task: SamplingTask, percentile: float | None) -> SamplingTask:
    """The task, with dynamic thresholding of its images to [-1, 1]; as it is for None. See `jaxsamp.clip`.

    Raises:
        ValueError: the samples are no images, or the percentile is not above 0 and at most 100.
    """
    if percentile is None:
        return task
    if not is_image(task.event):
        raise ValueError(f"percentile must be left out for samples that are no images; their shape is {task.event}.")
    return task._replace(denoiser=clip(task.denoiser, percentile=percentile))


def classes_of(denoiser: Any) -> int:
    """The number of labels of a learned network; 0 if it was trained without."""
    return getattr(denoiser.apply.network, "classes", 0)


def labels_for(
    key: Array, data: LearningData, denoiser: Any, n: int, label: int | str | None, table: Data | None
) -> tuple[LearningData, Any, Any]:
    """Data of the labels that are sampled, and n labels as the network numbers them and as they are in the data.

    The labels are None if the network has none; the other arguments are those of `learned_task`.
    """
    classes = classes_of(denoiser)
    if not classes:
        if label is not None:
            raise ValueError("label is for a network that was trained with labels; this one was not.")
        return data, None, None
    if table is None:
        table = np.arange(classes) if data.table is None else data.table
    table = np.asarray(table)
    if len(table) != classes:
        raise ValueError(f"table must have the {classes} labels of the network; got {len(table)}.")
    data = data.numbered(table)
    if label is None:
        cond = draw_labels(key, data.labels, classes, n)
    else:
        number = number_of(label, table)
        data, cond = data.only(table.tolist()[number]), jnp.full(n, number)
    return data, cond, table[np.asarray(cond)]


def calibrated(
    key: Array,
    task: SamplingTask,
    samplers: Iterable[Sampler],
    sigma_max: float = grids.SIGMA_MAX,
    sigma_min: float = grids.SIGMA_MIN,
    microbatch: int | None = None,
    grid: bool = False,
) -> SamplingTask:
    """The task, with the network's linear part measured on held-out data if one of the samplers needs it.

    With `grid` the sizes of the errors of its steps too, for the grid "calibrated".
    """
    needed = grid or any(sampler.reads_calibration for sampler in samplers)
    held = (getattr(task.denoiser, name, None) for name in ("calibration", *["placement"] * grid))
    if not needed or all(of is not None for of in held):
        return task
    asks = 'grid must not be "calibrated"' if grid else "sampler must not need a calibration"
    if task.data.measured is not None:
        raise ValueError(f"{asks}, which is measured on clean data, where there are measurements.")
    data: Any = task.data.law if task.data.held_out is None else task.data.held_out
    if data is None:
        raise ValueError(f"{asks}, which is measured on data, where there are none.")
    if grid and isinstance(task.denoiser.schedule, schedules.DiscreteTime):
        raise ValueError(f"{asks} for a network of discrete times, which has no derivative in time.")
    cond = None
    if task.cond is not None:
        n = LARGEST if task.data.held_out is None else min(LARGEST, len(data))
        cond = task.cond[jnp.arange(n) % len(task.cond)]
        if task.data.held_out_labels is not None:
            cond = jnp.asarray(task.data.held_out_labels[:n], jnp.int32)
    options = {"cond": cond, "microbatch": microbatch, "sigma_max": sigma_max, "sigma_min": sigma_min}
    measured = calibrate(key, task.denoiser, data, samples=LARGEST, grid=grid, **options)
    return task._replace(denoiser=task.denoiser.with_calibration(measured))


def learned_denoiser(checkpoint: str | Path) -> Any:
    """The denoiser that a run of `jaxsamp.fit` or `jaxsamp train` has learned.

    Raises:
        ValueError: there is no such folder, or it does not hold such a run.
    """
    from jaxsamp.training import load_denoiser

    folder = run_folder(checkpoint)
    try:
        return load_denoiser(folder)
    except ValueError as error:
        raise ValueError(checks.renamed(error, "checkpoint")) from error


def trained_on(checkpoint: str | Path) -> tuple[str, int | tuple[int, int], str]:
    """The data of a run of `jaxsamp train`, and the size of its images and how they got it, as `load` takes them.

    Raises:
        ValueError: there is no such folder, or it has no settings; runs of `jaxsamp.fit` have none.
    """
    file = run_folder(checkpoint) / CONFIG
    try:
        stored = json.loads(file.read_text())
        size = stored["image_size"]
        size = tuple(size) if isinstance(size, list) else int(size)
        return str(stored["data"]), size, str(stored.get("image_fit", "crop"))  # older runs have cropped
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"data must be given, or checkpoint must be a run of `jaxsamp train`, whose {CONFIG} names them; "
            f"{file} could not be read ({type(error).__name__})."
        ) from error


def run_folder(checkpoint: str | Path) -> Path:
    """The folder of a run; raises ValueError if there is none."""
    folder = Path(checkpoint).expanduser()
    if not folder.is_dir():
        raise ValueError(f"checkpoint must be the folder of a run; there is no folder {folder}.")
    return folder


def trained_labels(checkpoint: str | Path) -> list[int] | list[str] | None:
    """The labels of a run of `jaxsamp train` as they are in its data, in the order of the network's numbers.

    None if it was trained without labels, or by an older version or `jaxsamp.fit`, which do not renumber.
    """
    try:
        return json.loads((Path(checkpoint).expanduser() / CONFIG).read_text()).get(TABLE)
    except (OSError, ValueError, AttributeError):  # `trained_on` says so
        return None


def draw_labels(key: Array, known: Any, classes: int, n: int) -> Array:
    """`n` labels as frequent as in `known`, or uniform over `classes` if `known` is None."""
    if known is None:
        return jax.random.randint(key, (n,), 0, classes)
    return jax.random.choice(key, jnp.asarray(known, jnp.int32), (n,))


def schedule_of(schedule: str | Any) -> Any:
    """The schedule of that name, or the schedule itself; raises ValueError for an unknown name."""
    if not isinstance(schedule, str):
        return schedule
    return schedules.BY_NAME[checks.one_of("schedule", schedule, schedules.BY_NAME)]


def check_event(denoiser: Any, event: tuple[int, ...], cond: Any = None) -> None:
    """Raise ValueError unless the network takes samples of that shape."""
    level = Level(jnp.ones(1), jnp.ones(1))
    try:
        jax.eval_shape(denoiser, jnp.zeros((1, *event)), level, jax.tree.map(lambda leaf: leaf[:1], cond))
    except Exception as error:  # only shapes are computed; Flax has its own errors for them
        raise ValueError(f"data must have samples of the shape that the network takes; got shape {event}.") from error
