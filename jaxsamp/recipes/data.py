"""Data by name, file or folder: known laws, or arrays with a held-out part and their labels, if any."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Data
from jaxsamp.datasets import (
    as_samples,
    digit_features,
    digits,
    hugging_face,
    in_memory,
    photo_patches,
    read_file,
    read_folder,
    renumber_labels,
    tfds,
)
from jaxsamp.datasets.arrays import FILES
from jaxsamp.datasets.digits import held_out_labels
from jaxsamp.datasets.labels import listed
from jaxsamp.targets.gaussian_mixture import GaussianMixture
from jaxsamp.targets.toys import TOYS

LEAST, LEAST_COMPARED = 10, 4
KNOWN = ("digits", "patches")
HUBS: dict[str, Callable[..., Any]] = {"hf": hugging_face, "tfds": tfds}  # by prefix, as in hf:ylecun/mnist
MIXTURE, LABELS = ("weights", "means", "covariances"), "labels"
TAKES_LABELS = "data must hold integers from 0, (n,), in its `labels`"

PLACES = f"{', '.join((*KNOWN, *TOYS))}; a .npy or .npz file; a folder of images; hf:NAME or tfds:NAME."


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
        table: (K,) the labels as they are in the data, in increasing order: table[labels] are those of `train`.
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

    @property
    def learned(self) -> Any:
        """The data for `jaxsamp.fit`: the law, which gives fresh samples, or the training data."""
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

    def only(self, label: int) -> "LearningData":
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
        parts = {"train": self.train[mine], "held_out": self.held_out[other]}
        parts |= {"labels": self.labels[mine], "held_out_labels": self.held_out_labels[other]}
        return replace(self, name=f"{self.name} {label}", **parts)


def is_known(data: str) -> bool:
    """Whether this is the name of data or of a law, not a file or folder."""
    return data in (*KNOWN, *TOYS) or data.partition(":")[0] in HUBS


def load(data: str | Path, image_size: int = 16) -> LearningData:
    """Load data by name, file or folder; a name wins over a file of the same name.

    Args:
        data: "digits", "patches" or a toy of `jaxsamp.targets`; a .npy or .npz file of samples (n, *event), with
            optional `labels` (n,) in an .npz file, integers from 0, with gaps or without; an .npz file of `weights`,
            `means` and `covariances`, which is a mixture of Gaussians; a folder of images; "hf:NAME" or "tfds:NAME",
            the training split of a data set on Hugging Face or in TensorFlow Datasets, which must fit in memory.
        image_size: height and width to which images of a folder or of a data set on a hub are cropped.

    Returns:
        A law, or data of which four fifths are for training and one fifth is held out, the same ones every time.

    Raises:
        ValueError: there are no such data, or they cannot be used.
    """
    checks.at_least("image_size", image_size, 1)
    hub, colon, name = str(data).partition(":")
    if colon and hub in HUBS:
        return _from_hub(hub, name, image_size)
    path = _path(str(data), "data")
    if path is None:
        return _named(str(data))
    values = None if (law := _mixture(path, "data")) else _read(path, image_size, "data", LEAST)
    return law or _split(path.resolve().stem, values, _labels(path), str(path))


def load_reference(reference: str | Path, image_size: int = 16) -> LearningData:
    """Load the reference that samples are compared with: as `load`, but nothing is held out of files.

    Raises:
        ValueError: there is no such reference, or it cannot be used.
    """
    path = None if is_known(str(reference)) else _path(str(reference), "reference")
    if path is None:
        return load(reference, image_size)
    if (law := _mixture(path, "reference")) is not None:
        return law
    array = _read(path, image_size, "reference", LEAST_COMPARED)
    return LearningData(path.resolve().stem, array.shape[1:], None, array, array)


def load_samples(samples: str | Path, image_size: int = 16) -> tuple[np.ndarray, float]:
    """The samples in a file or folder, (n, *event), and their noise level: the last of a stored `grid`, else 0.

    Raises:
        ValueError: there is no such file or folder, or it cannot be used.
    """
    checks.at_least("image_size", image_size, 1)
    path = Path(samples).expanduser()
    x = _read(path, image_size, "samples", LEAST_COMPARED)
    if path.suffix.lower() != ".npz":
        return x, 0.0
    grid = _arrays(path, ("grid",)).get("grid", np.zeros(1))
    if grid.ndim != 1 or grid.dtype.kind not in "fiu" or not len(grid) or not 0 <= grid[-1] < np.inf:
        raise ValueError(f"samples must hold noise levels, none below 0, in its `grid`; {path} holds {grid!r}.")
    return x, float(grid[-1])


def _path(data: str, argument: str) -> Path | None:
    """The file or folder that an argument names, or None if it names known data."""
    path = Path(data).expanduser()
    if not is_known(data) and (path.exists() or path.suffix.lower() in FILES or len(path.parts) > 1):
        return path
    checks.one_of(f"{argument}, where no such file or folder exists,", data, (*KNOWN, *TOYS))
    return None


def _named(name: str) -> LearningData:
    if name == "digits":
        train, labels, held_out = digits()
        known = labels, held_out_labels(), np.arange(10)
        return LearningData(name, train.shape[1:], None, train, held_out, digit_features, *known)
    if name == "patches":
        train, held_out = photo_patches()
        return LearningData(name, train.shape[1:], None, train, held_out)
    law = TOYS[name]()
    return LearningData(name, law.event_shape, law)


def _read(path: Path, image_size: int, argument: str, least: int) -> np.ndarray:
    """At least `least` samples from a file or a folder of images, in float32."""
    array = read_folder(path, image_size, argument) if path.is_dir() else read_file(path, argument)
    if array.dtype.kind not in "fiub" or array.ndim < 2 or 0 in array.shape[1:]:
        raise ValueError(
            f"{argument} must hold real numbers of shape (n, *event); {path} holds shape {array.shape} of "
            f"{array.dtype}."
        )
    if len(array) < least:
        raise ValueError(f"{argument} must hold at least {least} samples; {path} holds {len(array)}.")
    return as_samples(array, f"{argument} {path}")


def _mixture(path: Path, argument: str) -> LearningData | None:
    """The mixture in a file of weights (K,), means (K, d) and covariances (K, d, d); None for other files."""
    stored = _arrays(path, MIXTURE)
    if len(stored) < len(MIXTURE):
        return None
    try:
        law = GaussianMixture(*(stored[name] for name in MIXTURE))
    except ValueError as error:
        raise ValueError(f"{argument} must hold a valid mixture of Gaussians; {path} does not: {error}") from error
    return LearningData(path.resolve().stem, law.event_shape, law)


def _labels(path: Path) -> np.ndarray | None:
    """The labels in a file; None if it has none."""
    try:
        return _arrays(path, (LABELS,)).get(LABELS)
    except ValueError as error:  # objects, which are not loaded
        raise ValueError(f"{TAKES_LABELS}; those of {path} could not be read ({error}).") from error


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of these names in an .npz file; none for other files, for which `_read` raises the errors."""
    if path.suffix.lower() != ".npz" or not path.is_file() or not is_zipfile(path):
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in names if name in stored.files}


