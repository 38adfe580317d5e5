"""Samples and labels in .npy and .npz files, by the names that the field gives to arrays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, is_zipfile

import numpy as np

from jaxsamp.core import checks, disk
from jaxsamp.datasets.labels import is_one_each, takes_labels

FILES = (".npy", ".npz")
OWN_NAMES = ("x", "samples")  # these win over all others
NAMES = (*OWN_NAMES, "images", "data", "x_train", "arr_0")
LABELS = "labels"
LABELS_OF = {"x_train": "y_train", "x_test": "y_test", "arr_0": "arr_1"}  # beside other samples: `labels` or `y`


class Stored(NamedTuple):
    """The arrays that a file holds, as they are.

    Attributes:
        samples: (n, *event).
        labels: (n,), or None; unless they are called `labels`, they hold one integer or name per sample.
        held_out: (m, *event), the samples that the file itself keeps apart, or None.
        held_out_labels: (m,), or None.
        files: (n,) names of the files of `samples`, or None.
    """

    samples: np.ndarray
    labels: Any = None
    held_out: Any = None
    held_out_labels: Any = None
    files: Any = None


def parted(path: str | Path) -> tuple[Path, str | None]:
    """FILE.npz:NAME as the file and the name of one of its arrays; None as the name in all other paths."""
    whole = Path(path).expanduser()
    file, colon, name = str(whole).rpartition(":")
    if not colon or Path(file).suffix.lower() != ".npz" or whole.exists():
        return whole, None
    return Path(file), name


def check_exists(file: Path, argument: str) -> None:
    """Raise ValueError naming the argument unless there is such a file or folder."""
    if not file.exists():
        kind = "file" if file.suffix.lower() in FILES else "file or folder"
        raise ValueError(f"{argument} must be a {kind} that exists; there is no {file}.")


def read_file(path: str | Path, argument: str = "data", *, labels: bool = False) -> Any:
    """The samples in a .npy or .npz file, and their labels.

    FILE.npz:NAME is the array of that name. Without a name they are the only array, or `x`, `samples`, `images`,
    `data`, `x_train` (of Keras), or `arr_0` (of `numpy.savez`, if there is no other or `arr_1` are its labels). Labels
    are `labels` or `y`; `y_train` of `x_train`; `arr_1` of `arr_0`, each if it holds one integer or name per sample.

    Args:
        path: the file, and perhaps a name.
        argument: what `path` is called in errors.
        labels: whether to return the labels too.

    Returns:
        The samples (n, *event); with `labels`, a pair of them and labels (n,), or None if the file has none.

    Raises:
        ValueError: there is no such file, it holds no such array, or several could be meant.
    """
    stored = read_stored(path, argument, labels)
    return (stored.samples, stored.labels) if labels else stored.samples


def read_stored(path: str | Path, argument: str, labels: bool, apart: bool = False) -> Stored:
    """What a file holds: samples; labels and the part that it keeps apart if they are wanted."""
    file, name = parted(path)
    check_exists(file, argument)
    if file.suffix.lower() not in FILES:
        raise ValueError(f"{argument} must be a .npy or .npz file or a folder of images; got the file {file}.")
    with _readable(file, argument):
        stored = np.load(file, allow_pickle=False)
    if isinstance(stored, np.ndarray):
        return Stored(stored)
    with stored:
        archive = _Archive(file, stored.files, cache(stored.__getitem__), argument, name)
        own = archive.chosen()
        samples = archive.array(own)
        found = Stored(samples, archive.labels(own) if labels else None)
        if not apart or own != "x_train" or "x_test" not in stored.files:
            return found
        others = archive.labels("x_test") if labels else None
        return found._replace(held_out=archive.array("x_test"), held_out_labels=others)


def arrays(path: str | Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of these names in an .npz file; none for other files, and for one array of a file."""
    file, chosen = parted(path)
    if chosen is not None or file.suffix.lower() != ".npz" or not file.is_file() or not is_zipfile(file):
        return {}
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in names if name in stored.files}


class _Archive(NamedTuple):
    """An open .npz file: its path, the names of its arrays, each array by its name, and how the user calls it.

    Attributes:
        name: the array of samples, if it is given.
    """

    file: Path
    names: list[str]
    read: Callable[[str], np.ndarray]
    argument: str
    name: str | None

    def array(self, name: str) -> np.ndarray:
        with _readable(self.file, self.argument):
            return self.read(name)

    def chosen(self) -> str:
        """The name of the array of samples."""
        if self.name is not None:
            return checks.one_of(f"{self.argument}, the array of {self.file},", self.name, self.names)
        known = [name for name in NAMES if name in self.names]
        if known and known[0] in OWN_NAMES:
            return known[0]
        # numpy.savez numbers arrays that have no names: nothing says what they are, but for one label per sample
        unclear = known == ["arr_0"] and len(self.names) > 1
        if unclear and set(self.names) == {"arr_0", "arr_1"} and self.labels("arr_0") is not None:
            unclear = False
        if len(known or self.names) == 1 and not unclear:
            return (known or self.names)[0]
        held = [f"{name!r} {self.array(name).shape}" for name in self.names]
        listed = ", ".join(held[:-1]) + (" and " if held[:-1] else "") + held[-1] if held else "none"
        choose = f" Choose one by its name, as in {self.file}:{(known or self.names)[0]}." if held else ""
        raise ValueError(
            f"{self.argument} must hold one array of samples, or one that is named "
            f"{', '.join(map(repr, NAMES[:-1]))} or {NAMES[-1]!r}; {self.file} holds {listed}.{choose}"
        )

    def labels(self, own: str) -> Any:
        """The labels of the samples that are called `own`; None if there are none."""
        for name in (LABELS_OF[own],) if own in LABELS_OF else (LABELS, "y"):
            if name == own or name not in self.names:
                continue
            meant = name == LABELS and self.name is None  # and checked by whoever uses them
            try:
                found = self.read(name)
            except ValueError as error:  # objects, which are not loaded
                if meant:
                    takes = takes_labels(self.argument)
                    raise ValueError(
                        f"{takes}; those of {self.file} could not be read ({disk.unread(error)})."
                    ) from error
                continue
            if meant or is_one_each(found, len(self.array(own))):
                return found
        return None


@contextmanager
def _readable(file: Path, argument: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"{argument} must hold arrays of numbers; {file} could not be read ({disk.unread(error)})."
        ) from error
