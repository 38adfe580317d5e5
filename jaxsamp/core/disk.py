"""Files that cannot be written, OSErrors that name them, or read."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np


def unread(error: Exception) -> str:
    """Why NumPy cannot read a file; it takes whatever it does not know for a pickle, and says how to load that."""
    return "it holds Python objects, or was not written by NumPy" if "pickle" in str(error) else str(error)


def arrays(path: Path, kind: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file by name; ValueError, with the `kind` of file that it must be, if it is none."""
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"path must be {kind}; {path}: {unread(error)}.") from None


def with_ending(path: str | Path, ending: str) -> Path:
    """The path with this ending after its name, unless it has it: a name may have dots of its own, as in eps0.5."""
    path = Path(path)
    return path if path.suffix == ending else path.with_name(path.name + ending)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Around whatever writes `path`: errors of the system, also those that a library has put into words, name it.

    Raises:
        OSError: the disk is full, or the system refuses for another reason.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except Exception as error:
        number = re.search(
            r"\[(?:OS error |os_error_code=')(\d+)", str(error)
        )  # as TensorStore says it, in a ValueError
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
