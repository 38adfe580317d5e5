"""Metrics of a run as lines of JSON, and for TensorBoard."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from jaxsamp.core import disk, extras, locks


class Journal:
    """A context manager that writes one entry per report; entries after the step that a run resumes from are dropped.

    Args:
        path: a file with one line of JSON per entry, or None.
        step: the step that the run starts from.
        tensorboard: a folder of scalars for TensorBoard, or None.

    Raises:
        ValueError: the file cannot be written, or another run is writing to it.
    """

    def __init__(self, path: str | Path | None, step: int, tensorboard: str | Path | None = None):
        self.path, self._board = None if path is None else Path(path).expanduser(), None
        self._held: IO[bytes] | None = None  # open as long as the run, which locks it
        if self.path is not None:
            self._held = _held(self.path, step)
        if tensorboard is not None:
            with extras.needed("tensorboard"):
                from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(Path(tensorboard).expanduser()), purge_step=step + 1 if step else None)

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry; when this returns, its line of JSON has been handed to the operating system.

        Raises:
            OSError: the disk is full, or the system refuses for another reason.
        """
        if self.path is not None:
            with disk.writing(self.path), self.path.open("a") as file:
                file.write(json.dumps(entry) + "\n")
        if self._board is not None:
            for name, value in entry.items():
                if name != "step":
                    self._board.add_scalar(f"training/{name}", value, entry["step"])

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()
        if self._held is not None:
            self._held.close()


def read(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a journal; those from the first line that is damaged, or was cut off by a crash, are left out."""
    return [entry for entry, _ in _entries(Path(path).read_bytes())]


def _entries(content: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    """The entries, and for each where its line ends."""
    end = 0
    for line in content.splitlines(keepends=True):
        end += len(line)
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n") or not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
            return
        yield entry, end


def _held(path: Path, step: int) -> IO[bytes]:
    """The file, open and locked, with the entries until `step` alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise ValueError(f"metrics_file must be a file that can be written; got {path} ({error}).") from error
    try:
        locks.hold(file, f"metrics_file must be a file that no other run is writing to; got {path}.")
        file.seek(0)
        ends = [end for entry, end in _entries(file.read()) if entry["step"] <= step] if step else []
        file.truncate(max(ends, default=0))  # nothing is written again, because the disk may be full
    except BaseException:
        file.close()
        raise
    return file
