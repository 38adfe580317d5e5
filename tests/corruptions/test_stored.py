"""Measurements in a folder, of which only those that are used are read."""

import inspect
import json

import jax
import numpy as np
import pytest

from jaxsamp import corruptions as room
from jaxsamp.corruptions import Measurements, StoredMeasurements, files, measurements

X = np.random.default_rng(0).normal(size=(8, 4, 4)).astype(np.float32)


@pytest.fixture(params=["mask", "dense"])
def measured(request, tmp_path, monkeypatch):
    """Measurements, and a folder of three files of them."""
    law = room.Mask(0.5) if request.param == "mask" else room.CompressedSensing(3, noise=0.1)
    monkeypatch.setattr(files, "SHARD", 3)
    made = room.corrupt(jax.random.key(0), X, law)
    made.save(tmp_path)
    return made


def same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_rows_that_are_read_are_those_in_memory(measured, tmp_path, monkeypatch):
    stored = StoredMeasurements(tmp_path)
    order = np.array([6, 0, 0, 5, 2])
    for rows in (slice(None), slice(2, 7), -1, order, np.arange(8) % 3 == 0):
        same(stored[rows].read(), measured[rows])
    same(stored[order][1:4].read(), measured[order[1:4]])
    assert len(stored[:0]) == 0 and len(stored[2:][1:]) == 5
    assert (stored.law, stored.event_shape, len(stored)) == (measured.law, (4, 4), 8)
    monkeypatch.setattr(measurements, "AT_ONCE", 3)
    assert stored.std() == measured.std()  # of three parts


def test_only_what_is_used_is_read(tmp_path):
    """The 64 MB of a file are mapped, and a batch of them takes kilobytes."""
    import tracemalloc

    law, n = room.Mask(0.5), 1000
    mask = np.broadcast_to(np.arange(16_384).reshape(128, 128) % 2 == 0, (n, 128, 128))
    Measurements(np.zeros((n, 128, 128), np.float32), room.MaskOperator(mask), law, (128, 128)).save(tmp_path)
    tracemalloc.start()
    StoredMeasurements(tmp_path)[[1, 500, 999]].read()
    assert tracemalloc.get_traced_memory()[1] < 2e6  # three masks and samples are 0.25 MB
    tracemalloc.stop()


def test_what_cannot_be_read_is_a_sentence(measured, tmp_path):
    last = tmp_path / "measurements-00002.npz"
    with np.load(last) as file:
        arrays = dict(file)
    np.savez_compressed(last, **arrays)
    with pytest.raises(ValueError, match=r"00002.npz could not be read \(its arrays are compressed\)"):
        StoredMeasurements(tmp_path)
    np.savez(last, **arrays | {"y": np.full_like(arrays["y"], np.nan)})
    stored = StoredMeasurements(tmp_path)
    with pytest.raises(ValueError, match="y must be finite"):
        stored[5:].read()
    last.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"00002.npz could not be read"):
        StoredMeasurements(tmp_path)
    about = json.loads((tmp_path / "measurements.json").read_text())
    (tmp_path / "measurements.json").write_text(json.dumps(about | {"n": 12}))
    with pytest.raises(ValueError, match=r"measurements-00003.npz is missing"):
        StoredMeasurements(tmp_path)
    with pytest.raises(ValueError, match="folder must have measurements"):
        inspect.unwrap(StoredMeasurements)(tmp_path / "none")
