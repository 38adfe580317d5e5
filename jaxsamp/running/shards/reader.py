"""A folder of shards as one long array that is read one shard at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.running.shards import files, record


class Shards:
    """The samples in a folder that `sample_shards` or `sample_density_shards` has written or is writing.

    `shards[a:b]` are samples a .. b - 1 as one array; only the shards that hold them are read. Iteration gives one
    shard after the other. `len` is the number of samples. A shard is compared with its checksum when it is read for the
    first time, and again if its file has changed; otherwise it must say that it holds the samples of its number.

    Args:
        folder: where the shards are.
        job: what the job is, if it is known although nothing has been written down yet.

    Raises:
        ValueError: there are no shards; or, as `js.running.shards.Damaged`, the manifest or a shard that is read is
            not what was written.

    Attributes:
        folder: where the shards are.
        manifest: the contents of `manifest.json`: the settings, the costs, and the file, number and checksum of each
            shard; for an unfinished job, what is known so far.
        shape: (n, *event).
        dtype: dtype of the samples.
        shard_size: samples per shard; the last shard may have fewer.
    """

    def __init__(self, folder: str | Path, job: dict[str, Any] | None = None):
        self.folder = Path(folder).expanduser()
        # In this order, because a process that finishes writes the manifest before it removes the other files.
        there = self.folder.is_dir()
        run = (record.read(self.folder, record.RUN) if there else None) or job
        entries = [] if run is None else [*record.journaled(self.folder, run).values()]
        manifest: record.Job | None = record.read(self.folder, record.MANIFEST) if there else None
        if manifest is None and run is not None:
            manifest = {**run, "shards": sorted(entries, key=lambda entry: entry["first"])}
        if manifest is None:
            raise ValueError(f"folder must hold samples in shards, with a {record.MANIFEST}; got {folder}.")
        self.manifest: dict[str, Any] = manifest
        self.shape: tuple[int, ...] = (manifest["samples"], *manifest["event"])
        self.dtype, self.shard_size = np.dtype(manifest["dtype"]), int(manifest["shard_size"])
        self._checksums = {entry["file"]: entry["sha256"] for entry in manifest["shards"]}
        self._compared: dict[str, tuple[int, ...]] = {}  # files that have had the right checksum, as they were then

    @property
    def missing(self) -> list[str]:
        """Names of the shards that are not there yet."""
        there = self._checksums.keys() & record.found(self.folder, record.SHARD).keys()
        return [name for name in map(record.name, range(record.count(self.manifest))) if name not in there]

    @property
    def complete(self) -> bool:
        """Whether the manifest and all shards are there."""
        return (self.folder / record.MANIFEST).exists() and not self.missing

    def damaged(self) -> Iterator[str]:
        """Read every shard that is there, and give the names of those that have another checksum."""
        for name, expected in self._checksums.items():
            if files.checksum(self.folder / name) not in (None, expected):
                yield name

    def verify(self) -> None:
        """Compare every shard with its checksum.

        Raises:
            ValueError: a shard is missing, or has another checksum.
        """
        self._check(self.missing)
        for name in self.damaged():
            raise files.Damaged(files.other_checksum(self.folder / name))

    def __repr__(self) -> str:
        there, count = len(self._checksums), record.count(self.manifest)
        return f"Shards({str(self.folder)!r}, shape={self.shape}, dtype={self.dtype}, {there:,} of {count:,} shards)"

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self), self.shard_size):
            yield self[first : first + self.shard_size]

    def __getitem__(self, which: Any) -> np.ndarray:
        if not isinstance(which, slice) or which.step not in (None, 1):
            raise TypeError(f"samples are read by ranges, shards[a:b]; got shards[{which!r}].")
        first, last, _ = which.indices(len(self))
        size = self.shard_size
        numbers = range(first // size, -(-last // size) if last > first else 0)
        for number in numbers:  # before any of them is read; the first one that is unknown ends this loop
            if record.name(number) not in self._checksums:
                self._check([record.name(number)])
        parts = [self._read(number)[max(first - number * size, 0) : last - number * size] for number in numbers]
        return np.concatenate(parts) if parts else np.zeros((0, *self.shape[1:]), self.dtype)

    def _read(self, number: int) -> np.ndarray:
        name = record.name(number)
        path = self.folder / name
        try:
            first, before, now = number * self.shard_size, self._compared.get(name), files.state(path)
            if before not in (None, now):
                files.read_shard(path, first)  # it may hold the samples of another number, which says more
            samples = files.read_shard(path, first, None if before == now else self._checksums[name])
        except (FileNotFoundError, IsADirectoryError):
            self._check([name])
            raise
        self._compared[name] = now
        return samples.view(self.dtype) if samples.dtype.kind == "V" else samples  # bfloat16, which NumPy cannot name

    def _check(self, missing: list[str]) -> None:
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ValueError(f"{self.folder} must hold all its shards; {missing[0]}{more} are missing.")
