"""What data are called, how they are split, and what is refused."""

import json

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
    def hub(name, size):
        assert (name, size) == ("someone/shapes", 4)
        return js.datasets.lazy.dataset(30, lambda i: (np.full((size, size), i, np.float32), np.int32(i % 3)))

    def closed(name, size):
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
    both = data.read_folder(tmp_path, 2)
    assert both.shape == (2, 2, 2) and (both == 1).all()
    np.save(tmp_path / "white.npy", np.full((10, 2), 255, np.uint8))
    np.testing.assert_array_equal(data.load(tmp_path / "white.npy", 2).train, np.ones((8, 2)))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("digts", "data, where no such file or folder exists, must be one of 'digits', .* Did you mean 'digits'"),
        ("none.npy", "data must be a file that exists; there is no none.npy"),
        ("no/where", "data .* there is no no/where"),
        ("few.npy", "data must hold at least 10 samples; few.npy holds 3"),
    ],
)
def test_data_that_are_not_there_are_one_sentence(name, sentence):
    np.save("few.npy", np.zeros((3, 2)))
    with pytest.raises(ValueError, match=sentence):
        data.load(name)
    with pytest.raises(ValueError, match="image_size must be at least 1; got 0"):
        data.load("digits", 0)
