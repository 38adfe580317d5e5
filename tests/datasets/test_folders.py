"""Folders of images: classes by the names of subfolders, and sizes that are no squares."""

import numpy as np
import pytest
from PIL import Image

from jaxsamp import datasets


@pytest.fixture
def classes(tmp_path):
    """Six images, the brightness of which is that of their class, at two depths."""
    for name, level in (("dog", 200), ("cat", 100)):
        for path in ("1.png", "2.png", "more/3.png"):
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), level).save(file)
    return tmp_path


def test_the_folders_that_images_lie_in_are_their_labels(classes):
    x, names = datasets.read_folder(classes, 4, labels=True)
    assert names.tolist() == ["cat"] * 3 + ["dog"] * 3 and x.shape == (6, 4, 4)
    numbers, table = datasets.renumber_labels(names)
    assert numbers.tolist() == [0] * 3 + [1] * 3 and table.tolist() == ["cat", "dog"]
    lazy = datasets.folder(classes, 4, labels=True)
    again, same = datasets.in_memory(lazy)
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(same, numbers)
    assert same.dtype == np.int32 and datasets.class_names(classes) == ["cat", "dog"]
    np.testing.assert_array_equal(datasets.read_folder(classes, 4), x)


def test_an_image_in_no_folder_of_a_class_is_named(classes):
    Image.new("L", (8, 8)).save(classes / "alone.png")
    for read in (datasets.read_folder, datasets.folder):
        assert len(read(classes, 4)) == 7
        with pytest.raises(ValueError, match=r"must have a folder in it for each class.*alone\.png is in none"):
            read(classes, 4, labels=True)
    with pytest.raises(ValueError, match=r"folder must have a folder in it .*alone\.png is in none"):
        datasets.class_names(classes)


def test_names_in_a_list_are_labels():
    numbers, table = datasets.renumber_labels(["b", "a", "b"])
    assert numbers.tolist() == [1, 0, 1] and table.tolist() == ["a", "b"]
    column = np.array(["b", "a"], object)
    assert datasets.renumber_labels(column)[1].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=r"labels must be integers or names; got dtype float64, 0\.5 first"):
        datasets.renumber_labels(np.array([0.5, 1.0]))


@pytest.fixture
def wide(tmp_path):
    """An image of 8 x 16 pixels: a gray half of 100, then one of 200."""
    values = np.full((8, 16), 100, np.uint8)
    values[:, 8:] = 200
    Image.fromarray(values).save(tmp_path / "wide.png")
    return tmp_path


def rows(folder, size, fit):
    """The levels from left to right of the middle row, and from top to bottom of the left column."""
    x = datasets.read_folder(folder, size, fit=fit)[0]
    np.testing.assert_array_equal(datasets.folder(folder, size, fit=fit)[0], x)
    levels = ((x + 1) * 127.5).round().astype(int)
    return levels[len(levels) // 2].tolist(), levels[:, 0].tolist()


def test_images_of_other_proportions_are_cropped_padded_or_stretched(wide):
    across, down = rows(wide, 8, "crop")
    assert across == [100] * 4 + [200] * 4 and down == [100] * 8
    across, down = rows(wide, 16, "pad")
    assert across == [100] * 8 + [200] * 8 and down == [0] * 4 + [100] * 8 + [0] * 4
    across, down = rows(wide, 8, "stretch")
    assert across[0] == 100 and across[-1] == 200 and len(across) == 8 and down == [100] * 8
    with pytest.raises(ValueError, match="fit must be one of 'crop', 'pad', 'stretch'; got 'padd'. Did you mean 'pad'"):
        datasets.read_folder(wide, 8, fit="padd")


def test_a_height_and_a_width_may_differ(wide):
    for fit in ("crop", "pad", "stretch"):
        across, down = rows(wide, (8, 16), fit)
        assert across == [100] * 8 + [200] * 8 and down == [100] * 8
    for size, sentence in (
        ((8, 0), "size must be at least 1; got 0"),
        ((8, 8, 3), "one number of pixels, or a height"),
    ):
        for read in (datasets.read_folder, datasets.folder):
            with pytest.raises(ValueError, match=sentence):
                getattr(read, "__wrapped__", read)(wide, size)
