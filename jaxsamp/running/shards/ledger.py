"""What a job is, and which of its shards are there.

While it runs, `run.json` says what it is, and `done-<process>.jsonl` has one line for each shard that a process has
put in its place. When all shards are there, `manifest.json` replaces these files. Nothing in it depends on when, by how
many processes, or in how many attempts the job was done.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from jaxsamp.core import locks
from jaxsamp.core.fingerprint import differences
from jaxsamp.running.shards import files

RUN, MANIFEST, JOURNALS, SHARDS = "run.json", "manifest.json", "done-*.jsonl", "shard-*.npz"
UNFINISHED = tuple(f".{kind}.tmp-*" for kind in (SHARDS, RUN, MANIFEST))
KNOWN_BY = (MANIFEST, RUN)
MAX_NAMED, MAX_LETTERS = 4, 120  # an error names at most four settings that differ, in at most 120 letters each


def name(shard: int) -> str:
    """The file of a shard."""
    return f"shard-{shard:06d}.npz"


def journaled(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of all journals, by file; a last line that was cut off by a crash is left out."""
    entries = {}
    for journal in sorted(folder.glob(JOURNALS)):
        with suppress(FileNotFoundError):  # another process has just finished the job
            for line in journal.read_bytes().split(b"\n")[:-1]:
                entry = json.loads(line)
                entries[entry["file"]] = entry
    return entries


def clear(folder: Path) -> None:
    """Remove a job from its folder; the files by which it is known are removed last."""
    _remove(folder, SHARDS, *UNFINISHED, JOURNALS, MANIFEST, RUN)


class OtherSettings(ValueError):
    """A folder that cannot be continued, because its samples have other settings."""


class Ledger:
    """One process's view of a job.

    Args:
        folder: where the job is.
        identity: what the job is: plain values, all that the bytes of its shards depend on.
        versions: versions of the software, which are written down but not compared.
        process: number of this process.

    Raises:
        OtherSettings: the folder holds another job, and what differs is named; or it holds shards without a manifest.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], versions: dict[str, str], process: int):
        self.folder, self._mark = folder, f"tmp-{process}"
        self._own = folder / f"done-{process}.jsonl"
        self._identity, self._versions = json.loads(json.dumps(identity)), versions
        self._journal: Any = None
        # In this order, because a process that finishes writes the manifest before it removes the run.
        run, manifest = self._known(RUN), self._known(MANIFEST)
        if manifest is None and run is None and any(folder.glob(SHARDS)):
            raise OtherSettings(f"{folder} holds shards without their {MANIFEST}. Give another folder.")
        self._finished = manifest is not None
        self._entries = {entry["file"]: entry for entry in manifest["shards"]} if manifest else journaled(folder)
        self._ours: dict[str, dict[str, Any]] = {}  # the entries that this process has checked or made

    def has(self, shard: int) -> bool:
        """Whether a shard is in its place, with the right checksum; in a finished job checksums are not read again."""
        entry, path = self._entries.get(name(shard)), self.folder / name(shard)
        if entry is None or not path.exists():
            return False
        if not self._finished and files.checksum(path) != entry["sha256"]:
            return False
        self._ours[name(shard)] = entry
        return True

    def write(self, shard: int, first: int, samples: np.ndarray, costs: dict[str, int]) -> None:
        """Put a shard in its place, and write its entry."""
        if self._journal is None and not self._finished:
            self._begin()
        path = self.folder / name(shard)
        entry = {"file": path.name, "first": first, "count": len(samples)}
        entry |= {"sha256": files.write_shard(path, samples, self._mark), "costs": costs}
        if self._finished and self._entries[path.name] != entry:
            path.unlink()
            raise ValueError(f"{path} is missing, and was not drawn again with the bytes of {MANIFEST}.")
        self._ours[path.name] = entry
        if self._journal is not None:
            self._journal.write(json.dumps(entry).encode() + b"\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())

    def finish(self, shards: int) -> None:
        """If the shards of all processes are there, write the manifest and remove the files that it replaces."""
        entries, names = journaled(self.folder) | self._ours, [name(shard) for shard in range(shards)]
        manifest = self.folder / MANIFEST

        def whole_there(name: str) -> bool:
            """Whether a shard has the right checksum: those of other processes are read again."""
            return name in self._ours or files.checksum(self.folder / name) == entries[name]["sha256"]

        known = all(name in entries and (self.folder / name).exists() for name in names)
        if not manifest.exists() and known and all(map(whole_there, names)):
            stored, whole = files.read_json(self.folder / RUN) or {}, [entries[name] for name in names]
            content = self._identity | {"versions": stored.get("versions", self._versions), "costs": _total(whole)}
            with suppress(FileNotFoundError):  # another process has written the same manifest, and removed the rest
                files.write_json(manifest, content | {"shards": whole}, self._mark)
        if manifest.exists():
            _remove(self.folder, *UNFINISHED, JOURNALS, RUN)

    def close(self) -> None:
        """Close the journal, which frees its lock."""
        if self._journal is not None:
            self._journal.close()

    def _known(self, kind: str) -> dict[str, Any] | None:
        """The stored run or manifest, which must be of this job; None if there is none."""
        known, here = files.read_json(self.folder / kind), self._identity
        phrases = [] if known is None else differences(_flat(known, here), _flat(here, here))
        if phrases:
            phrases.sort(key=lambda phrase: len(phrase) > MAX_LETTERS)  # lists of levels and the like come last
            named = [shorten(phrase, MAX_LETTERS, placeholder=" ...") for phrase in phrases[:MAX_NAMED]]
            named += [f"and {len(phrases) - MAX_NAMED} more"] if len(phrases) > MAX_NAMED else []
            raise OtherSettings(
                f"{self.folder} holds samples of other settings: {'; '.join(named)}. "
                "Give the same settings, or another folder."
            )
        return known

    def _begin(self) -> None:
        """Write down what the job is, and open the journal: only when there is a shard to write.

        So a run that fails in its first shard, for instance for lack of memory, can be repeated with other settings.
        """
        if self._known(RUN) is None:
            files.write_json(self.folder / RUN, self._identity | {"versions": self._versions}, self._mark)
            self._known(RUN)  # if two jobs begin together, one stops here
        self._journal = self._own.open("a+b")
        locks.hold(self._journal, f"folder must not be written to by another run; {self.folder} is.")
        self._journal.seek(0)
        self._journal.truncate(self._journal.read().rfind(b"\n") + 1)  # without a line that was cut off
        _remove(self.folder, f".*.{self._mark}")


def _flat(stored: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """The values to compare, the settings first, because they say more than what follows from them."""
    return {**(stored.get("settings") or {}), **{field: stored.get(field) for field in identity if field != "settings"}}


def _total(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """What each sample cost, on average and at most, and how many converged."""
    count = sum(entry["count"] for entry in entries)
    totals = {}
    for cost in entries[0]["costs"]:
        values = [entry["costs"][cost] for entry in entries]
        most = cost.endswith("_most")
        totals[cost] = max(values) if most else sum(values) if cost == "converged" else sum(values) / count
    return totals


def _remove(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
