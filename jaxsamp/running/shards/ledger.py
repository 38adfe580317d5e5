"""One process's view of a job: which shards are there, the lock of its writer, and how a job ends or is removed."""

import json
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from textwrap import shorten
from typing import IO, Any

import numpy as np

from jaxsamp.core import disk, locks
from jaxsamp.core.fingerprint import differences
from jaxsamp.running.shards import files, record
from jaxsamp.running.shards.record import MANIFEST, RUN, Entry, Job

MAX_NAMED, MAX_LETTERS = 4, 120  # an error names at most four settings that differ, in at most 120 letters each


def clear(folder: str | Path) -> None:
    """Remove a job from its folder, and no file of anybody else; those by which it is known are removed last.

    Raises:
        ValueError: a process is writing to it.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        return
    shards = record.ours(folder)
    known = [kind for kind in record.KNOWN_BY if _known_to_be_ours(folder, kind)]
    if not shards and not known:
        return
    with ExitStack() as locked:
        writers = _writers(folder)
        for process in writers:
            locked.enter_context(_lock(folder, process))
        for file in shards:
            (folder / file).unlink(missing_ok=True)
        for process in writers:
            _remove(folder, process)
        for kind in known:
            (folder / kind).unlink(missing_ok=True)


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
        Damaged: a file by which the job is known is damaged, or something else.
    """

    def __init__(self, folder: Path, identity: Job, versions: dict[str, str], process: int):
        self.folder, self._process, self._mark = folder, process, record.mark(process)
        self._identity, self._versions = json.loads(json.dumps(identity)), versions
        self._journal: IO[bytes] | None = None
        self._ours: dict[str, Entry] = {}  # the entries that this process has checked or made
        # In this order, because a process that finishes writes the manifest before it removes the run.
        run, manifest = self._known(RUN), self._known(MANIFEST)
        if manifest is None and run is None and (there := record.found(folder, record.SHARD)):
            if record.ours(folder):
                raise OtherSettings(f"{folder} holds shards without their {MANIFEST}. Give another folder.")
            raise ValueError(f"folder must not hold {min(there)} of something else; {folder} does.")
        self._finished = {entry["file"]: entry for entry in manifest["shards"]} if manifest else {}
        self._entries = self._finished or record.journaled(folder, self._identity)

    def has(self, shard: int) -> bool:
        """Whether a shard is in its place, with the right checksum."""
        file = record.name(shard)
        entry = self._entries.get(file)
        if entry is None or files.checksum(self.folder / file) != entry["sha256"]:
            return False
        self._ours[file] = entry
        return True

    def lock(self) -> None:
        """Become the one writer of this number; without effect if this process is.

        Raises:
            ValueError: another process is.
        """
        if self._journal is None:
            self._journal = _lock(self.folder, self._process)
            path = self.folder / record.journal(self._process)
            if not record.is_journal(path):
                self._journal.close()
                self._journal = None
                raise ValueError(f"folder must not hold {path.name} of something else; {self.folder} does.")
            self._journal.seek(0)
            self._journal.truncate(self._journal.read().rfind(b"\n") + 1)  # without a line that was cut off
            _remove_unfinished(self.folder, self._process)

    def write(self, shard: int, first: int, samples: np.ndarray, costs: dict[str, int]) -> None:
        """Put a shard in its place, and write its entry."""
        file, journal = record.name(shard), self._begin()
        expected = self._finished.get(file, {}).get("sha256")
        digest = files.write_shard(self.folder / file, samples, first, self._mark, expected)
        entry = {"file": file, "first": first, "count": len(samples), "sha256": digest, "costs": costs}
        self._ours[file] = entry
        with disk.writing(self.folder / record.journal(self._process)):
            journal.write(files.line(entry | {"job": record.identifier(self._identity)}))
            journal.flush()
            os.fsync(journal.fileno())

    def finish(self) -> None:
        """If the shards of all processes are there, write the manifest and remove the files that it replaces."""
        for kind in (RUN, MANIFEST):  # another job may have begun in the meantime
            self._known(kind)
        manifest, known = self.folder / MANIFEST, record.journaled(self.folder, self._identity) | self._ours

        def whole_there(file: str) -> bool:
            """Whether a shard has the right checksum: those of other processes are read again."""
            return file in self._ours or files.checksum(self.folder / file) == known[file]["sha256"]

        if not manifest.exists() and len(known) == record.count(self._identity) and all(map(whole_there, known)):
            self.lock()
            stored, entries = record.read(self.folder, RUN) or {}, sorted(known.values(), key=lambda e: e["first"])
            content = self._identity | {"versions": stored.get("versions", self._versions)}
            content |= {"costs": record.total(entries), "shards": entries}
            files.write_json(manifest, content, self._mark)
        if manifest.exists():
            for process in _writers(self.folder):
                if process == self._process and self._journal is not None:
                    _remove(self.folder, process)
                else:
                    with suppress(ValueError), _lock(self.folder, process):  # what a live process holds is left to it
                        _remove(self.folder, process)
            (self.folder / RUN).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal, which frees its lock."""
        if self._journal is not None:
            if not os.fstat(self._journal.fileno()).st_size:  # not one shard was written
                (self.folder / record.journal(self._process)).unlink(missing_ok=True)
            self._journal.close()

    def _known(self, kind: str) -> Job | None:
        """The stored run or manifest, which must be of this job; None if there is none."""
        known, here = record.read(self.folder, kind), self._identity
        stored = here if known is None else known
        phrases = differences(_flat(stored, here), _flat(here, here)) or differences(
            {"programs": stored.get("programs")},
            {"programs": here["programs"]},  # which follow from all of the others
        )
        if phrases:
            phrases.sort(key=lambda phrase: len(phrase) > MAX_LETTERS)  # lists of levels and the like come last
            named = [shorten(phrase, MAX_LETTERS, placeholder=" ...") for phrase in phrases[:MAX_NAMED]]
            named += [f"and {len(phrases) - MAX_NAMED} more"] if len(phrases) > MAX_NAMED else []
            raise OtherSettings(
                f"{self.folder} holds samples of other settings: {'; '.join(named)}. "
                "Give the same settings, or another folder."
            )
        return known

    def _begin(self) -> IO[bytes]:
        """The journal, after writing down what the job is: only when there is a shard to write.

        So a run that fails before its first shard is drawn, for lack of memory for instance, can be repeated with other
        settings. If two jobs begin together in one folder, one stops at its next shard, or when it would finish.
        """
        self.lock()
        if self._known(RUN) is None and self._known(MANIFEST) is None:
            files.write_json(self.folder / RUN, self._identity | {"versions": self._versions}, self._mark)
            self._known(RUN)
        assert self._journal is not None
        return self._journal


def _flat(stored: Job, identity: Job) -> dict[str, Any]:
    """The values to compare, the settings first, because they say more than what follows from them."""
    first = {"jax": stored.get("jax"), "flags": stored.get("flags"), **(stored.get("settings") or {})}
    return first | {field: stored.get(field) for field in identity if field not in ("settings", "programs", *first)}


def _known_to_be_ours(folder: Path, kind: str) -> bool:
    with suppress(files.Damaged):
        return record.read(folder, kind) is not None
    return False


def _writers(folder: Path) -> set[int]:
    """The numbers of all processes that have files of their own."""
    unfinished = {int(match["process"]) for match in record.found(folder, record.UNFINISHED).values()}
    return unfinished | {int(match[1]) for match in record.journals(folder).values()}


def _lock(folder: Path, process: int) -> IO[bytes]:
    """The journal of a process, locked until it is closed: the lock of a writer, freed however the writer ends.

    Raises:
        ValueError: another process holds it.
    """
    path = folder / record.journal(process)
    while True:
        with disk.writing(path):
            journal = path.open("a+b")
        try:
            locks.hold(journal, f"folder must not be written to by another run; {folder} is.")
            with suppress(FileNotFoundError):  # else a process that ended has removed what is locked now
                if os.path.samestat(os.fstat(journal.fileno()), path.stat()):
                    return journal
        except BaseException:
            journal.close()
            raise
        journal.close()


def _remove(folder: Path, process: int) -> None:
    """Remove the files that one process has to itself."""
    _remove_unfinished(folder, process)
    (folder / record.journal(process)).unlink(missing_ok=True)


def _remove_unfinished(folder: Path, process: int) -> None:
    for file, match in record.found(folder, record.UNFINISHED).items():
        if int(match["process"]) == process:
            (folder / file).unlink(missing_ok=True)
