"""Labels of the data and numbers of a network: renumbered once, and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import datasets, recipes
from jaxsamp.recipes import data as data_of

OWN = np.array([3, 7, 2_000_000])
X = np.random.default_rng(0).normal(size=(60, 2))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(labels, x=X, name="gaps.npz"):
    np.savez(name, x=x, labels=labels)
    return recipes.load(name)


def model(classes=3):
    made = js.models.Model(js.models.MLP(4, 1, classes), js.schedules.EDM())
    return made.denoiser(made.init(jax.random.key(0), jnp.zeros((1, 2)), jnp.zeros(1, int)))


@pytest.mark.parametrize("kind", ["int64", "int32", "uint64", "uint32"])
def test_labels_with_gaps_are_renumbered_and_a_table_is_kept(kind):
    own = OWN[np.arange(60) % 3].astype(kind)
    numbers, table = datasets.renumber_labels(own)
    np.testing.assert_array_equal(numbers, np.arange(60) % 3)
    np.testing.assert_array_equal(table, OWN)
    found = load(own)
    assert found.classes == 3 and set(found.labels) == {0, 1, 2} == set(found.held_out_labels)
    for x, labels in ((found.train, found.labels), (found.held_out, found.held_out_labels)):
        places = [int(np.flatnonzero((np.float32(X) == row).all(1))[0]) for row in x]
        np.testing.assert_array_equal(found.table[labels], own[places])
    seven = found.only(7)
    assert len(seven.train) + len(seven.held_out) == 20 and seven.name == "gaps 7"


def test_a_label_that_only_held_out_samples_have_is_one_of_the_table():
    first = np.random.default_rng(0).permutation(60)[0]  # the split's own order begins with what is held out
    found = load(np.where(np.arange(60) == first, 9, 0))
    assert found.classes == 2 and set(found.labels) == {0} and set(found.held_out_labels) == {0, 1}


ANY = {
    "bool": (np.arange(60) % 2 == 1, None),
    "int8": ((np.arange(60) % 2).astype(np.int8), None),
    "uint8": ((np.arange(60) % 2).astype(np.uint8), None),
    "float": (np.arange(60) % 2 / 1.0, "shape (60,) of float64."),
    "bytes": (np.array([b"a", b"b"])[np.arange(60) % 2], "shape (60,) of |S1."),
    "complex": (np.ones(60, complex), "shape (60,) of complex128."),
    "dates": (np.zeros(60, "datetime64[s]"), "shape (60,) of datetime64[s]."),
    "columns": (np.zeros((60, 1), int), "shape (60, 1) of int64, from 0."),
    "negative": (np.arange(60) % 2 - 1, "shape (60,) of int64, from -1."),
    "objects": (np.array([0, "a"] * 30, object), "could not be read"),
}


@pytest.mark.parametrize("name", ANY)
def test_labels_of_any_dtype_are_right_or_one_sentence(name):
    labels, sentence = ANY[name]
    if sentence is None:
        found = load(labels)
        assert found.classes == 2 and found.labels.dtype == np.int32 and found.table.tolist() == [0, 1]
        return
    with pytest.raises(ValueError, match="data must hold integers from 0, .* in its `labels`; .*gaps.npz") as raised:
        load(labels)
    assert sentence in str(raised.value)


def test_labels_of_a_hub_are_integers_or_one_sentence(monkeypatch):
    def hub(values):
        rows = [{"x": row, "y": value} for row, value in zip(X, values, strict=True)]
        table = datasets.hubs._samples(rows, "x", "y", False, None, None)
        monkeypatch.setattr(data_of, "HUBS", {"hf": lambda name, size, fit: table})
        return recipes.load("hf:rows")

    assert hub([int(label) for label in OWN[np.arange(60) % 3]]).table.tolist() == OWN.tolist()
    assert hub([2**40 * (i % 2) for i in range(60)]).table.tolist() == [0, 2**40]
    for value, sentence in (
        (0.5, "got dtype float64, 0.5 first"),
        (None, "dtype object"),
        ("b", "dtype <U1, 'b' first"),
    ):
        with pytest.raises(ValueError, match=f"the label of sample 2 must be integers; .*{sentence}"):
            hub([0, 1, value] + 57 * [0])
    with pytest.raises(ValueError, match=r"data must hold integers from 0.*hf:rows holds .* from -1"):
        hub([0, -1] * 30)


def test_a_task_has_the_labels_of_the_data_and_gives_the_network_its_numbers(key):
    data = load(OWN[np.arange(60) % 3])
    task = recipes.learned_task(key, data, model(), 40)
    assert set(task.labels) == set(OWN) and task.cond.dtype == jnp.int32
    np.testing.assert_array_equal(OWN[np.asarray(task.cond)], task.labels)
    one = recipes.learned_task(key, data, model(), 4, 7)
    assert one.cond.tolist() == [1] * 4 and one.labels.tolist() == [7] * 4 and one.data.name == "gaps 7"
    with pytest.raises(ValueError, match=r"label must be one of 3, 7, 2000000; got 1\."):
        recipes.learned_task(key, data, model(), 4, 1)
    with pytest.raises(ValueError, match=r"label must be from 0 to 2; got 7\."):
        recipes.learned_task(key, dataclasses.replace(data, labels=None, table=None), model(), 4, 7)


def test_other_data_are_numbered_as_the_network_is(key):
    some = load(np.array([7, 2_000_000])[np.arange(60) % 2], name="some.npz")
    assert set(some.labels) == {0, 1}
    task = recipes.learned_task(key, some, model(), 40, table=OWN)
    assert set(task.cond.tolist()) == {1, 2} and set(task.data.held_out_labels) == {1, 2}
    with pytest.raises(ValueError, match="data must have labels one of 3, 7, 2000000, like the network; other has 8"):
        recipes.learned_task(key, load(np.full(60, 8), name="other.npz"), model(), 4, table=OWN)
    with pytest.raises(ValueError, match="table must have the 3 labels of the network; got 2"):
        recipes.learned_task(key, some, model(), 4)
