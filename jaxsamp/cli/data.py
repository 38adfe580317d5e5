"""What can be sampled: a law known by name, the digits, a file of arrays, or a folder of images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp import checks
from jaxsamp.cli.errors import BadArgument
from jaxsamp.datasets import checked, digit_features, digits, read_file, read_folder
from jaxsamp.datasets.arrays import FILES
from jaxsamp.targets.toys import TOYS

LEAST, LEAST_COMPARED = 10, 4


@dataclass(frozen=True)
class Source:
    """A law, or data to make one of.

    Attributes:
        name: what the pictures and reports call it.
        event: shape of one sample.
        law: a known law; None for data.
        train: (n, *event), what a law is made of; None for a known law.
        held_out: (m, *event), what it is compared with.
        fit_features: makes a feature map for the Frechet distance; None where there is no good one.
    """

    name: str
    event: tuple[int, ...]
    law: Any = None
    train: Any = None
    held_out: Any = None
    fit_features: Callable[[], Callable[[Any], np.ndarray]] | None = None


def load(target: str, image_size: int) -> Source:
    """Find what `--target` names; a name wins over a file of the same name.

    Raises:
        BadArgument, ValueError: there is no such target, or nothing usable in it.
    """
    path = _path(target, "--target")
    return _named(target) if path is None else _split(path, read(path, image_size, "--target", LEAST))


def load_reference(reference: str, image_size: int) -> Source:
    """Find what `--reference` names: as `load`, but of files nothing is held out.

    Raises:
        BadArgument, ValueError: there is no such reference, or nothing usable in it.
    """
    path = _path(reference, "--reference")
    if path is None:
        return _named(reference)
    array = read(path, image_size, "--reference", LEAST_COMPARED)
    return Source(path.resolve().stem, array.shape[1:], None, array, array)


def load_samples(path: Path, image_size: int) -> tuple[np.ndarray, float]:
    """The samples in a file or folder, (n, *event), and their noise level: that where a stored `grid` ends, else 0.

    Raises:
        BadArgument, ValueError: there is no such place, or nothing usable in it.
    """
    samples = read(path, image_size, "SAMPLES", LEAST_COMPARED)
    if path.suffix.lower() != ".npz":
        return samples, 0.0
    with np.load(path, allow_pickle=False) as stored:
        grid = stored["grid"] if "grid" in stored.files else np.zeros(1)
    if grid.ndim != 1 or grid.dtype.kind not in "fiu" or not len(grid) or not 0 <= grid[-1] < np.inf:
        raise BadArgument(f"SAMPLES must hold noise levels, none below 0, in its `grid`; {path} holds {grid!r}.")
    return samples, float(grid[-1])


def _path(target: str, flag: str) -> Path | None:
    """The place that a flag names, or None if it names something known."""
    names, path = ["digits", *TOYS], Path(target).expanduser()
    if target not in names and (path.exists() or path.suffix.lower() in FILES or len(path.parts) > 1):
        return path
    checks.one_of(f"{flag}, where no such file or folder exists,", target, names)
    return None


def _named(name: str) -> Source:
    if name == "digits":
        train, _, held_out = digits()
        return Source(name, train.shape[1:], None, train, held_out, digit_features)
    law = TOYS[name]()
    return Source(name, law.event_shape, law)


def read(path: Path, image_size: int, flag: str, least: int) -> np.ndarray:
    """At least `least` samples from a file or a folder of images, in float32; `flag` is the argument that named it.

    Raises:
        BadArgument, ValueError: there is no such place, or nothing usable in it.
    """
    array = read_folder(path, image_size, flag) if path.is_dir() else read_file(path, flag)
    if array.dtype.kind not in "fiub" or array.ndim < 2 or 0 in array.shape[1:]:
        raise BadArgument(
            f"{flag} must hold real numbers of shape (n, *event); {path} holds shape {array.shape} of {array.dtype}."
        )
    if len(array) < least:
        raise BadArgument(f"{flag} must hold at least {least} samples; {path} holds {len(array)}.")
    return checked(array, f"{flag} {path}")


def _split(path: Path, values: np.ndarray) -> Source:
    """Four fifths for the law and one fifth held out, the same ones every time."""
    values, held_out = values[np.random.default_rng(0).permutation(len(values))], len(values) // 5
    return Source(path.resolve().stem, values.shape[1:], None, values[held_out:], values[:held_out])
