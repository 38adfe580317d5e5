"""What data are called, how they are split, and what is refused."""

import json
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxsamp as js
from jaxsamp.core.fingerprint import describe
from jaxsamp.recipes import data
from jaxsamp.training.data import batches


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.arange(50) % 2
    x = np.random.default_rng(0).normal(size=(50, 3)) + 4 * labels[:, None]
    np.savez("two.npz", x=x, labels=labels)


def test_another_law_is_another_configuration():
    def told(**options):
        return describe(batches(js.targets.ring(**options), None, jax.random.key(0)).config())

    assert told() == told() != told(std=0.2) and told() != told(radius=1.0)
    json.dumps(told())


def test_a_mixture_in_a_file_is_a_law():
    means = np.array([[0.0, 0.0], [3.0, 1.0]])
    np.savez("law.npz", weights=[0.25, 0.75], means=means, covariances=np.stack([np.eye(2)] * 2))
    for found in (data.load("law.npz", 1), data.load_reference("law.npz", 1)):
        assert found.train is None and found.event == (2,) and found.name == "law" and found.learned is found.law
        np.testing.assert_allclose(found.law.means, means)


def test_data_sets_on_a_hub_are_data_with_their_labels(monkeypatch):
    def hub(name, size, fit):
        assert (name, size, fit) == ("someone/shapes", 4, "crop")
        return js.datasets.lazy.dataset(30, lambda i: (np.full((size, size), i, np.float32), np.int32(i % 3)))

    def closed(name, size, fit):
        raise ConnectionError("no way to it")

    monkeypatch.setattr(data, "HUBS", {"hf": hub, "tfds": closed})
    found = data.load("hf:someone/shapes", 4)
    assert found.name == "shapes" and found.train.shape == (24, 4, 4) and found.held_out.shape == (6, 4, 4)
    np.testing.assert_array_equal(found.train[:, 0, 0] % 3, found.labels)
    assert data.is_known("hf:someone/shapes")
    with pytest.raises(ValueError, match=r"data must be a data set that tfds has; cifar .* \(no way to it\)"):
        data.load("tfds:cifar", 4)
    with pytest.raises(ValueError, match="data must name a data set, hf:NAME; got hf: without a name"):
        data.load("hf:", 4)


def test_patches_and_labels_are_data():
    patches = data.load("patches", 1)
    assert patches.event == (8, 8) and len(patches.train) > len(patches.held_out) > 100
    digits = data.load("digits", 1)
    assert digits.labels.shape == (1297,) and digits.held_out_labels.shape == (500,)
    nines = digits.only(9)
    assert len(nines.train) == (digits.labels == 9).sum() and nines.name == "digits 9"
    assert set(nines.labels) == set(nines.held_out_labels) == {9} and digits.classes == 10
    np.savez("rare.npz", x=np.zeros((50, 3)), labels=np.r_[np.zeros(49, int), 2])
    with pytest.raises(ValueError, match="label must have at least 4 .* label 1 of rare has 0 and 0"):
        data.load("rare.npz", 1).only(1)
    blobs = data.load("two.npz", 1)
    assert ((blobs.train.mean(1) > 2) == blobs.labels).mean() > 0.9  # labels are shuffled with their samples
    assert ((blobs.held_out.mean(1) > 2) == blobs.held_out_labels).all()


def test_digits_are_split_as_documented():
    digits = data.load("digits")
    assert digits.train.shape == (1297, 8, 8) and digits.held_out.shape == (500, 8, 8)
    assert digits.train.min() == -1 and digits.train.max() == 1


def test_arrays_in_files_are_found_by_their_name_and_split_four_to_one():
    x = np.random.default_rng(0).normal(size=(40, 3))
    np.savez("several.npz", x=x.astype(np.float16), other=np.zeros(3))
    first, again = data.load("several.npz"), data.load("several.npz")
    assert first.train.shape == (32, 3) and first.held_out.shape == (8, 3) and first.name == "several"
    np.testing.assert_array_equal(first.train, again.train)
    whole = data.load_reference("several.npz")
    assert whole.train is whole.held_out and whole.train.shape == (40, 3)


def test_samples_carry_the_level_where_their_grid_ends():
    np.savez("drawn.npz", samples=np.zeros((9, 2)), grid=[80.0, 0.3])
    x, level = data.load_samples("drawn.npz")
    assert x.shape == (9, 2) and level == 0.3 and data.load_samples("two.npz")[1] == 0


