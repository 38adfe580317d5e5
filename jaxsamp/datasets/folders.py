"""Folders of images, and the classes that their subfolders are."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.core import checks, extras
from jaxsamp.datasets.arrays import DataWarning, warn_if_faint
from jaxsamp.datasets.images import FITS, Unreadable, is_gray, opened, pixels, sides

NAMED = 3  # number of files that a warning names


def read_folder(
    folder: str | Path,
    size: int | tuple[int, int],
    argument: str = "data",
    *,
    fit: str = "crop",
    labels: bool = False,
) -> Any:
    """All images in `folder` and its subfolders, in the order of their names, as arrays of one size.

    Files that Pillow cannot read are passed over, and a `DataWarning` counts them. Hidden files and folders are left
    out; linked ones are read, each folder once. For folders that do not fit in memory see `jaxsamp.datasets.folder`.

    Args:
        folder: where the images are.
        size: height and width in pixels, (h, w), or one number for both.
        argument: what `folder` is called in errors.
        fit: how images of other proportions get that size: "crop" cuts off what is beyond it on both sides, "pad" puts
            black around them, "stretch" scales height and width each by its own factor.
        labels: whether to return the class of each image too, the name of the folder in `folder` that it lies in:
            FOLDER/cat/1.png is a "cat". For their numbers see `renumber_labels`.

    Returns:
        (n, h, w) if every image is gray, else (n, h, w, 3); in [-1, 1]. With `labels`, a pair of that and names (n,).

    Raises:
        ValueError: the folder has no files, none of them is an image, or an image is none of `TAKEN`; the size or `fit`
            is none of these; or labels are wanted and an image lies in no folder of a class.
    """
    values, place, paths = read_images(folder, size, fit, argument)
    return (values, classes_of(place, paths, argument)) if labels else values


def read_images(folder: str | Path, size: Any, fit: str, argument: str) -> tuple[np.ndarray, Path, list[Path]]:
    """The images as `read_folder` gives them, the folder, and their paths."""
    sides(size)
    checks.one_of("fit", fit, FITS)
    place, images, passed, read = Path(folder).expanduser(), [], [], []
    paths = files(place, argument)
    for path in paths:
        try:
            images.append(opened(path, size, fit, argument))
            read.append(path)
        except Unreadable:
            passed.append(path)
    if not images:
        raise ValueError(f"{argument} must be a folder of images; got {place}, and none of its files is one.")
    warn_of_passed(place, passed, len(paths), "because Pillow cannot read them as images")
    gray = all(is_gray(image) for image in images)
    values = np.stack([pixels(image, gray) for image in images])
    warn_if_faint(values, f"{argument} {place}")
    return values, place, read


def files(folder: Path, argument: str = "data") -> list[Path]:
    """The files in `folder` and its subfolders, sorted; raises ValueError if there are none.

    Hidden files and folders are left out. Links are followed, but each folder is read once, under its own name if it
    lies in `folder` itself, so that a link to a folder that it lies in ends.
    """
    if not folder.is_dir():
        raise ValueError(f"{argument} must be a folder of images; there is no folder {folder}.")
    paths: list[Path] = []
    folders, links, seen = [folder], list[Path](), set[Path]()
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        if (real := place.resolve()) in seen:
            continue
        seen.add(real)
        try:
            inside = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        except OSError:  # a folder that must not be read is passed over, and counted, like such a file
            inside, paths = [], [*paths, place]
        for path in inside:
            if path.is_dir():
                (links if path.is_symlink() else folders).append(path)
            elif path.is_file():
                paths.append(path)
    if not paths:
        raise ValueError(f"{argument} must be a folder of images; got {folder}, which is empty.")
    return sorted(paths)


def class_of(folder: Path, path: Path) -> str | None:
    """The folder in `folder` that a file lies in, at any depth, which is the name of its class; None if in none."""
    first, *inside = path.relative_to(folder).parts
    return first if inside else None


def classes_of(folder: Path, paths: Sequence[Path], argument: str) -> np.ndarray:
    """The names of the classes of these files, (n,); raises ValueError if one lies in no folder of a class."""
    names = [class_of(folder, path) for path in paths]
    if None in names:
        alone = paths[names.index(None)]
        raise ValueError(f"{argument} must have a folder in it for each class, to have labels; {alone} is in none.")
    return np.array(names)


def named_like_images(folder: Path, argument: str) -> tuple[list[Path], list[Path]]:
    """The files in `folder` whose names end like those of images, and the others; raises ValueError if none does."""
    with extras.needed("an image"):
        from PIL import Image

    known, found = Image.registered_extensions(), files(folder, argument)
    paths = [path for path in found if path.suffix.lower() in known]
    if not paths:
        raise ValueError(f"{argument} must hold images; got {folder}, and none of its files is named like one.")
    return paths, [path for path in found if path.suffix.lower() not in known]


def class_names(folder: str | Path) -> list[str]:
    """The names of the classes of the images in a folder, in the order of the numbers that `folder` gives them.

    FOLDER/cat/1.png and FOLDER/dog/2.png are of the classes "cat" and "dog".

    Raises:
        ValueError: there is no image, or one lies in no folder of a class.
    """
    place = Path(folder).expanduser()
    return sorted(set(classes_of(place, named_like_images(place, "folder")[0], "folder").tolist()))


def warn_of_passed(folder: Path, passed: Sequence[Path], count: int, why: str) -> None:
    """Warn that these of `count` files in the folder are not among the samples."""
    if passed:
        names = [str(path.relative_to(folder)) for path in passed]
        some = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
        sentence = f"{len(names):,} of {count:,} files in {folder} were passed over, {why}: {some}."
        warnings.warn(DataWarning(sentence, len(names)), stacklevel=3)
