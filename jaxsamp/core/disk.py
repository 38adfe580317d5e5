"""Files that cannot be written, OSErrors that name them, or read."""

import errno
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
    """All arrays of an .npz file by name.

    Args:
        path: where it is.
        kind: what an error says that it must be.

    Raises:
        ValueError: it is damaged, or another kind of file.
        OSError: there is no such file, or the system refuses to read it.
        MemoryError: its arrays do not fit into memory.
    """
    try:
        file = np.load(path)
        if not hasattr(file, "files"):
            raise ValueError("it holds one array, as an .npy file does")
        with file:
            return {name: file[name] for name in file.files}
    except MemoryError:
        raise
    except Exception as error:  # damage shows as errors of many types, of the parsers of archives and of headers
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which a place outside of the file is
            raise
        known = isinstance(error, ValueError | EOFError | BadZipFile) and str(error)
        why = unread(error) if known else f"it is damaged ({type(error).__name__})"
        raise ValueError(f"path must be {kind}; {path}: {why.rstrip('.')}.") from None


def with_ending(path: str | Path, ending: str) -> Path:
    """The path with this ending after its name, unless it has it: a name may have dots of its own, as in eps0.5.

    A ~ at its beginning is the home folder.
    """
    path = Path(path).expanduser()
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