def _from_hub(hub: str, name: str, image_size: int) -> LearningData:
    """The training split of a data set on a hub, all of it in memory; the held-out part is cut from it."""
    if not name:
        raise ValueError(f"data must name a data set, {hub}:NAME; got {hub}: without a name.")
    try:
        loaded = in_memory(HUBS[hub](name, size=image_size))
    except OSError as error:  # there is no such set, or it cannot be reached
        raise ValueError(f"data must be a data set that {hub} has; {name} could not be read ({error}).") from error
    values, labels = loaded if isinstance(loaded, tuple) else (loaded, None)
    return _split(Path(name).name, values, labels, f"{hub}:{name}")


def _split(name: str, values: Any, labels: np.ndarray | None, place: str) -> LearningData:
    """Four fifths for training and one fifth held out, the same ones every time; errors name the place of the data."""
    order, cut = np.random.default_rng(0).permutation(len(values)), len(values) // 5
    split = LearningData(name, values.shape[1:], None, values[order[cut:]], values[order[:cut]])
    if labels is None:
        return split
    if labels.dtype.kind not in "iub" or labels.ndim != 1 or labels.min(initial=0) < 0:
        least = f", from {labels.min(initial=0)}" if labels.dtype.kind == "i" else ""
        raise ValueError(f"{TAKES_LABELS}; {place} holds shape {labels.shape} of {labels.dtype}{least}.")
    if len(labels) != len(values):
        raise ValueError(f"data must hold one label for each of its {len(values)} samples; got {len(labels)}.")
    numbers, table = renumber_labels(labels)
    return replace(split, labels=numbers[order[cut:]], held_out_labels=numbers[order[:cut]], table=table)
