"""Files that are complete or absent, and that show damage: written under another name, renamed when complete."""

import hashlib
import json
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxsamp.core import disk

SAMPLES, FIRST = "samples", "first"  # the entries of a shard
SEAL = "crc32"  # the last field of whatever is written as JSON


class Damaged(ValueError):
    """A file that does not hold what was written into it."""


def write_shard(path: Path, samples: np.ndarray, first: int, mark: str, expected: str | None = None) -> str:
    """Write a shard and return the SHA-256 of its bytes, which depend on the samples and their numbers alone.

    Args:
        path: the file.
        samples: (count, *event).
        first: number of the first of them.
        mark: the end of the name that the file has until it is complete.
        expected: the checksum that it must have to be put in its place.

    Raises:
        ValueError: it has another checksum; what is in its place is left there.
    """

    def write(file: IO[bytes]) -> None:
        np.savez(file, **{SAMPLES: samples, FIRST: np.int64(first)})  # type: ignore[arg-type]

    return _replace(path, write, mark, expected)


def write_json(path: Path, content: dict[str, Any], mark: str) -> None:
    """Write plain values as JSON, in their own order, with a checksum as the last of them."""
    text = json.dumps(_sealed(content), indent=1) + "\n"
    _replace(path, lambda file: file.write(text.encode()), mark)


def line(content: dict[str, Any]) -> bytes:
    """The same as one line."""
    return json.dumps(_sealed(content)).encode() + b"\n"


def opened(text: bytes) -> dict[str, Any]:
    """What was written as JSON, without its checksum.

    Raises:
        Damaged: it is not what was written.
    """
    with suppress(ValueError, RecursionError):
        content = json.loads(text)
        if isinstance(content, dict):
            seal = content.pop(SEAL, None)
            if seal == _sealed(content)[SEAL]:
                return content
    raise Damaged("its contents do not have the checksum that it ends with")


def read_shard(path: Path, first: int, sha256: str | None = None) -> np.ndarray:
    """The samples of a shard, after one check: of its checksum if it is given, else of the number of its first sample.

    Args:
        path: the file.
        first: number of the first of its samples.
        sha256: the checksum of the file, which is that of these samples; None if it has been compared before.

    Raises:
        Damaged: the file has another checksum, holds other samples, or cannot be read.
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as file:
        if sha256 is not None and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise Damaged(other_checksum(path))
        file.seek(0)
        try:
            with np.load(file) as stored:
                if sha256 is not None or int(stored[FIRST]) == first:
                    return stored[SAMPLES]
        except Exception as error:  # a damaged file can fail in any part of it
            raise Damaged(other_checksum(path)) from error
    raise Damaged(f"{path} must hold the samples from number {first} on, and holds others: {AGAIN}.")


AGAIN = "run the same job again, which draws it anew; there is no need to remove it"


def other_checksum(path: Path) -> str:
    """A sentence about a file that is damaged."""
    return f"{path} must have the checksum that was written down, and has another: {AGAIN}."


def state(path: Path) -> tuple[int, ...]:
    """What changes whenever a file is written again or replaced."""
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def checksum(path: Path) -> str | None:
    """The SHA-256 of a file; None if there is none."""
    with suppress(FileNotFoundError, IsADirectoryError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _sealed(content: dict[str, Any]) -> dict[str, Any]:
    return content | {SEAL: zlib.crc32(json.dumps(content).encode())}


def _replace(path: Path, write: Callable[[IO[bytes]], Any], mark: str, expected: str | None = None) -> str:
    unfinished = path.with_name(f".{path.name}.{mark}")
    try:
        with disk.writing(path), unfinished.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a crash of the machine could leave the new name on an empty file
        digest = str(checksum(unfinished))
        if expected not in (None, digest):
            raise ValueError(f"{path} is damaged or missing, and was not drawn again with the bytes it had.")
    except Exception:
        unfinished.unlink(missing_ok=True)
        raise
    with disk.writing(path):
        os.replace(unfinished, path)
    with suppress(OSError):  # some systems cannot open folders; they keep the order of renames by themselves
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return digest
