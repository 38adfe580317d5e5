"""What a job is, and which of its shards are there.

While it runs, `run.json` says what it is, and `done-<process>.jsonl` has one line for each shard that a process has
put in its place. When all are there `manifest.json` takes their place. It has nothing in it that depends on when, by
how many processes, or in how many attempts the job was done.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from jaxsamp.core.fingerprint import differences
from jaxsamp.running.shards import files

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None

RUN, MANIFEST, JOURNALS, SHARDS = "run.json", "manifest.json", "done-*.jsonl", "shard-*.npz"
UNFINISHED = tuple(f".{kind}.tmp-*" for kind in (SHARDS, RUN, MANIFEST))
KNOWN_BY = (MANIFEST, RUN)
NAMED, LONGEST = 4, 120  # of the settings that differ, so many are told, in so many letters each


def name(shard: int) -> str:
    """The file of a shard."""
    return f"shard-{shard:06d}.npz"


def journaled(folder: Path) -> dict[str, dict[str, Any]]:
    """By file, what the journals say; a last line that was cut off by a crash is left out."""
    found = {}
    for journal in sorted(folder.glob(JOURNALS)):
        with suppress(FileNotFoundError):  # another process has just finished the job
            for line in journal.read_bytes().split(b"\n")[:-1]:
                entry = json.loads(line)
                found[entry["file"]] = entry
    return found


def clear(folder: Path) -> None:
    """Remove a job from its folder; what says that there is one goes last."""
    _remove(folder, SHARDS, *UNFINISHED, JOURNALS, MANIFEST, RUN)


class OtherSettings(ValueError):
    """A folder that cannot be gone on with, for its samples are others."""


class Ledger:
    """One process's view of a job.

    Args:
        folder: where the job is.
        identity: what it is, plain values: all that the bytes of its shards depend on.
        versions: of the software; written down, not compared.
        process: number of this process.

    Raises:
        OtherSettings: the folder holds another job, naming what differs; or shards that nothing is known of.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], versions: dict[str, str], process: int):
        self.folder, self._mark = folder, f"tmp-{process}"
        self._own = folder / f"done-{process}.jsonl"
        self._identity, self._versions = json.loads(json.dumps(identity)), versions
        self._journal: Any = None
        # In this order: another process may be finishing, which writes the one before it removes the other.
        run, manifest = self._known(RUN), self._known(MANIFEST)
        if manifest is None and run is None and any(folder.glob(SHARDS)):
            raise OtherSettings(f"{folder} holds shards without their {MANIFEST}. Give another folder.")
        self._finished = manifest is not None
        self._found = {entry["file"]: entry for entry in manifest["shards"]} if manifest else journaled(folder)
        self._ours: dict[str, dict[str, Any]] = {}  # of those, what this process has seen or made

    def has(self, shard: int) -> bool:
        """Whether a shard is in its place with the bytes that were written down; of a finished job, whether it is."""
        entry, path = self._found.get(name(shard)), self.folder / name(shard)
        if entry is None or not path.exists():
            return False
        if not self._finished and files.checksum(path) != entry["sha256"]:
            return False
        self._ours[name(shard)] = entry
        return True

    def write(self, shard: int, first: int, samples: np.ndarray, costs: dict[str, int]) -> None:
        """Put a shard in its place, and write that down."""
        if self._journal is None and not self._finished:
            self._begin()
        path = self.folder / name(shard)
        entry = {"file": path.name, "first": first, "count": len(samples)}
        entry |= {"sha256": files.write_shard(path, samples, self._mark), "costs": costs}
        if self._finished and self._found[path.name] != entry:
            path.unlink()
            raise ValueError(f"{path} is missing, and was not drawn again with the bytes that {MANIFEST} tells of.")
        self._ours[path.name] = entry
        if self._journal is not None:
            self._journal.write(json.dumps(entry).encode() + b"\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())

    def finish(self, shards: int) -> None:
        """If the shards of all processes are there, write the manifest and remove what it replaces."""
        entries, names = journaled(self.folder) | self._ours, [name(shard) for shard in range(shards)]
        manifest = self.folder / MANIFEST

        def whole_there(name: str) -> bool:
            """With the bytes that were written down: those of other processes are read again."""
            return name in self._ours or files.checksum(self.folder / name) == entries[name]["sha256"]

        known = all(name in entries and (self.folder / name).exists() for name in names)
        if not manifest.exists() and known and all(map(whole_there, names)):
            told, whole = files.read_json(self.folder / RUN) or {}, [entries[name] for name in names]
            content = self._identity | {"versions": told.get("versions", self._versions), "costs": _total(whole)}
            with suppress(FileNotFoundError):  # another process has written the same, and tidied up
                files.write_json(manifest, content | {"shards": whole}, self._mark)
        if manifest.exists():
            _remove(self.folder, *UNFINISHED, JOURNALS, RUN)

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()

    def _known(self, kind: str) -> dict[str, Any] | None:
        """The run or the manifest that is there, which must be of this job."""
        known, here = files.read_json(self.folder / kind), self._identity
        found = [] if known is None else differences(_flat(known, here), _flat(here, here))
        if found:
            found.sort(key=lambda phrase: len(phrase) > LONGEST)  # lists of levels and the like are told last
            told = [shorten(phrase, LONGEST, placeholder=" ...") for phrase in found[:NAMED]]
            told += [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
            raise OtherSettings(
                f"{self.folder} holds samples of other settings: {'; '.join(told)}. "
                "Give the same settings, or another folder."
            )
        return known

    def _begin(self) -> None:
        """Say what the job is, and open the journal: when there is a shard to write, and not before.

        So a run that fails over its first shard, out of memory perhaps, can be repeated with other settings.
        """
        if self._known(RUN) is None:
            files.write_json(self.folder / RUN, self._identity | {"versions": self._versions}, self._mark)
            self._known(RUN)  # of two jobs that begin together one stops here
        self._journal = self._own.open("a+b")
        if fcntl is not None:
            try:
                fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go however we end
            except BlockingIOError as error:
                raise ValueError(f"folder must not be written to by another run; {self.folder} is.") from error
            except OSError:  # a file system without locks
                pass
        self._journal.seek(0)
        self._journal.truncate(self._journal.read().rfind(b"\n") + 1)  # without a line that was cut off
        _remove(self.folder, f".*.{self._mark}")


def _flat(told: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """What is compared, the settings first: they say more than what follows from them."""
    return {**(told.get("settings") or {}), **{field: told.get(field) for field in identity if field != "settings"}}


def _total(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """What a sample cost on average and at most, and how many converged."""
    count = sum(entry["count"] for entry in entries)
    found = {}
    for cost in entries[0]["costs"]:
        values = [entry["costs"][cost] for entry in entries]
        most = cost.endswith("_most")
        found[cost] = max(values) if most else sum(values) if cost == "converged" else sum(values) / count
    return found


def _remove(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
