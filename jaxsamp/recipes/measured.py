"""Measured data: made from clean data, kept in a folder, and compared with samples that are measured again."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import metrics
from jaxsamp.core import checks, disk
from jaxsamp.core.types import Array
from jaxsamp.corruptions import Corruption, Measurements, StoredMeasurements, corrupt
from jaxsamp.corruptions.files import LAWS, is_measured
from jaxsamp.metrics.null import NULL_SETS
from jaxsamp.recipes.parts import LEAST_COMPARED, LearningData, checked, labelled, parted

HELD_OUT, LABELS = "held-out", "labels.npy"
LEAST, DRAWN = 10, 10_000  # measurements in a folder; samples of a law that are measured
LARGE = 2**30  # bytes of the files of measurements that are read when they are used, not at once
DIRECTIONS = 256  # of the sliced distance


def corruption(operator: str, **settings: Any) -> Corruption:
    """The law of corruptions of that name, with these settings.

    Args:
        operator: "mask", "box", "fixed-box", "keep-patch", "downsample", "compressed-sensing", "k-space" or "blur".
        settings: fields of its class in `jaxsamp.corruptions`; the others have its defaults.

    Raises:
        ValueError: the name is unknown, or a setting is not one of this law or out of range.
    """
    make = LAWS[checks.one_of("operator", operator, LAWS)]
    own = [field.name for field in fields(make)]
    for name in settings:
        if name not in own:
            raise ValueError(f"{name} is not a setting of operator {operator}, which takes {', '.join(own)}.")
    return make(**settings)


def measure(key: Array, data: LearningData, law: Corruption, n: int = DRAWN) -> LearningData:
    """Measure each training sample and each held-out one once; the clean samples stay in `train` and `held_out`.

    Args:
        key: a typed key.
        data: clean data, or a known law.
        law: one of `jaxsamp.corruptions`.
        n: number of samples of a known law that are measured, and a fifth of them held out.

    Raises:
        ValueError: the law does not fit the samples, or they are measured already.
    """
    for_law, for_train, for_others = jax.random.split(key, 3)
    if data.measured is not None:
        raise ValueError(f"data must be clean samples to be measured; {data.name} has been measured already.")
    if data.law is not None:
        x, (first, rest) = np.asarray(data.law.sample(for_law, checks.at_least("n", n, LEAST))), parted(n)
        data = replace(data, law=None, train=x[rest], held_out=x[first])
    measured, others = corrupt(for_train, data.train, law), corrupt(for_others, data.held_out, law)
    return replace(data, measured=measured, held_out_measured=others)


def save_measured(data: LearningData, folder: str | Path) -> None:
    """Write measurements, and labels as they are in the data, and the same of the held-out part in a folder of its own.

    Raises:
        OSError: the disk is full, or the system refuses for another reason.
    """
    for place, measured, labels in (
        (Path(folder), data.measured, data.labels),
        (Path(folder) / HELD_OUT, data.held_out_measured, data.held_out_labels),
    ):
        measured.save(place)
        if labels is not None:
            with disk.writing(place / LABELS):
                np.save(place / LABELS, data.table[labels])


def load_measured(folder: str | Path) -> LearningData:
    """The measurements in a folder; held out are those in its folder `held-out` or, without one, a fifth of them.

    Of files of more than 1 GiB nothing is read before it is used, and at most 10,000 are held out.

    Raises:
        ValueError: the folder has none, or fewer than 10, or they cannot be used.
    """
    place = Path(folder).expanduser()
    measured, labels = _with_labels(place, _opened)
    if len(measured) < LEAST:
        raise ValueError(f"data must hold at least {LEAST} measurements; {place} holds {len(measured)}.")
    if is_measured(place / HELD_OUT):
        others, other_labels = _with_labels(place / HELD_OUT, _opened)
        if (others.law, others.event_shape) != (measured.law, measured.event_shape):
            raise ValueError(
                f"data must have held-out measurements of the same kind, {measured.law} of {measured.event_shape}; "
                f"{place / HELD_OUT} holds {others.law} of {others.event_shape}."
            )
    else:
        first, rest = parted(len(measured))
        other_labels, labels = (None, None) if labels is None else (labels[first], labels[rest])
        measured, others = measured[rest], measured[first]
    if isinstance(others, StoredMeasurements):
        others, other_labels = others[:DRAWN].read(), None if other_labels is None else other_labels[:DRAWN]
    data = LearningData(place.resolve().name, measured.event_shape, measured=measured, held_out_measured=others)
    return labelled(data, labels, other_labels)


def against_measurements(
    x: np.ndarray, held_out: Measurements, key: Array, null_sets: int = NULL_SETS
) -> dict[str, metrics.Metric]:
    """Distances of samples that are measured again to held-out measurements; no clean sample is needed.

    Each held-out operator measures one sample, with the noise of the law, and what is seen of the samples, A^+ y, is
    compared with what is held out. If the samples are true, the two that one operator has seen can be exchanged without
    any change of their law: so the bands are those of the same distances after random exchanges, and true samples leave
    them with the probability that `jaxsamp.metrics.judged` states.

    Args:
        x: samples, (n, *event).
        held_out: the measurements; the first n of them are used.
        key: a typed key.
        null_sets: number of random exchanges, at least 20.

    Returns:
        "energy" and "sliced_w2", minus their means for true samples; nothing if there are fewer than 4 of either.
    """
    n = min(len(x), len(held_out))
    if n < LEAST_COMPARED:
        return {}
    for_noise, for_directions, for_exchanges = jax.random.split(key, 3)
    true = held_out[:n]
    sets = (np.asarray(m.back_projection()).reshape(n, -1) for m in (true.again(for_noise, x[:n]), true))
    pair = np.stack([*sets])
    theta = jax.random.normal(for_directions, (DIRECTIONS, pair.shape[2]))
    theta /= jnp.linalg.norm(theta, axis=1, keepdims=True)
    shape = (checks.at_least("null_sets", null_sets, 20), n, 1)
    exchanges = np.asarray(jax.random.bernoulli(for_exchanges, shape=shape))
    found = {}
    sliced = partial(metrics.sliced_wasserstein, theta=theta)
    for name, distance in (("energy", metrics.energy_distance), ("sliced_w2", sliced)):
        nulls = np.array([distance(*np.where(swapped, pair[::-1], pair)) for swapped in exchanges])
        found[name] = metrics.judged(distance(*pair) - nulls.mean(), nulls - nulls.mean())
    return found


def visible(measured: Measurements) -> np.ndarray:
    """What was seen of each sample in its own shape, A^+ y, NaN in what a mask hides; y of operators without A^+."""
    if not hasattr(measured.operator, "pseudoinverse"):
        return np.asarray(measured.y)
    seen = np.asarray(measured.back_projection())
    if hasattr(measured.operator, "mask"):
        seen = np.where(measured.operator.mask, seen, np.nan)
    return seen


def measurements(folder: str | Path) -> tuple[Measurements, Any]:
    """All measurements in a folder and their labels as they are in the data, or None.

    Raises:
        ValueError: it has none, or they cannot be read.
    """
    return _with_labels(Path(folder).expanduser(), Measurements.load)


def _opened(place: Path) -> Measurements | StoredMeasurements:
    """The measurements in a folder: in memory, or read when they are used if the files are large."""
    size = sum(path.stat().st_size for path in place.glob("measurements-*.npz"))
    return StoredMeasurements(place) if size > LARGE else Measurements.load(place)


def _with_labels(place: Path, read: Callable[[Path], Any]) -> tuple[Any, Any]:
    try:
        measured = read(place)
    except ValueError as error:
        raise ValueError(checks.renamed(error, "data")) from error
    path = place / LABELS
    if not path.exists():
        return measured, None
    try:
        labels = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"data must have labels as they were written; {path} could not be read ({disk.unread(error)})."
        ) from error
    return measured, checked(labels, len(measured), str(path))
