"""Folders of checkpoints: who may write to one, which checkpoints it holds, and which of these are whole.

Beside its files each checkpoint has their checksums, so whatever has happened to one is noticed before it is read.
"""

import hashlib
import json
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxsamp.core import locks

CHECKSUMS = "checksums.json"
DRAFT = "draft"  # in the folder of a run: the checkpoints of a smaller network that was trained beside it


def alone(folder: Path) -> Any:
    """A context in which no other run can write checkpoints to `folder`.

    Raises:
        ValueError: another run does, in this process or in another.
    """
    sentence = f"checkpoint must be a folder that no other run is writing to; another run is training in {folder}."
    return locks.folder(folder, sentence)


def steps(folder: Path) -> list[int]:
    """Steps of all checkpoints in `folder`, whole or damaged."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())


def whole(folder: Path, argument: str) -> int:
    """Step of the latest checkpoint in `folder` whose files are all as they were written.

    Raises:
        ValueError: there is none; the error names `argument` and the damaged ones.
    """
    damaged: list[str] = []
    for step in reversed(steps(folder)):
        place = folder / str(step)
        what = damage(place)
        if what is None:
            if damaged:
                warnings.warn(f"{_joined(damaged)}; the one before, {place}, is used instead.", stacklevel=4)
            return step
        damaged.append(f"{place} is damaged ({what})")
    if damaged:
        them = "them" if len(damaged) > 1 else "it"
        raise ValueError(
            f"{argument} must hold a checkpoint that is whole; {_joined(damaged)}. Remove {them} to train from the "
            "start."
        )
    raise ValueError(f"{argument} must hold a complete checkpoint; {folder} has none.")


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file in `folder` beside them, and wait until it is on the disk."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    sums = {path.relative_to(folder).as_posix(): _checksum(path) for path in paths}
    with (folder / CHECKSUMS).open("w") as file:
        file.write(json.dumps(sums, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())


def damage(folder: Path) -> str | None:
    """What has happened to the files in `folder`, in words; None if all of them are as they were written."""
    try:
        sums = json.loads((folder / CHECKSUMS).read_bytes())
    except FileNotFoundError:
        return f"{CHECKSUMS} is missing"
    except (OSError, ValueError):
        sums = None
    if not isinstance(sums, dict) or not sums:
        return f"{CHECKSUMS} cannot be read"
    for name, expected in sums.items():
        try:
            found = _checksum(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            return f"{name} is missing"
        except (OSError, ValueError):  # ValueError: a name that is damaged itself
            return f"{name} cannot be read"
        if found != expected:
            return f"{name} has changed"
    return None


def to_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    with suppress(OSError):  # some systems cannot open folders; they keep the order of renames by themselves
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _joined(phrases: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(phrases[:-1]), phrases[-1]]))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
