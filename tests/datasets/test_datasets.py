"""Data sets are split as documented, and what cannot be used is named."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxsamp import datasets


def test_digits_are_scaled_and_split_as_documented():
    train, labels, held_out = datasets.digits()
    assert train.shape == (1297, 8, 8) and labels.shape == (1297,) and held_out.shape == (500, 8, 8)
    assert train.dtype == np.float32 and train.min() == -1 and train.max() == 1
    from sklearn.datasets import load_digits

    raw = load_digits()
    order = np.random.default_rng(0).permutation(1797)
    np.testing.assert_array_equal(train[5], raw.images[order[5]] / 8 - 1)
    np.testing.assert_array_equal(held_out[7], raw.images[order[1304]] / 8 - 1)
    assert labels[5] == raw.target[order[5]]


def test_the_classifier_of_digits_reads_those_it_has_not_seen_and_its_features_are_its_hidden_layer():
    from sklearn.datasets import load_digits

    held_out = datasets.digits()[2]
    truth = load_digits().target[np.random.default_rng(0).permutation(1797)][1297:]
    read = datasets.digit_classifier()(held_out)
    assert np.mean(read == truth) > 0.97
    # A linear map of the features gives the same labels, as the layer after the hidden one does.
    features = datasets.digit_features()(held_out)
    assert features.shape == (500, 64) and features.min() == 0
    scores = np.eye(10)[read]
    fitted = features @ np.linalg.lstsq(features, scores, rcond=None)[0]
    assert np.mean(fitted.argmax(1) == read) > 0.95


def test_patches_are_textured_gray_pieces_of_the_photographs_and_no_test_patch_is_trained_on():
    train, test = datasets.photo_patches()
    for patches in (train, test):
        assert patches.shape[1:] == (8, 8) and patches.dtype == np.float32
        assert np.abs(patches).max() <= 1 and patches.std((1, 2)).min() > 0.15
    share = len(train) / (len(train) + len(test))
    assert 0.55 < share < 0.85 and len(train) > 500  # blocks are split 70 / 30; texture varies
    rows = {patch.tobytes() for patch in train}
    assert not any(patch.tobytes() in rows for patch in test)
    from sklearn.datasets import load_sample_images

    gray = load_sample_images().images[0].mean(-1) / 127.5 - 1
    corners = {
        gray[i : i + 8, j : j + 8].astype(np.float32).tobytes() for i in range(0, 384, 8) for j in range(0, 640, 8)
    }
    assert sum(patch.tobytes() in corners for patch in train) > 100
    again, other = datasets.photo_patches()[0], datasets.photo_patches(seed=1)[0]
    np.testing.assert_array_equal(again, train)
    assert other.shape != train.shape or (other != train).any()


def test_patches_may_overlap_and_their_blocks_be_smaller():
    train, _ = datasets.photo_patches()
    overlapping, apart = datasets.photo_patches(stride=4)
    rows = {patch.tobytes() for patch in overlapping}
    assert len(overlapping) > 3 * len(train) and all(patch.tobytes() in rows for patch in train)
    assert not any(patch.tobytes() in rows for patch in apart)
    small, _ = datasets.photo_patches(block=32)
    assert {patch.tobytes() for patch in small} & rows and small.shape != train.shape
    for given, phrase in (
        ({"stride": 9}, "stride must be from 1 to 8; got 9"),
        ({"block": 7}, "got 7"),
        ({"size": 65}, "block must be from 65 to 427; got 64"),
        ({"size": 1}, "size must be from 2 to 427; got 1"),
    ):
        with pytest.raises(ValueError, match=phrase):
            datasets.photo_patches(**given)


def test_patches_of_another_size_are_cut_from_the_same_blocks():
    train, test = datasets.photo_patches(stride=32, size=32)
    assert train.shape[1:] == test.shape[1:] == (32, 32) and len(train) > 100 < len(test) + 60
    (small, held_out), cut = datasets.photo_patches(), train.reshape(-1, 4, 8, 4, 8).swapaxes(2, 3).reshape(-1, 8, 8)
    rows, others = ({patch.tobytes() for patch in patches} for patches in (small, held_out))
    assert all(patch.tobytes() in rows for patch in cut if patch.std() > 0.15)
    assert not any(patch.tobytes() in others for patch in cut)


def test_arrays_become_float32_and_bytes_become_pixels():
    for given in ([[0, 1], [2, 3]], jnp.array([[0, 1], [2, 3]], jnp.bfloat16)):
        found = datasets.as_samples(given)
        assert found.dtype == np.float32 and (found == [[0, 1], [2, 3]]).all()
    np.testing.assert_array_equal(datasets.as_samples(np.array([[0, 255]], np.uint8)), [[-1.0, 1.0]])


BAD = {
    "first": (np.array([[1.0], [np.inf], [np.nan]]), ValueError, r"got inf in sample 1 \(2 such samples in all\)"),
    "text": (np.array([["a"]]), TypeError, "must be an array of real numbers; got dtype <U1"),
    "complex": (np.ones((2, 2), complex), TypeError, "got dtype complex128"),
    "flat": (np.ones(4), ValueError, r"must hold real numbers of shape \(n, \*event\); got shape \(4,\)"),
    "empty": (np.ones((0, 2)), ValueError, r"got shape \(0, 2\)"),
    "ragged": ([np.ones(2), np.ones(2), np.ones(3)], ValueError, r"sample 0 has \(2,\) and sample 2 has \(3,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_first_bad_sample_is_named(name):
    data, kind, sentence = BAD[name]
    with pytest.raises(kind, match=sentence):
        datasets.as_samples(data)


def test_files_and_folders_are_read(tmp_path):
    x = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, other=np.zeros(3))
    for name in ("x.npy", "x.npz"):
        np.testing.assert_array_equal(datasets.read_file(tmp_path / name), x)
        np.testing.assert_array_equal(datasets.read_file(str(tmp_path / name)), x)
    with pytest.raises(ValueError, match="data must be a file that exists; there is no"):
        datasets.read_file(tmp_path / "none.npy")
    Image.new("L", (4, 6), 255).save(tmp_path / "white.png")
    images = datasets.read_folder(str(tmp_path), 4)
    assert images.shape == (1, 4, 4) and (images == 1).all()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="data must be a folder of images; got .*empty, which is empty"):
        datasets.read_folder(tmp_path / "empty", 4)
    with pytest.raises(ValueError, match="data must be a folder of images; there is no folder .*none"):
        datasets.read_folder(tmp_path / "none", 4)
