"""What is written down about a job, and which files of a folder belong to it.

While it runs, `run.json` says what it is, and `done-<process>.jsonl` has one line for each shard that a process has
put in its place. When all shards are there, `manifest.json` replaces these files. Nothing in it depends on when, by how
many processes, or in how many attempts the job was done. A file is ours only if its contents say so, or if one that is
ours names it.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.core.checks import SAMPLES_PER_KEY
from jaxsamp.running.shards import files
from jaxsamp.running.shards.files import Damaged

RUN, MANIFEST = "run.json", "manifest.json"
KNOWN_BY = (MANIFEST, RUN)
SHARD, JOURNAL = re.compile(r"shard-(\d{6,})\.npz"), re.compile(r"done-(\d+)\.jsonl")
LINE = b'{"file": "shard-'  # how every line of a journal begins
UNFINISHED = re.compile(rf"\.(?:{SHARD.pattern}|run\.json|manifest\.json)\.tmp-(?P<process>\d+)")

Job = dict[str, Any]
Entry = dict[str, Any]


def name(shard: int) -> str:
    """The file of a shard."""
    return f"shard-{shard:06d}.npz"


def journal(process: int) -> str:
    """The file with one line for each shard of a process."""
    return f"done-{process}.jsonl"


def mark(process: int) -> str:
    """The end of the names that the files of a process have until they are complete."""
    return f"tmp-{process}"


def count(job: Job) -> int:
    """Number of all shards."""
    return -(-job["samples"] // job["shard_size"])


def read(folder: Path, kind: str) -> Job | None:
    """The run or the manifest of a folder; None if there is none.

    Raises:
        Damaged: it is damaged, or something else than the record of samples in shards.
    """
    path = folder / kind
    try:
        job = files.opened(path.read_bytes())
    except FileNotFoundError:
        return None
    except Damaged as error:
        raise Damaged(_complaint(path, error)) from error
    wrong = "it says other things" if not _is_job(job) else ""
    if not wrong and kind == MANIFEST:
        stored = job.get("shards")
        if not isinstance(stored, list) or len(stored) != count(job):
            wrong = f"it must list the {count(job):,} shards of {job['samples']:,} samples"
        elif not all(is_entry(entry, job) for entry in stored) or not isinstance(job.get("costs"), dict):
            wrong = "it says other things"
    if wrong:
        raise Damaged(_complaint(path, wrong))
    return job


def identifier(job: Job) -> str:
    """A checksum of what a job is, for the lines of its journals: two jobs may have begun in one folder."""
    known = {name: value for name, value in job.items() if name not in ("versions", "costs", "shards")}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def journaled(folder: Path, job: Job) -> dict[str, Entry]:
    """The valid entries of all journals, by file: shards whose lines are cut off or damaged count as not drawn."""
    entries, own = {}, identifier(job)
    for path in sorted(journals(folder)):
        lines = (entry for entry in _lines(folder / path) if entry.pop("job", None) == own)
        entries |= {entry["file"]: entry for entry in lines if is_entry(entry, job)}
    return entries


def journals(folder: Path) -> dict[str, re.Match[str]]:
    """The journals of a folder, without files of other people that are only called so."""
    return {file: match for file, match in found(folder, JOURNAL).items() if is_journal(folder / file)}


def is_journal(path: Path) -> bool:
    """Whether a file has lines of ours, of which even the first one may be cut off, or nothing in it."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return LINE.startswith(file.read(len(LINE)))
    return False


def is_entry(entry: Any, job: Job) -> bool:
    """Whether it is what a job of this size writes down about one of its shards."""
    if not isinstance(entry, dict):
        return False
    match = SHARD.fullmatch(str(entry.get("file")))
    if match is None or not isinstance(entry.get("sha256"), str) or not isinstance(entry.get("costs"), dict):
        return False
    shard, size = int(match[1]), job["shard_size"]
    right = (name(shard), shard * size, min(size, job["samples"] - shard * size))
    return shard < count(job) and (entry["file"], entry.get("first"), entry.get("count")) == right


def ours(folder: Path) -> set[str]:
    """Names of all shards in a folder that its run, its manifest or its journals name."""
    named = {str(entry.get("file")) for path in journals(folder) for entry in _lines(folder / path)}
    for kind in KNOWN_BY:
        with suppress(Damaged):
            job = read(folder, kind)
            if job is not None:
                named |= {file for file, shard in found(folder, SHARD).items() if int(shard[1]) < count(job)}
    return named & set(found(folder, SHARD))


def found(folder: Path, kind: re.Pattern[str]) -> dict[str, re.Match[str]]:
    """The files of a folder whose whole names match."""
    with os.scandir(folder) as there:
        matches = ((entry.name, kind.fullmatch(entry.name)) for entry in there if entry.is_file())
        return {file: match for file, match in matches if match is not None}


def total(entries: list[Entry]) -> dict[str, Any]:
    """What each sample cost, on average and at most, and how many converged."""
    n, totals = sum(entry["count"] for entry in entries), {}
    for cost in entries[0]["costs"]:
        values = [entry["costs"][cost] for entry in entries]
        most = cost.endswith("_most")
        totals[cost] = max(values) if most else sum(values) if cost == "converged" else sum(values) / n
    return totals


def _lines(path: Path) -> Iterator[Entry]:
    """What the undamaged lines of a journal say; the last one may have been cut off by a crash."""
    lines = []
    with suppress(FileNotFoundError):  # another process has just finished the job
        lines = path.read_bytes().split(b"\n")[:-1]
    for line in lines:
        with suppress(Damaged):
            yield files.opened(line)


def _is_job(job: Job) -> bool:
    """Whether it says what the reader of a folder needs to know, within bounds."""

    def numbers(*values: Any, least: int) -> bool:
        return all(type(value) is int and least <= value <= SAMPLES_PER_KEY for value in values)

    event, dtype = job.get("event"), job.get("dtype")
    with suppress(TypeError):
        np.dtype(dtype)
        sizes = numbers(job.get("samples"), job.get("shard_size"), least=1)
        return sizes and isinstance(event, list) and numbers(*event, least=0) and isinstance(job.get("settings"), dict)
    return False


def _complaint(path: Path, why: object) -> str:
    return (
        f"folder must hold nothing else than samples in shards under the names {RUN} and {MANIFEST}; {path} is "
        f"damaged, or of something else ({why}). Give another folder."
    )
