"""A folder of shards as one long array that is read one shard at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.running.shards import files, ledger


class Shards:
    """The samples in a folder that `sample_shards` or `sample_density_shards` has written or is writing.

    `shards[a:b]` are samples a .. b - 1 as one array; only the shards that hold them are read. Iteration gives one
    shard after the other. `len` is the number of samples.

    Args:
        folder: where the shards are.

    Raises:
        ValueError: there are no shards.

    Attributes:
        folder: where the shards are.
        manifest: the contents of `manifest.json`: the settings, the costs, and the file, number and checksum of each
            shard; for an unfinished job, what is known so far.
        shape: (n, *event).
        dtype: dtype of the samples.
        shard_size: samples per shard; the last shard may have fewer.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).expanduser()
        # In this order, because a process that finishes writes the manifest before it removes the other files.
        run = files.read_json(self.folder / ledger.RUN)
        entries = sorted(ledger.journaled(self.folder).values(), key=lambda entry: entry["first"])
        manifest = files.read_json(self.folder / ledger.MANIFEST)
        if manifest is None and run is not None:
            manifest = run | {"shards": entries}
        if manifest is None:
            raise ValueError(f"folder must hold samples in shards, with a {ledger.MANIFEST}; got {folder}.")
        self.manifest: dict[str, Any] = manifest
        self.shape: tuple[int, ...] = (manifest["samples"], *manifest["event"])
        self.dtype, self.shard_size = np.dtype(manifest["dtype"]), int(manifest["shard_size"])

    @property
    def missing(self) -> list[str]:
        """Names of the shards that are not there yet."""
        known = {entry["file"] for entry in self.manifest["shards"]}
        names = [ledger.name(shard) for shard in range(-(-len(self) // self.shard_size))]
        return [name for name in names if name not in known or not (self.folder / name).exists()]

    @property
    def complete(self) -> bool:
        """Whether the manifest and all shards are there."""
        return (self.folder / ledger.MANIFEST).exists() and not self.missing

    def verify(self) -> None:
        """Compare every shard with its checksum.

        Raises:
            ValueError: a shard is missing, or has another checksum.
        """
        self._check(self.missing)
        for entry in self.manifest["shards"]:
            path = self.folder / entry["file"]
            if files.checksum(path) != entry["sha256"]:
                raise ValueError(
                    f"{path} must have the checksum that was written down, and has another: remove it, and run the "
                    "same job again."
                )

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self), self.shard_size):
            yield self[first : first + self.shard_size]

    def __getitem__(self, which: Any) -> np.ndarray:
        if not isinstance(which, slice) or which.step not in (None, 1):
            raise TypeError(f"samples are read by ranges, shards[a:b]; got shards[{which!r}].")
        first, last, _ = which.indices(len(self))
        size, parts = self.shard_size, []
        for shard in range(first // size, -(-last // size) if last > first else 0):
            name, start = ledger.name(shard), shard * size
            self._check([name] if name in self.missing else [])
            parts.append(files.read_shard(self.folder / name)[max(first - start, 0) : last - start])
        return np.concatenate(parts) if parts else np.zeros((0, *self.shape[1:]), self.dtype)

    def _check(self, missing: list[str]) -> None:
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ValueError(f"{self.folder} must hold all its shards; {missing[0]}{more} are missing.")
