"""Metrics of a run as lines of JSON, and for TensorBoard."""

import json
from pathlib import Path
from typing import Any


class Journal:
    """A context manager that writes one entry per report; entries after the step that a run resumes from are dropped.

    Args:
        path: a file with one line of JSON per entry, or None.
        step: the step that the run starts from.
        tensorboard: a folder of scalars for TensorBoard, or None.

    Raises:
        ValueError: the file cannot be written.
    """

    def __init__(self, path: str | Path | None, step: int, tensorboard: str | Path | None = None):
        self.path, self._board = None if path is None else Path(path).expanduser(), None
        if tensorboard is not None:
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(tensorboard), purge_step=step + 1 if step else None)
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            kept = [line for line in read(self.path) if line["step"] <= step] if step and self.path.exists() else []
            self.path.write_text("".join(_line(entry) for entry in kept))
        except OSError as error:
            raise ValueError(f"metrics_file must be a file that can be written; got {path} ({error}).") from error

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry; when this returns, its line of JSON has been handed to the operating system."""
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(_line(entry))
        if self._board is not None:
            for name, value in entry.items():
                if name != "step":
                    self._board.add_scalar(f"training/{name}", value, entry["step"])

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()


def read(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a journal; a last line that was cut off by a crash is left out."""
    entries = []
    for line in Path(path).read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"
