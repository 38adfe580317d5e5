"""Data with a held-out part and their labels: the file's own part, or a fifth that is the same every time."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxsamp.core.types import Data
from jaxsamp.datasets import as_samples, renumber_labels
from jaxsamp.datasets.arrays import DataWarning
from jaxsamp.datasets.files import Stored
from jaxsamp.datasets.labels import listed, takes_labels

LEAST_COMPARED = 4  # number of samples


@dataclass(frozen=True)
class LearningData:
    """A law, or data to learn a law from and held-out data to compare it with.

    Attributes:
        name: its name in pictures and reports.
        event: shape of one sample.
        law: a known law; None for data.
        train: (n, *event), the data that a law is made from; None for a known law.
        held_out: (m, *event), the data that the law is compared with.
        fit_features: makes a feature map for the Frechet distance; None if there is no good one.
        labels: (n,) integers from 0 to K - 1 for `train`, as networks take them; None if there are none.
        held_out_labels: (m,), the same for `held_out`.
        table: (K,) the labels as they are in the data, integers or names, in increasing order: table[labels] are those
            of `train`.
        kinds: (n,), 0 for clean samples of `train` and k for those of the k-th damaged set; None if all are clean.
        files: (n,) names of the images of `train` within their folder; None if they are not all in folders.
        measured: `jaxsamp.corruptions.Measurements` to learn from, of samples that nobody has; `train` and `held_out`
            are then clean samples to compare with, or None.
        held_out_measured: the measurements that the law is compared with, or None.
    """

    name: str
    event: tuple[int, ...]
    law: Any = None
    train: Any = None
    held_out: Any = None
    fit_features: Callable[[], Callable[[Any], np.ndarray]] | None = None
    labels: Any = None
    held_out_labels: Any = None
    table: Any = None
    kinds: Any = None
    files: Any = None
    measured: Any = None
    held_out_measured: Any = None

    @property
    def learned(self) -> Any:
        """The data for `jaxsamp.fit`: the measurements; the law, which gives fresh samples; or the training data."""
        if self.measured is not None:
            return self.measured
        return self.train if self.law is None else self.law

    @property
    def classes(self) -> int:
        """The number of labels; 0 if there are none."""
        return 0 if self.table is None else len(self.table)

    def numbered(self, table: Data) -> "LearningData":
        """The data with labels numbered by another table, that of a network; as they are if there are no labels.

        Raises:
            ValueError: the data have a label that is not in the table.
        """
        if self.table is None or np.array_equal(self.table, table):
            return self
        places = {label: number for number, label in enumerate(np.asarray(table).tolist())}
        if unknown := [label for label in np.asarray(self.table).tolist() if label not in places]:
            raise ValueError(f"data must have labels {listed(table)}, like the network; {self.name} has {unknown[0]}.")
        numbers = np.array([places[label] for label in np.asarray(self.table).tolist()], np.int32)
        parts = {"labels": numbers[self.labels], "held_out_labels": numbers[self.held_out_labels]}
        return replace(self, table=np.asarray(table), **parts)

    def only(self, label: int | str) -> "LearningData":
        """The data of one label, as it is in `table`; all of them if there are no labels.

        Raises:
            ValueError: there are too few samples of that label.
        """
        if self.labels is None:
            return self
        mine, other = self.table[self.labels] == label, self.table[self.held_out_labels] == label
        if min(mine.sum(), other.sum()) < LEAST_COMPARED:
            raise ValueError(
                f"label must have at least {LEAST_COMPARED} training and held-out samples to compare with; label "
                f"{label} of {self.name} has {mine.sum()} and {other.sum()}."
            )
        if self.measured is None:
            parts = {"train": self.train[mine], "held_out": self.held_out[other]}
        else:
            parts = {"measured": self.measured[mine], "held_out_measured": self.held_out_measured[other]}
        parts |= {"labels": self.labels[mine], "held_out_labels": self.held_out_labels[other]}
        return replace(self, name=f"{self.name} {label}", **parts)


def learning(name: str, stored: Stored, place: str) -> LearningData:
    """Data with a held-out part: the file's own, or one fifth, the same every time; errors name the place."""
    train, labels = stored.samples, stored.labels
    if labels is not None:
        labels = checked(labels, len(train), place)
    held_out, others = kept_apart(stored, place, "a fifth of x_train is held out instead")
    files = stored.files
    if held_out is None:
        first, rest = parted(len(train))
        train, held_out, files = train[rest], train[first], None if files is None else files[rest]
        labels, others = (None, None) if labels is None else (labels[rest], labels[first])
    return labelled(LearningData(name, train.shape[1:], None, train, held_out, files=files), labels, others)


def parted(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of n samples are held out, a fifth, and which are not: the same ones every time."""
    order = np.random.default_rng(0).permutation(n)
    return order[: n // 5], order[n // 5 :]


def labelled(data: LearningData, labels: Any, others: Any) -> LearningData:
    """The data with labels of its own and of its held-out part, as they are; without any if one is None."""
    if labels is None or others is None:
        return data
    numbers, table = renumber_labels(np.concatenate([others, labels]))
    return replace(data, labels=numbers[len(others) :], held_out_labels=numbers[: len(others)], table=table)


def kept_apart(stored: Stored, place: str, instead: str) -> tuple[Any, Any]:
    """The part that the file itself keeps apart, and its labels; or nothing, and a warning if it cannot be used."""
    x, labels = stored.held_out, stored.held_out_labels
    if x is None:
        return None, None
    event = stored.samples.shape[1:]
    if x.shape[1:] != event:
        why = f"its samples have shape {x.shape[1:]} and not {event}"
    elif len(x) < LEAST_COMPARED:
        why = f"it has only {len(x)} samples"
    elif stored.labels is not None and labels is None:
        why = "it has no `y_test`, (n,), of labels like `y_train`"
    else:
        labels = None if stored.labels is None else checked(labels, len(x), place)
        return as_samples(x, f"data {place}:x_test"), labels
    warnings.warn(
        DataWarning(f"x_test of {place} is left out, because {why}; {instead}."),
        stacklevel=3,
    )
    return None, None


def checked(labels: Any, n: int, place: str) -> np.ndarray:
    """Labels of n samples; raises ValueError unless they are integers from 0, or names."""
    labels = np.asarray(labels)
    least = labels.min(initial=0) if labels.dtype.kind in "iub" else 0
    if labels.dtype.kind not in "iubU" or labels.ndim != 1 or least < 0:
        whose = f", from {least}" if labels.dtype.kind == "i" else ""
        raise ValueError(f"{takes_labels('data')}; {place} holds shape {labels.shape} of {labels.dtype}{whose}.")
    if len(labels) != n:
        raise ValueError(f"data must hold one label for each of its {n} samples; got {len(labels)}.")
    return labels
