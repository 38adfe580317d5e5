"""Data by name, file or folder: known laws, or arrays with a held-out part and their labels, if any."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.core import checks
from jaxsamp.corruptions.files import is_measured
from jaxsamp.datasets import (
    as_samples,
    digit_features,
    digits,
    hugging_face,
    in_memory,
    photo_patches,
    tfds,
)
from jaxsamp.datasets.arrays import warn_if_channels_first
from jaxsamp.datasets.digits import held_out_labels
from jaxsamp.datasets.files import FILES, Stored, arrays, check_exists, parted, read_stored
from jaxsamp.datasets.folders import class_of, read_images
from jaxsamp.datasets.images import FITS, sides
from jaxsamp.recipes.joined import PLUS, joined, several
from jaxsamp.recipes.measured import load_measured
from jaxsamp.recipes.parts import LEAST_COMPARED, LearningData, checked, kept_apart, learning
from jaxsamp.targets.gaussian_mixture import GaussianMixture
from jaxsamp.targets.toys import TOYS

LEAST, PATH = 10, {"/", os.sep}  # PATH: no name has one of these in it
KNOWN = ("digits", "patches")
HUBS: dict[str, Callable[..., Any]] = {"hf": hugging_face, "tfds": tfds}  # by prefix, as in hf:ylecun/mnist
MIXTURE = ("weights", "means", "covariances")

PLACES = f"{', '.join((*KNOWN, *TOYS))}; a .npy or .npz file; a folder of images; hf:NAME or tfds:NAME."
LEARNED = f"{PLACES[:-1]}; a folder of measurements; CLEAN+DAMAGED."  # what a network can learn


def is_known(data: str) -> bool:
    """Whether this is the name of data or of a law, not a file or folder."""
    return data in (*KNOWN, *TOYS) or data.partition(":")[0] in HUBS


def absolute(data: str) -> str:
    """The same data from any folder: paths are made absolute."""
    return PLUS.join(one if is_known(one) else str(Path(one).expanduser().resolve()) for one in several(data))


def stem(data: str) -> str:
    """A name for folders: the data without their folders and endings."""
    return PLUS.join(Path(one).expanduser().resolve().stem for one in several(data))


def load(data: str | Path, image_size: int | tuple[int, int] = 16, image_fit: str = "crop") -> LearningData:
    """Load data by name, file or folder; a name wins over a file of the same name.

    Args:
        data: "digits", "patches" or a toy of `jaxsamp.targets`; a .npy or .npz file of samples (n, *event), with
            optional labels (n,) in an .npz file, integers from 0, with gaps or without, or names, found as
            `jaxsamp.datasets.read_file` finds them; an .npz file of `weights`, `means` and `covariances`, which is a
            mixture of Gaussians; a folder of images, whose labels are the names of its subfolders if each image lies in
            one; "hf:NAME" or "tfds:NAME", the training split of a data set on Hugging Face or in TensorFlow Datasets,
            which must fit in memory; a folder of measurements, see `measure`; "CLEAN+DAMAGED", clean data and one or
            more sets of damaged samples.
        image_size: height and width of the images of a folder or of a data set on a hub, or one number for both.
        image_fit: how images of other proportions get that size, "crop", "pad" or "stretch"; see
            `jaxsamp.datasets.read_folder`.

    Returns:
        A law, or data of which four fifths are for training and one fifth is held out, the same ones every time; of a
        file of `x_train` and `x_test` the latter are held out. Of damaged samples all are for training.

    Raises:
        ValueError: there are no such data, or they cannot be used.
    """
    images = _images(image_size, image_fit)
    first, *damaged = several(str(data))
    if damaged:
        return joined(load(first, image_size, image_fit), [_whole(name, images) for name in damaged])
    hub, colon, name = str(data).partition(":")
    if colon and hub in HUBS:
        return _from_hub(hub, name, images)
    path = _path(str(data), "data")
    if path is None:
        return _named(str(data))
    if is_measured(path):
        return load_measured(path)
    return _mixture(path, "data") or learning(_name(path), _read(path, images, "data", LEAST, True, True), str(path))


def load_reference(
    reference: str | Path, image_size: int | tuple[int, int] = 16, image_fit: str = "crop"
) -> LearningData:
    """Load the reference that samples are compared with: as `load`, but all of a file, unless it has an `x_test`.

    Raises:
        ValueError: there is no such reference, or it cannot be used.
    """
    path = None if is_known(str(reference)) else _path(str(reference), "reference")
    if path is None:
        return load(reference, image_size, image_fit)
    if (law := _mixture(path, "reference")) is not None:
        return law
    stored = _read(path, _images(image_size, image_fit), "reference", LEAST_COMPARED, apart=True)
    held_out, _ = kept_apart(stored, str(path), "it is not compared with")
    train = stored.samples
    return LearningData(_name(path), train.shape[1:], None, train, train if held_out is None else held_out)


def load_samples(
    samples: str | Path, image_size: int | tuple[int, int] = 16, image_fit: str = "crop"
) -> tuple[np.ndarray, float]:
    """The samples in a file or folder, (n, *event), and their noise level: the last of a stored `grid`, else 0.

    Raises:
        ValueError: there is no such file or folder, or it cannot be used.
    """
    images, path = _images(image_size, image_fit), Path(samples).expanduser()
    x = _read(path, images, "samples", LEAST_COMPARED).samples
    grid = arrays(parted(path)[0], ("grid",)).get("grid", np.zeros(1))
    if grid.ndim != 1 or grid.dtype.kind not in "fiu" or not len(grid) or not 0 <= grid[-1] < np.inf:
        raise ValueError(f"samples must hold noise levels, none below 0, in its `grid`; {path} holds {grid!r}.")
    return x, float(grid[-1])


def check_data(data: str, argument: str) -> None:
    """Raise ValueError naming the argument unless there are such data by name, or such a file or folder."""
    path = _path(data, argument)
    if path is not None:
        check_exists(parted(path)[0], argument)


def _whole(data: str, images: dict[str, Any]) -> tuple[str, Stored]:
    """The name of a set of which nothing is held out, and its samples; of known data the training part."""
    path = _path(data, "data")
    if path is None:
        known = _named(data)
        if known.law is not None:
            raise ValueError(f"data must be damaged samples after the first +; {data} is a known law.")
        return data, Stored(known.train, None if known.labels is None else known.table[known.labels])
    stored = _read(path, images, "data", LEAST_COMPARED, labels=True)
    labels = None if stored.labels is None else checked(stored.labels, len(stored.samples), str(path))
    return _name(path), stored._replace(labels=labels)


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
    if not is_known(data) and (path.exists() or file.suffix.lower() in FILES or PATH & {*data}):
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


def _read(
    path: Path, images: dict[str, Any], argument: str, least: int, labels: bool = False, apart: bool = False
) -> Stored:
    """At least `least` samples in float32 from a file or a folder of images, and what else is wanted of it."""
    if is_measured(path):
        raise ValueError(f"{argument} must hold clean samples; {path} holds measurements.")
    if path.is_dir():
        values, place, paths = read_images(path, argument=argument, **images)
        classes = [class_of(place, image) for image in paths]
        names = np.array([image.relative_to(place).as_posix() for image in paths])
        stored = Stored(values, None if None in classes else np.array(classes), files=names)
    else:
        stored = read_stored(path, argument, labels, apart)
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
    return learning(Path(name).name, stored, f"{hub}:{name}")