def test_pixels_of_any_depth_and_transparency_become_plain(tmp_path):
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "deep.png")
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "clear.png")
    both = js.datasets.read_folder(tmp_path, 2)
    assert both.shape == (2, 2, 2) and (both == 1).all()
    np.save(tmp_path / "white.npy", np.full((10, 2), 255, np.uint8))
    np.testing.assert_array_equal(data.load(tmp_path / "white.npy", 2).train, np.ones((8, 2)))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("digts", "data, where no such file or folder exists, must be one of 'digits', .* Did you mean 'digits'"),
        ("none.npy", "data must be a file that exists; there is no none.npy"),
        ("no/where", "data must be a file or folder that exists; there is no no/where"),
        ("photos/", "data must be a file or folder that exists; there is no photos"),
        ("text.npy", r"text.npy could not be read \(it holds Python objects, or was not written by NumPy\)"),
        ("few.npy", "data must hold at least 10 samples; few.npy holds 3"),
    ],
)
def test_data_that_are_not_there_are_one_sentence(name, sentence):
    np.save("few.npy", np.zeros((3, 2)))
    Path("text.npy").write_text("1,2\n3,4\n")
    with pytest.raises(ValueError, match=sentence):
        data.load(name)
    with pytest.raises(ValueError, match="image_size must be at least 1; got 0"):
        data.load("digits", 0)


def keras(n=40, **other):
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(0, 256, (n, 4, 4), np.uint8), "y_train": np.arange(n) % 3}
    arrays |= {"x_test": rng.integers(0, 256, (12, 4, 4), np.uint8), "y_test": np.arange(12) % 4}
    np.savez("keras.npz", **{name: array for name, array in (arrays | other).items() if array is not None})
    return arrays


def test_the_test_part_of_a_file_is_the_held_out_part():
    arrays, found = keras(), data.load("keras.npz")
    np.testing.assert_allclose(found.train, arrays["x_train"] / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(found.held_out, arrays["x_test"] / 127.5 - 1, atol=1e-6)
    assert found.table.tolist() == [0, 1, 2, 3] and found.name == "keras"  # a label that only the test part has
    np.testing.assert_array_equal(found.labels, arrays["y_train"])
    np.testing.assert_array_equal(found.held_out_labels, arrays["y_test"])
    alone = data.load("keras.npz:x_test")
    assert len(alone.train) + len(alone.held_out) == 12 and alone.table.tolist() == [0, 1, 2, 3]
    truth = data.load_reference("keras.npz")
    np.testing.assert_array_equal(truth.held_out, found.held_out)
    np.testing.assert_array_equal(truth.train, found.train)
    keras(y_train=None, y_test=None)
    assert data.load("keras.npz").labels is None and len(data.load("keras.npz").held_out) == 12


@pytest.mark.parametrize(
    "other, why",
    [
        ({"y_test": None}, "it has no `y_test`, "),
        ({"x_test": np.zeros((12, 5, 5))}, r"its samples have shape \(5, 5\) and not \(4, 4\)"),
        ({"x_test": np.zeros((3, 4, 4)), "y_test": np.zeros(3, int)}, "it has only 3 samples"),
    ],
)
def test_a_test_part_that_cannot_be_used_is_left_out_and_said(other, why):
    keras(**other)
    with pytest.warns(js.datasets.DataWarning, match=f"x_test of keras.npz is left out, because {why}.* a fifth of x_"):
        found = data.load("keras.npz")
    assert len(found.train) == 32 and len(found.held_out) == len(found.held_out_labels) == 8


def test_names_of_classes_are_labels():
    np.savez("named.npz", images=np.zeros((40, 3)), labels=np.array(["cat", "dog"])[np.arange(40) % 2])
    found = data.load("named.npz")
    assert found.table.tolist() == ["cat", "dog"] and found.classes == 2
    cats = found.only("cat")
    assert len(cats.train) + len(cats.held_out) == 20 and cats.name == "named cat"
    assert found.numbered(["dog", "cat"]).labels.tolist() == (1 - found.labels).tolist()
    with pytest.raises(ValueError, match="data must have labels one of dog, fox, like the network; named has cat"):
        found.numbered(["dog", "fox"])


def test_channels_first_are_said_with_the_way_out():
    np.save("first.npy", np.zeros((12, 1, 8, 6)))
    sentence = r"data first\.npy must have its channels last, .* got samples of shape \(1, 8, 6\)\. Move .*x\.tr"
    with pytest.warns(js.datasets.DataWarning, match=sentence):
        data.load("first.npy")
    for fine in ((12, 8, 6, 1), (12, 3, 8, 3), (12, 8, 6), (12, 2, 8, 8), (12, 3, 4, 4)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            js.datasets.as_samples(np.zeros(fine))
