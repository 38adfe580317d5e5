"""Data that do not fit in memory, as `grain.MapDataset`: sample i is read when it is needed.

`jaxsamp.fit` and all of Grain's own transformations take such a dataset, of arrays or of pairs (array, condition).
Needs `pip install "jaxsamp[data]"`.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsamp.core import checks, disk, extras
from jaxsamp.datasets.arrays import as_sample, warn_if_faint
from jaxsamp.datasets.folders import classes_of, named_like_images, warn_of_passed
from jaxsamp.datasets.images import FITS, Unreadable, is_gray, opened, pixels, sides
from jaxsamp.datasets.labels import renumber_labels

LOOKED_AT = 8  # number of samples by which to tell whether pixels fill their range


@dataclass(frozen=True)
class RandomAccess:
    """Random access to `size` samples by a function of their number."""

    size: int
    read: Callable[[int], Any]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        return self.read(int(index))


def dataset(size: int, read: Callable[[int], Any]) -> Any:
    """The `grain.MapDataset` of read(0) ... read(size - 1)."""
    with extras.needed("a data set on disk"):
        import grain

    return grain.MapDataset.source(RandomAccess(size, read))


def folder(
    folder: str | Path,
    size: int | tuple[int, int],
    gray: bool | None = None,
    *,
    fit: str = "crop",
    labels: bool = False,
) -> Any:
    """The images in `folder` and its subfolders, in the order of their names, as arrays of one size.

    Files whose names do not end like an image's are passed over, and a `DataWarning` counts them; an image that cannot
    be read raises when it is reached. Hidden and linked files and folders are as in `read_folder`.

    Args:
        folder: where the images are.
        size, fit: as in `read_folder`.
        gray: samples are (h, w) if true, else (h, w, 3); by default, whichever the first image is.
        labels: whether samples are pairs with the number of their class, which is the folder in `folder` that they lie
            in; `class_names(folder)` are the names in the order of the numbers.

    Returns:
        A `grain.MapDataset` of float32 arrays in [-1, 1], or of pairs (array, int32).

    Raises:
        ValueError: there is no image, the size or `fit` is none of those, or labels are wanted and an image lies in no
            folder of a class; or, on reading, a file is damaged, has numbers of unknown range, or has colors while the
            first image is gray.
    """
    sides(size)
    checks.one_of("fit", fit, FITS)
    place = Path(folder).expanduser()
    paths, passed = named_like_images(place, "folder")
    numbers = renumber_labels(classes_of(place, paths, "folder"))[0] if labels else None
    warn_of_passed(place, passed, len(paths) + len(passed), "because they are not named like images")

    def image(index: int) -> Any:
        try:
            return opened(paths[index], size, fit, "folder")
        except Unreadable as error:
            raise ValueError(f"folder must hold images; {error}.") from error

    draw = pictures(image(0), gray, lambda index: str(paths[index]))

    def read(index: int) -> Any:
        x = draw(index, image(index))
        return x if numbers is None else (x, numbers[index])

    return of_pixels(len(paths), read, f"folder {folder}")


def of_pixels(size: int, read: Callable[[int], Any], argument: str) -> Any:
    """The dataset of samples of pixels, with a warning if some of them, over all the data, are all nearly black."""
    looked = []
    for index in np.unique(np.linspace(0, size - 1, LOOKED_AT).astype(int)):
        with suppress(ValueError):  # a sample that cannot be read raises when it is reached
            sample = read(int(index))
            looked.append((sample[0] if isinstance(sample, tuple) else sample).ravel())
    if looked:
        warn_if_faint(np.concatenate(looked), argument)
    return dataset(size, read)


def pictures(first: Any, gray: bool | None, name: Callable[[int], str]) -> Callable[[int, Any], np.ndarray]:
    """(number, image) -> pixels, gray if the first image is; `name(number)` is the name of an image in errors."""
    plain = is_gray(first) if gray is None else gray

    def read(index: int, image: Any) -> np.ndarray:
        if gray is None and plain and not is_gray(image):
            raise ValueError(f"gray must be given, because {name(0)} is gray and {name(index)} has colors; got None.")
        return pixels(image, plain)

    return read


def memory_mapped(path: str | Path, cond: Any = None) -> Any:
    """The samples in a .npy file; only those that are used are read.

    Args:
        path: the file, an array (n, *event).
        cond: conditions, leaves (n, ...), in memory.

    Returns:
        A `grain.MapDataset` of float32 arrays, or of pairs (array, condition); uint8 values become pixels in [-1, 1].

    Raises:
        ValueError, TypeError: there is no such file, it holds no real numbers of shape (n, *event), or `cond` does not
            have n rows.
    """
    try:
        stored = np.load(Path(path).expanduser(), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"path must be a .npy file of numbers; {path} could not be read ({disk.unread(error)})."
        ) from error
    if not isinstance(stored, np.ndarray) or stored.ndim < 2 or 0 in stored.shape:
        shape = f"shape {stored.shape}" if isinstance(stored, np.ndarray) else "several arrays"
        raise ValueError(f"path must hold real numbers of shape (n, *event); {path} holds {shape}.")
    as_sample(stored[0], 0, "path")
    checks.conditions(cond, len(stored))

    def read(index: int) -> Any:
        x = as_sample(stored[index], index)
        return x if cond is None else (x, jax.tree.map(lambda leaf: leaf[index], cond))

    return of_pixels(len(stored), read, "path") if stored.dtype == np.uint8 else dataset(len(stored), read)


def in_memory(dataset: Any) -> Any:
    """All samples of a dataset at once: (n, *event), or a pair of that and the conditions, leaves (n, ...)."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(dataset[i] for i in range(len(dataset))))
