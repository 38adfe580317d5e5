"""Data that do not fit in memory: Grain shuffles, reads and batches them ahead of the training step.

A `grain.MapDataset` has random access, so its batches are numbered like all others, and a run resumes by counting.
"""

import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from jaxsamp import datasets
from jaxsamp.core import checks, extras
from jaxsamp.datasets.arrays import warn_if_channels_first
from jaxsamp.training.moments import Moments

# Each thread makes a whole batch; decoding images leaves Python free, so that they run side by side.
THREADS = min(8, os.cpu_count() or 1)
SAMPLES_FOR_STD, SAMPLES_FOR_CHECKSUM = 2048, 8


def is_dataset(data: Any) -> bool:
    """Whether `data` is a `grain.MapDataset`; false for everything while Grain is not imported."""
    return (grain := sys.modules.get("grain")) is not None and isinstance(data, grain.MapDataset)


@dataclass
class Lazy:
    """Samples of a Grain dataset: each pass has every sample once; samples are checked as they are read.

    Attributes:
        dataset: a `grain.MapDataset` of arrays, of pairs (array, condition), or of dicts with "x" and perhaps "cond".
        seed: an integer that determines the orders.
        host, hosts: this host reads part number `host` of the `hosts` equal parts of each batch; together they have the
            batch that one host alone would have.
    """

    dataset: Any
    seed: int
    host: int = 0
    hosts: int = 1

    def __post_init__(self) -> None:
        if len(self.dataset) == 0:
            raise ValueError("data must have samples; the dataset is empty.")
        first = self._plain(0, self.dataset[0])
        warn_if_channels_first(first[0].shape, "data")
        self._kind = jax.tree.map(np.shape, first)
        self._order = self.dataset.map_with_index(self._sample).shuffle(seed=self.seed)
        try:
            self._order.repeat().batch(1)
        except ValueError as error:
            raise ValueError(
                f"data must be a dataset of known length, without `filter` and endless `repeat`; got {self.dataset}."
            ) from error

    def batch(self, index: int, size: int) -> tuple[np.ndarray, Any]:
        """This host's part of batch `index` of `size` samples; passes follow one another."""
        return self._batches(size)[index]

    def stream(self, first: int, size: int) -> Iterator[tuple[np.ndarray, Any]]:
        """Batches first, first + 1, ..., read ahead by threads."""
        return _ahead(self._batches(size)[first:])

    def std(self) -> float:
        """Standard deviation of the first 2,048 samples of the first pass, about their mean."""
        return self.moments.std

    @cached_property
    def moments(self) -> Moments:
        """Those of the same samples."""
        count = min(SAMPLES_FOR_STD, len(self.dataset))
        origin = first = second = 0.0  # sums of differences from the first sample, so that nothing cancels
        for number, (x, _) in enumerate(_ahead(self._order[:count].batch(32))):
            x = np.asarray(x, np.float64)
            origin = x[0] if number == 0 else origin
            first, second = first + (x - origin).sum(0), second + np.square(x - origin).sum(0)
        off = np.asarray(first) / count
        variance = np.mean(second / count - np.square(off))
        return Moments(float(np.sqrt(variance)), float(np.sqrt(np.square(origin + off).max() + variance)))

    def config(self) -> Any:
        """The number of samples, and a checksum of eight of them: a change of the others is not noticed."""
        places = np.linspace(0, len(self.dataset) - 1, SAMPLES_FOR_CHECKSUM).astype(int)
        leaves = jax.tree.leaves([self._plain(place, self.dataset[place]) for place in places.tolist()])
        checksum = zlib.crc32(b"".join(leaf.tobytes() for leaf in leaves))
        return {"samples": len(self.dataset), "shape": str(self._kind), "crc32": checksum}

    def _batches(self, size: int) -> Any:
        share = checks.at_least("batch_size", size, 1) // self.hosts
        if share * self.hosts != size:
            raise ValueError(f"batch_size must be divisible by the number of hosts, {self.hosts}; got {size}.")
        return self._order.repeat().batch(share)[self.host :: self.hosts]

    def _sample(self, number: int, item: Any) -> tuple[np.ndarray, Any]:
        number %= len(self.dataset)
        plain = self._plain(number, item)
        if (kind := jax.tree.map(np.shape, plain)) != self._kind:
            raise ValueError(
                f"data must hold samples of one shape; sample 0 has {self._kind} and sample {number} has {kind}."
            )
        return plain

    def _plain(self, number: int, item: Any) -> tuple[np.ndarray, Any]:
        """(x, cond) with x in float32 and cond in JAX's own precision, both finite."""
        x, cond = item, None
        if isinstance(item, dict):
            if "x" not in item or set(item) - {"x", "cond"}:
                raise ValueError(f"data must hold arrays, pairs, or dicts of 'x' and 'cond'; got keys {sorted(item)}.")
            x, cond = item["x"], item.get("cond")
        elif isinstance(item, tuple):
            if len(item) != 2:
                raise ValueError(
                    f"data must hold arrays or pairs (x, cond); sample {number} is a tuple of {len(item)}."
                )
            x, cond = item
        return datasets.as_sample(x, number), condition(f"the condition of sample {number}", cond)


def condition(name: str, cond: Any) -> Any:
    """A condition as arrays in JAX's own precision, which must be finite; `name` is its name in errors."""
    return jax.tree.map(lambda leaf: _in_own_precision(name, checks.finite(name, leaf)), cond)


def _in_own_precision(name: str, array: np.ndarray) -> np.ndarray:
    found = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
    if array.dtype.kind in "iu" and (found != array).any():
        raise ValueError(f"{name} must be integers that fit {found.dtype}; got {array[found != array][0]}.")
    return found


def _ahead(batches: Any) -> Iterator[Any]:
    with extras.needed("a grain.MapDataset"):
        import grain

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=THREADS + 2)
    iterator = iter(batches.to_iter_dataset(options))
    try:
        yield from iterator
    finally:
        iterator.close()
