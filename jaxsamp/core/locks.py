"""One writer at a time: locks that the operating system frees however their holder ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None

HELD: ContextVar[frozenset[Path]] = ContextVar("HELD", default=frozenset())  # the folders that this thread holds


def hold(file: IO[Any] | int, sentence: str) -> None:
    """Lock an open file, or a descriptor, until it is closed; without effect where the file system has no locks.

    Raises:
        ValueError: another holds the lock; the error says `sentence`.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(sentence) from error
    except OSError:  # a file system without locks
        pass


@contextmanager
def folder(path: Path, sentence: str) -> Iterator[None]:
    """Lock a folder that exists; no file is left in it. What runs inside may lock the same folder again.

    Raises:
        ValueError: another thread or process holds it; the error says `sentence`.
    """
    real = path.resolve()
    if fcntl is None or real in HELD.get():
        yield
        return
    descriptor = os.open(real, os.O_RDONLY)
    try:
        hold(descriptor, sentence)
        before = HELD.set(HELD.get() | {real})
        try:
            yield
        finally:
            HELD.reset(before)
    finally:
        os.close(descriptor)
