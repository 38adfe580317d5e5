"""Measurements in a folder that are read when they are used: for those that do not fit in memory."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import jax
import numpy as np

from jaxsamp.corruptions import files
from jaxsamp.corruptions.measurements import Measurements, one_row, refuse_array, standard_deviation

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
LOCAL_HEADER, NAME_LENGTH, EXTRA_LENGTH = 30, 26, 28  # bytes of a file in a zip archive: its size, and two places in it


@dataclass(frozen=True, eq=False)
class StoredMeasurements:
    """Measurements that `Measurements.save` has written, of which only those that are used are read.

    `jaxsamp.fit` trains on them batch by batch, and ends with the weights that it has for `Measurements.load` of the
    folder. They are sliced like an array, which reads nothing; `stored[:16].read()` are `Measurements`. The files are
    mapped into memory and must not change meanwhile.

    Attributes:
        folder: where they are.
        rows: (n,), numbers of some of them, or a mask of all; by default all, in their order.

    Raises:
        ValueError: the folder has no measurements, or not all of their files, or one that cannot be read.
        IndexError: a row is not there.
    """

    folder: str | Path
    rows: Any = None

    def __post_init__(self) -> None:
        n = self._about["n"]
        rows = np.arange(n) if self.rows is None else np.asarray(self.rows)
        if rows.dtype == bool and rows.shape == (n,):
            rows = np.flatnonzero(rows)
        if not np.issubdtype(rows.dtype, np.integer) or np.any((rows < -n) | (rows >= n)):
            raise IndexError(f"rows must be numbers of the {n} measurements, or a mask of them; got {self.rows}.")
        object.__setattr__(self, "rows", np.where(rows < 0, rows + n, rows))
        self._files  # noqa: B018  (files that are missing or damaged are found at once)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"StoredMeasurements({str(self.folder)!r}, {len(self)} of {self.event_shape} by {self.law})"

    def __getitem__(self, rows: Any) -> "StoredMeasurements":
        rows = one_row(rows, len(self))
        made = replace(self, rows=self.rows[rows])
        made.__dict__.update({name: self.__dict__[name] for name in ("_about", "_files", "_like")})
        return made

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        refuse_array(self)

    @property
    def law(self) -> Any:
        """The law that the operators were drawn from."""
        return self._about["law"]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample x."""
        return self._about["event_shape"]

    def read(self) -> Measurements:
        """All of them, in memory.

        Raises:
            ValueError: they are not finite.
        """
        leaves = len(jax.tree.leaves(self._like))
        arrays = [self._read(f"operator_{i}") for i in range(leaves)]
        operator = jax.tree.unflatten(jax.tree.structure(self._like), arrays)
        return Measurements(self._read("y"), operator, self.law, self.event_shape)

    def std(self) -> float:
        """As `Measurements.std`, to the same bits; reads all of them twice, a part at a time."""
        return standard_deviation(self)

    def _read(self, name: str) -> np.ndarray:
        number = np.searchsorted(self._ends, self.rows, side="right")
        place = self.rows - np.concatenate([[0], self._ends])[number]
        found = None
        for one in np.unique(number):
            mine, stored = number == one, self._files[one][name]
            read = stored[place[mine]]
            found = np.empty((len(self.rows), *read.shape[1:]), read.dtype) if found is None else found
            found[mine] = read
        if found is None:  # no rows
            found = np.asarray(self._files[0][name][:0])
        return files.unpacked(found, self._about["shapes"].get(name))

    @cached_property
    def _about(self) -> dict[str, Any]:
        return files.about(self.folder)

    @cached_property
    def _like(self) -> Any:
        return files.like(self.law, self.event_shape)

    @cached_property
    def _files(self) -> list[dict[str, np.ndarray]]:
        self._like  # noqa: B018
        found = []
        for path in files.parts(self.folder, self._about["n"]):
            with files.readable(path):
                found.append(_mapped(path))
        return found

    @property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(file["y"]) for file in self._files])


def _mapped(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file without compression, mapped into memory."""
    whole, arrays = np.memmap(path, np.uint8, "r"), {}
    with ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != ZIP_STORED:
                raise ValueError("its arrays are compressed")
            header = whole[entry.header_offset :][:LOCAL_HEADER]
            lengths = (int(header[i]) + 256 * int(header[i + 1]) for i in (NAME_LENGTH, EXTRA_LENGTH))
            start = entry.header_offset + LOCAL_HEADER + sum(lengths)
            with archive.open(entry) as member:
                shape, fortran, dtype = HEADERS[np.lib.format.read_magic(member)](member)
                start += member.tell()
            if dtype.hasobject or fortran:
                raise ValueError("its arrays are not rows of numbers")
            arrays[entry.filename.removesuffix(".npy")] = np.ndarray(shape, dtype, whole, start)
    return arrays
