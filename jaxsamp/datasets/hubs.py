"""Data sets by name, from Hugging Face and from TensorFlow Datasets (without the need of TensorFlow)."""

from typing import Any

import numpy as np

from jaxsamp.core import checks, extras
from jaxsamp.datasets.arrays import as_sample
from jaxsamp.datasets.images import FITS, TAKEN, fitted, sides
from jaxsamp.datasets.labels import as_labels
from jaxsamp.datasets.lazy import dataset, of_pixels, pictures


def hugging_face(
    name: str,
    split: str = "train",
    size: int | tuple[int, int] | None = None,
    *,
    column: str | None = None,
    label: str | None = None,
    gray: bool | None = None,
    fit: str = "crop",
    **options: Any,
) -> Any:
    """A split of a Hugging Face data set, or of your own files; needs the package `datasets`.

    Args:
        name: as for `datasets.load_dataset`: a name on the hub, or a kind of files, such as "parquet" or "imagefolder",
            with `data_files=` or `data_dir=` among the options.
        split: its name, or a part such as "train[:1000]".
        size: height and width of images in pixels, (h, w), or one number for both; None keeps their sizes, which must
            be equal.
        column: the column of samples; by default the only column of images, or else the only one that is not a label.
        label: the column of labels; by default the only column of classes, if there is one.
        gray, fit: as in `folder`.
        **options: further arguments of `datasets.load_dataset`.

    Returns:
        A `grain.MapDataset` of float32 arrays, images in [-1, 1], or of pairs (array, label).

    Raises:
        ValueError: there is no such column, or several could be meant.
    """
    with extras.needed("hugging_face"):
        import datasets

    if options.get("streaming"):
        raise ValueError("streaming must be left out, because samples are read by their numbers; got streaming=True.")
    table = datasets.load_dataset(name, split=split, **options)
    kinds = {key: type(feature) for key, feature in table.features.items()}
    column, label = _columns(kinds, column, label, datasets.Image, datasets.ClassLabel)
    chosen = table.select_columns([key for key in (column, label) if key is not None])
    if kinds[column] is not datasets.Image:
        chosen = chosen.with_format("numpy")
    return _samples(chosen, column, label, kinds[column] is datasets.Image, size, gray, fit)


def tfds(
    name: str,
    split: str = "train",
    size: int | tuple[int, int] | None = None,
    *,
    column: str | None = None,
    label: str | None = None,
    gray: bool | None = None,
    fit: str = "crop",
    **options: Any,
) -> Any:
    """A split of a data set of TensorFlow Datasets, read without TensorFlow; needs `tensorflow-datasets`.

    Args:
        name, split: as for `tensorflow_datasets.data_source`.
        size, column, label, gray, fit: as in `hugging_face`.
        **options: further arguments of `tensorflow_datasets.data_source`, such as `data_dir`.

    Returns:
        A `grain.MapDataset` of float32 arrays, images in [-1, 1], or of pairs (array, label).

    Raises:
        ValueError: there is no such column, or several could be meant.
    """
    with extras.needed("tfds"):
        import tensorflow_datasets

    source: Any = tensorflow_datasets.data_source(name, split=split, **options)
    features = tensorflow_datasets.features
    kinds = {key: type(feature) for key, feature in source.dataset_info.features.items()}
    column, label = _columns(kinds, column, label, features.Image, features.ClassLabel)
    return _samples(source, column, label, kinds[column] is features.Image, size, gray, fit)


def _columns(kinds: Any, column: Any, label: Any, image: type, classes: type) -> tuple[str, str | None]:
    """The columns of samples and of labels: the given ones, or the only possible ones."""
    for argument, got in (("column", column), ("label", label)):
        if got is not None:
            checks.one_of(argument, got, kinds)
    labels = [key for key, kind in kinds.items() if kind is classes and key != column]
    label = labels[0] if label is None and len(labels) == 1 else label
    if column is None:
        rest = [key for key in kinds if key != label and key not in labels]
        possible = [key for key in rest if kinds[key] is image] or rest
        if len(possible) != 1:
            raise ValueError(
                f"column must be one of {', '.join(map(repr, kinds))}, because several could be meant; got None."
            )
        column = possible[0]
    return column, label


def _samples(
    table: Any, column: str, label: str | None, image: bool, size: Any, gray: bool | None, fit: str = "crop"
) -> Any:
    """Samples from the rows of a table, each row read once."""
    checks.one_of("fit", fit, FITS)
    if size is not None:
        sides(size)
    if len(table) == 0:
        raise ValueError("split must have samples; it is empty.")
    draw = pictures(_picture(table[0][column], 0, size, fit), gray, "sample {}".format) if image else None

    def read(index: int) -> Any:
        row = table[index]
        value = row[column]
        x = as_sample(value, index) if draw is None else draw(index, _picture(value, index, size, fit))
        return x if label is None else (x, _label(row[label], index))

    return dataset(len(table), read) if draw is None else of_pixels(len(table), read, "data")


def _label(value: Any, index: int) -> Any:
    """An integer, in 32 bits if it fits."""
    found = as_labels(value, f"the label of sample {index}")
    if found.ndim:
        raise ValueError(f"the label of sample {index} must be one integer; got shape {found.shape}.")
    return np.int32(found) if np.can_cast(np.min_scalar_type(found), np.int32) else found[()]


def _picture(value: Any, index: int, size: Any, fit: str) -> Any:
    """A Pillow image, or an array (height, width[, channels]), as a Pillow image of the given size."""
    with extras.needed("an image"):
        from PIL import Image

    takes = f"data must hold {TAKEN}; sample {index}"
    if isinstance(value, np.ndarray):
        try:
            value = Image.fromarray(value[..., 0] if value.ndim == 3 and value.shape[2] == 1 else value)
        except TypeError as error:
            raise ValueError(f"{takes} is an array of {value.dtype} and shape {value.shape}.") from error
    return fitted(value, size, fit, takes)
