"""Metrics of a run as lines of JSON."""

import json
from pathlib import Path
from typing import Any


class Journal:
    """One line of JSON for each report; lines beyond the step that a run resumes from are dropped.

    Args:
        path: the file; None for no journal.
        step: the step that the run starts from.
    """

    def __init__(self, path: str | Path | None, step: int):
        self.path = None if path is None else Path(path)
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read(self.path) if line["step"] <= step] if step and self.path.exists() else []
        self.path.write_text("".join(_line(entry) for entry in kept))

    def write(self, entry: dict[str, Any]) -> None:
        """Append one line; it is on disk when this returns, up to the machine's own cache."""
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(_line(entry))


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
