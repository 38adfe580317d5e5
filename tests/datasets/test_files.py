"""The names that the field gives to arrays in .npz files are known, and a file that is not clear says how to choose."""

import numpy as np
import pytest

from jaxsamp import datasets

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y, NAMES = np.arange(12) % 3, np.array(["cat", "dog", "fox"])[np.arange(12) % 3]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


LAYOUTS = {
    "positional": ((X, Y), {}),
    "names of classes": ((X, NAMES), {}),
    "keras": ((), {"x_train": X, "y_train": Y, "x_test": -X, "y_test": Y}),
    **{f"{x} and {y}": ((), {x: X, y: Y}) for x in ("images", "data", "samples", "x") for y in ("labels", "y")},
    "more beside them": ((), {"images": X, "labels": Y, "ids": np.arange(12), "mean": X[0]}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_the_field_are_read_with_their_labels(name):
    arrays, named = LAYOUTS[name]
    np.savez("a.npz", *arrays, **named)
    samples, labels = datasets.read_file("a.npz", labels=True)
    np.testing.assert_array_equal(samples, X)
    np.testing.assert_array_equal(labels, NAMES if name == "names of classes" else Y)
    np.testing.assert_array_equal(datasets.read_file("a.npz"), X)


def test_an_array_is_chosen_by_its_name():
    np.savez("keras.npz", x_train=X, y_train=Y, x_test=-X, y_test=Y + 1, labels=np.zeros(3))
    samples, labels = datasets.read_file("keras.npz:x_test", labels=True)
    np.testing.assert_array_equal(samples, -X)
    np.testing.assert_array_equal(labels, Y + 1)
    np.savez("two.npz", a=X, b=-X, labels=Y)
    np.testing.assert_array_equal(datasets.read_file("two.npz:b"), -X)
    np.testing.assert_array_equal(datasets.read_file("two.npz:b", labels=True)[1], Y)
    with pytest.raises(ValueError, match=r"^data, the array of two\.npz, must be one of 'a', 'b', 'labels'; got 'c'\."):
        datasets.read_file("two.npz:c")
    np.save("odd.npz:b", X)  # as odd.npz:b.npy
    np.testing.assert_array_equal(datasets.read_file("odd.npz:b.npy"), X)


def test_numbers_that_are_no_labels_are_none():
    for other in (X[:, 0], Y[:, None], Y[:5]):
        np.savez("a.npz", x=X, y=other)
        assert datasets.read_file("a.npz", labels=True)[1] is None
    np.savez("objects.npz", x=X, y=np.array([{}] * 12))
    assert datasets.read_file("objects.npz", labels=True)[1] is None


UNCLEAR = {
    "positional": ((X, X), {}, r"'arr_0' \(12, 4\) and 'arr_1' \(12, 4\)\. .*a\.npz:arr_0\.$"),
    "other length": ((X, Y[:5]), {}, r"'arr_0' \(12, 4\) and 'arr_1' \(5,\)\. Choose"),
    "three": ((X, Y, Y), {}, r"'arr_0' \(12, 4\), 'arr_1' \(12,\) and 'arr_2' \(12,\)\. Choose"),
    "two names": ((), {"images": X, "data": X}, r"'images' \(12, 4\) and 'data' \(12, 4\)\. .*a\.npz:images\.$"),
    "unknown names": ((), {"a": X, "b": X}, r"'a' \(12, 4\) and 'b' \(12, 4\)\. .*a\.npz:a\.$"),
    "none": ((), {}, r"a\.npz holds none\.$"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_file_that_is_not_clear_lists_its_arrays_and_says_how_to_choose(name):
    arrays, named, sentence = UNCLEAR[name]
    np.savez("a.npz", *arrays, **named)
    with pytest.raises(ValueError, match=f"^data must hold one array of samples, .*{sentence}"):
        datasets.read_file("a.npz")
