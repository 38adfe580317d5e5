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
DIGITS_TRAINED, LEAST = 1297, 10


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
    names, path = ["digits", *TOYS], Path(target).expanduser()
    if target not in names and (path.exists() or path.suffix.lower() in FILES or len(path.parts) > 1):
        return _split(path, read_folder(path, image_size) if path.is_dir() else _read_file(path))
    checks.one_of("--target, where no such file or folder exists,", target, names)
    if target == "digits":
        train, _, held_out = digits()
        return Source(target, train.shape[1:], None, train, held_out, digit_features)
    law = TOYS[target]()
    return Source(target, law.event_shape, law)


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


def _read_file(path: Path) -> np.ndarray:
    """The array in a .npy file, or in an .npz file the only one or the one named `x` or `samples`."""
    if not path.exists():
        raise BadArgument(f"--target must be a file that exists; there is no {path}.")
    if path.suffix.lower() not in FILES:
        raise BadArgument(f"--target must be a .npy or .npz file or a folder of images; got the file {path}.")
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        names = stored.files
        chosen = [name for name in OWN_NAMES if name in names] or (names if len(names) == 1 else [])
        if chosen:
            return stored[chosen[0]]
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise BadArgument(f"--target must hold arrays of numbers; {path} could not be read ({error}).") from error
    held = ", ".join(map(repr, names)) or "none"
    raise BadArgument(f"--target must hold one array, or one named 'x' or 'samples'; {path} holds {held}.")


def _split(path: Path, array: np.ndarray) -> Source:
    """Four fifths for the law and one fifth held out, the same ones every time."""
    if array.dtype.kind not in "fiub" or array.ndim < 2 or 0 in array.shape[1:]:
        raise BadArgument(
            f"--target must hold real numbers of shape (n, *event); {path} holds shape {array.shape} of {array.dtype}."
        )
    if len(array) < LEAST:
        raise BadArgument(f"--target must hold at least {LEAST} samples; {path} holds {len(array)}.")
    values = array.astype(np.float32)
    checks.finite(f"--target {path}", values)
    if array.dtype == np.uint8:  # pixels
        values = values / 127.5 - 1
    values, held_out = values[np.random.default_rng(0).permutation(len(values))], len(values) // 5
    return Source(path.resolve().stem, values.shape[1:], None, values[held_out:], values[:held_out])


def _rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)
