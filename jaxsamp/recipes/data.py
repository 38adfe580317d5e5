"""Data by name, file or folder: known laws, or arrays with a held-out part and their labels, if any."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
    renumber_labels,
    tfds,
)
from jaxsamp.datasets.arrays import DataWarning, warn_if_channels_first
from jaxsamp.datasets.digits import held_out_labels
from jaxsamp.datasets.files import FILES, Stored, arrays, parted, read_stored
from jaxsamp.datasets.folders import class_of, read_images
from jaxsamp.datasets.images import FITS, sides
from jaxsamp.datasets.labels import listed, takes_labels
from jaxsamp.targets.gaussian_mixture import GaussianMixture
from jaxsamp.targets.toys import TOYS

LEAST, LEAST_COMPARED = 10, 4
KNOWN = ("digits", "patches")
HUBS: dict[str, Callable[..., Any]] = {"hf": hugging_face, "tfds": tfds}  # by prefix, as in hf:ylecun/mnist
MIXTURE = ("weights", "means", "covariances")

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
        table: (K,) the labels as they are in the data, integers or names, in increasing order: table[labels] are those
            of `train`.
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
        parts = {"train": self.train[mine], "held_out": self.held_out[other]}
        parts |= {"labels": self.labels[mine], "held_out_labels": self.held_out_labels[other]}
        return replace(self, name=f"{self.name} {label}", **parts)


def is_known(data: str) -> bool:
    """Whether this is the name of data or of a law, not a file or folder."""
    return data in (*KNOWN, *TOYS) or data.partition(":")[0] in HUBS


def load(data: str | Path, image_size: int | tuple[int, int] = 16, image_fit: str = "crop") -> LearningData:
    """Load data by name, file or folder; a name wins over a file of the same name.

    Args:
        data: "digits", "patches" or a toy of `jaxsamp.targets`; a .npy or .npz file of samples (n, *event), with
            optional labels (n,) in an .npz file, integers from 0, with gaps or without, or names, found as
            `jaxsamp.datasets.read_file` finds them; an .npz file of `weights`, `means` and `covariances`, which is a
            mixture of Gaussians; a folder of images, whose labels are the names of its subfolders if each image lies in
            one; "hf:NAME" or "tfds:NAME", the training split of a data set on Hugging Face or in TensorFlow Datasets,
            which must fit in memory.
        image_size: height and width of the images of a folder or of a data set on a hub, or one number for both.
        image_fit: how images of other proportions get that size, "crop", "pad" or "stretch"; see
            `jaxsamp.datasets.read_folder`.

    Returns:
        A law, or data of which four fifths are for training and one fifth is held out, the same ones every time; of a
        file of `x_train` and `x_test` the latter are held out.

    Raises:
        ValueError: there are no such data, or they cannot be used.
    """
    images = _images(image_size, image_fit)
    hub, colon, name = str(data).partition(":")
    if colon and hub in HUBS:
        return _from_hub(hub, name, images)
    path = _path(str(data), "data")
    if path is None:
        return _named(str(data))
    return _mixture(path, "data") or _learning(_name(path), _read(path, images, "data", LEAST), str(path))


def load_reference(
    reference: str | Path, image_size: int | tuple[int, int] = 16, image_fit: str = "crop"
) -> LearningData:
    """Load the reference that samples are compared with: as `load`, but nothing is held out of files.

    Raises:
        ValueError: there is no such reference, or it cannot be used.
    """
    path = None if is_known(str(reference)) else _path(str(reference), "reference")
    if path is None:
        return load(reference, image_size, image_fit)
    if (law := _mixture(path, "reference")) is not None:
        return law
    stored = _read(path, _images(image_size, image_fit), "reference", LEAST_COMPARED, labels=False)
    return LearningData(_name(path), stored.samples.shape[1:], None, stored.samples, stored.samples)


def load_samples(
    samples: str | Path, image_size: int | tuple[int, int] = 16, image_fit: str = "crop"
) -> tuple[np.ndarray, float]:
    """The samples in a file or folder, (n, *event), and their noise level: the last of a stored `grid`, else 0.

    Raises:
        ValueError: there is no such file or folder, or it cannot be used.
    """
    images, path = _images(image_size, image_fit), Path(samples).expanduser()
    x = _read(path, images, "samples", LEAST_COMPARED, labels=False).samples
    grid = arrays(parted(path)[0], ("grid",)).get("grid", np.zeros(1))
    if grid.ndim != 1 or grid.dtype.kind not in "fiu" or not len(grid) or not 0 <= grid[-1] < np.inf:
        raise ValueError(f"samples must hold noise levels, none below 0, in its `grid`; {path} holds {grid!r}.")
    return x, float(grid[-1])


def _images(image_size: Any, image_fit: str) -> dict[str, Any]:
    """How images are read, as `read_images` takes it."""
    sides(image_size, "image_size")
    return {"size": image_size, "fit": checks.one_of("image_fit", image_fit, FITS)}


def _name(path: Path) -> str:
    return parted(path)[0].resolve().stem


def _path(data: str, argument: str) -> Path | None:
    """The file or folder that an argument names, or None if it names known data."""
    path = Path(data).expanduser()
    file = parted(path)[0]
    if not is_known(data) and (path.exists() or file.suffix.lower() in FILES or len(path.parts) > 1):
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


def _read(path: Path, images: dict[str, Any], argument: str, least: int, labels: bool = True) -> Stored:
    """At least `least` samples in float32 from a file or a folder of images, and their labels if they are wanted."""
    if path.is_dir():
        values, place, paths = read_images(path, argument=argument, **images)
        classes = [class_of(place, image) for image in paths]
        stored = Stored(values, None if None in classes else np.array(classes))
    else:
        stored = read_stored(path, argument, labels)
    array = stored.samples
    if array.dtype.kind not in "fiub" or array.ndim < 2 or 0 in array.shape[1:]:
        raise ValueError(
            f"{argument} must hold real numbers of shape (n, *event); {path} holds shape {array.shape} of "
            f"{array.dtype}."
        )
    if len(array) < least:
        raise ValueError(f"{argument} must hold at least {least} samples; {path} holds {len(array)}.")
    return stored._replace(samples=as_samples(array, f"{argument} {path}"))


def _mixture(path: Path, argument: str) -> LearningData | None:
    """The mixture in a file of weights (K,), means (K, d) and covariances (K, d, d); None for other files."""
    stored = arrays(path, MIXTURE)
    if len(stored) < len(MIXTURE):
        return None
    try:
        law = GaussianMixture(*(stored[name] for name in MIXTURE))
    except ValueError as error:
        raise ValueError(f"{argument} must hold a valid mixture of Gaussians; {path} does not: {error}") from error
    return LearningData(_name(path), law.event_shape, law)


def _from_hub(hub: str, name: str, images: dict[str, Any]) -> LearningData:
    """The training split of a data set on a hub, all of it in memory; the held-out part is cut from it."""
    if not name:
        raise ValueError(f"data must name a data set, {hub}:NAME; got {hub}: without a name.")
    try:
        loaded = in_memory(HUBS[hub](name, **images))
    except OSError as error:  # there is no such set, or it cannot be reached
        raise ValueError(f"data must be a data set that {hub} has; {name} could not be read ({error}).") from error
    stored = Stored(*loaded) if isinstance(loaded, tuple) else Stored(loaded)
    warn_if_channels_first(stored.samples.shape[1:], f"data {hub}:{name}")
    return _learning(Path(name).name, stored, f"{hub}:{name}")


def _learning(name: str, stored: Stored, place: str) -> LearningData:
    """Data with a held-out part: the file's own, or one fifth, the same every time; errors name the place."""
    train, labels = stored.samples, stored.labels
    if labels is not None:
        labels = _checked(labels, len(train), place)
    held_out, others = _kept_apart(stored, place)
    if held_out is None:
        order, cut = np.random.default_rng(0).permutation(len(train)), len(train) // 5
        first, rest = order[:cut], order[cut:]
        train, held_out = train[rest], train[first]
        labels, others = (None, None) if labels is None else (labels[rest], labels[first])
    found = LearningData(name, train.shape[1:], None, train, held_out)
    if labels is None or others is None:
        return found
    numbers, table = renumber_labels(np.concatenate([others, labels]))
    return replace(found, labels=numbers[len(others) :], held_out_labels=numbers[: len(others)], table=table)


def _kept_apart(stored: Stored, place: str) -> tuple[Any, Any]:
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
        labels = None if stored.labels is None else _checked(labels, len(x), place)
        return as_samples(x, f"data {place}:x_test"), labels
    warnings.warn(
        DataWarning(f"x_test of {place} is left out, because {why}; a fifth of x_train is held out instead."),
        stacklevel=3,
    )
    return None, None


def _checked(labels: Any, n: int, place: str) -> np.ndarray:
    """Labels of n samples; raises ValueError unless they are integers from 0, or names."""
    labels = np.asarray(labels)
    least = labels.min(initial=0) if labels.dtype.kind in "iub" else 0
    if labels.dtype.kind not in "iubU" or labels.ndim != 1 or least < 0:
        whose = f", from {least}" if labels.dtype.kind == "i" else ""
        raise ValueError(f"{takes_labels('data')}; {place} holds shape {labels.shape} of {labels.dtype}{whose}.")
    if len(labels) != n:
        raise ValueError(f"data must hold one label for each of its {n} samples; got {len(labels)}.")
    return labels
