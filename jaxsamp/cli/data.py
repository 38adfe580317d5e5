"""What can be sampled: a law known by name, the digits, a file of arrays, or a folder of images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from jaxsamp import checks
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.images import read_folder
from jaxsamp.targets.toys import TOYS

FILES, OWN_NAMES = (".npy", ".npz"), ("x", "samples")
DIGITS_TRAINED, LEAST, LEAST_COMPARED = 1297, 10, 4


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


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """1,297 training digits, their labels and 500 held-out digits, (n, 8, 8) in [-1, 1]."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = (images[order] / 8 - 1).astype(np.float32).reshape(-1, 8, 8), labels[order]
    return images[:DIGITS_TRAINED], labels[:DIGITS_TRAINED], images[DIGITS_TRAINED:]


def digit_features() -> Callable[[Any], np.ndarray]:
    """The 64 hidden activations of a small classifier of the training digits."""
    from sklearn.neural_network import MLPClassifier

    images, labels, _ = digits()
    # In float64, as scikit-learn gives the digits: the classifier is then the same on every machine.
    network = MLPClassifier((64,), max_iter=300, random_state=0).fit(_rows(images).astype(float), labels)
    weights, bias = network.coefs_[0], network.intercepts_[0]
    return lambda x: np.maximum(_rows(np.asarray(x)) @ weights + bias, 0)


def read(path: Path, image_size: int, flag: str, least: int) -> np.ndarray:
    """At least `least` samples from a file or a folder of images, in float32; `flag` is the argument that named it.

    Raises:
        BadArgument, ValueError: there is no such place, or nothing usable in it.
    """
    array = read_folder(path, image_size, flag) if path.is_dir() else _read_file(path, flag)
    if array.dtype.kind not in "fiub" or array.ndim < 2 or 0 in array.shape[1:]:
        raise BadArgument(
            f"{flag} must hold real numbers of shape (n, *event); {path} holds shape {array.shape} of {array.dtype}."
        )
    if len(array) < least:
        raise BadArgument(f"{flag} must hold at least {least} samples; {path} holds {len(array)}.")
    values = array.astype(np.float32)
    checks.finite(f"{flag} {path}", values)
    return values / 127.5 - 1 if array.dtype == np.uint8 else values  # pixels


def _read_file(path: Path, flag: str) -> np.ndarray:
    """The array in a .npy file, or in an .npz file the only one or the one named `x` or `samples`."""
    if not path.exists():
        raise BadArgument(f"{flag} must be a file that exists; there is no {path}.")
    if path.suffix.lower() not in FILES:
        raise BadArgument(f"{flag} must be a .npy or .npz file or a folder of images; got the file {path}.")
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        names = stored.files
        chosen = [name for name in OWN_NAMES if name in names] or (names if len(names) == 1 else [])
        if chosen:
            return stored[chosen[0]]
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise BadArgument(f"{flag} must hold arrays of numbers; {path} could not be read ({error}).") from error
    held = ", ".join(map(repr, names)) or "none"
    raise BadArgument(f"{flag} must hold one array, or one named 'x' or 'samples'; {path} holds {held}.")


def _split(path: Path, values: np.ndarray) -> Source:
    """Four fifths for the law and one fifth held out, the same ones every time."""
    values, held_out = values[np.random.default_rng(0).permutation(len(values))], len(values) // 5
    return Source(path.resolve().stem, values.shape[1:], None, values[held_out:], values[:held_out])


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)
