"""Files that are complete or absent: they are written under another name, and renamed when complete."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

SAMPLES = "samples"  # the one entry of a shard


def write_shard(path: Path, samples: np.ndarray, mark: str) -> str:
    """Write a shard and return the SHA-256 of its bytes, which depend on the samples alone.

    Args:
        path: the file.
        samples: (count, *event).
        mark: the end of the name that the file has until it is complete.
    """

    def write(file: IO[bytes]) -> None:
        np.savez(file, **{SAMPLES: samples})  # type: ignore[arg-type]

    return _replace(path, write, mark)


def write_json(path: Path, content: Any, mark: str) -> None:
    """Write plain values as JSON, in their own order."""
    text = json.dumps(content, indent=1) + "\n"
    _replace(path, lambda file: file.write(text.encode()), mark)


def read_shard(path: Path) -> np.ndarray:
    """The samples of a shard."""
    with np.load(path) as stored:
        return stored[SAMPLES]


def read_json(path: Path) -> Any:
    """Plain values from a JSON file; None if there is no such file."""
    with suppress(FileNotFoundError):
        return json.loads(path.read_text())
    return None


def checksum(path: Path) -> str | None:
    """The SHA-256 of a file; None if there is none."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _replace(path: Path, write: Callable[[IO[bytes]], Any], mark: str) -> str:
    unfinished = path.with_name(f".{path.name}.{mark}")
    with unfinished.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())  # else a crash of the machine could leave the new name on an empty file
    digest = checksum(unfinished)
    os.replace(unfinished, path)
    with suppress(OSError):  # some systems cannot open folders; they keep the order of renames by themselves
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return str(digest)
