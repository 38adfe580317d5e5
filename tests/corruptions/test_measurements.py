"""Measured data, in memory and on disk; nothing of the clean samples is in them."""

import inspect
import json

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room
from jaxsamp.corruptions import Measurements, corrupt
from jaxsamp.corruptions import files as module

X = np.random.default_rng(0).normal(size=(7, 6, 8, 1)).astype(np.float32)
LAWS = {
    "mask": room.Mask(0.5),
    "fixed-box": room.FixedBox(2, noise=0.1),
    "keep-patch": room.KeepPatch(3, floor=0.1),
    "downsample": room.Downsample(2, rate=0.5),
    "compressed-sensing": room.CompressedSensing(5, noise=0.2),
    "blur": room.Blur(0.7),
    "k-space": room.KSpace(2.0, center=0.1),
}


def images(name):
    return np.concatenate([X, X], -1) if name == "k-space" else X


@pytest.mark.parametrize("name", LAWS)
def test_measurements_come_back_from_disk(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "SHARD", 3)
    measured = corrupt(jax.random.key(0), images(name), LAWS[name])
    measured.save(tmp_path / "m")
    again = Measurements.load(tmp_path / "m")
    assert again.law == LAWS[name] and again.event_shape == images(name).shape[1:] and len(again) == 7
    assert jax.tree.structure(again) == jax.tree.structure(measured)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(measured), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        *(f"measurements-0000{i}.npz" for i in range(3)),
        "measurements.json",
    ]


def test_no_clean_pixel_is_stored_or_reachable(tmp_path):
    """No hidden value of x is in the measurements, in their files, or in what training reads."""
    from jaxsamp.training import data

    measured = corrupt(jax.random.key(0), X, room.Mask(0.5))
    hidden = X[~np.asarray(measured.operator.mask)]
    measured.save(tmp_path)
    with np.load(tmp_path / "measurements-00000.npz") as file:
        stored = [file[name] for name in file.files]
    assert sum(array.nbytes for array in stored) == X.nbytes + 7 * X[0].size // 8
    batch = data.batches(measured, None, jax.random.key(1)).batch(0, 20)
    for array in [*stored, *jax.tree.leaves(measured), *jax.tree.leaves(batch)]:
        assert not np.isin(hidden, array).any()
    np.testing.assert_array_equal(measured.y, np.where(measured.operator.mask, X, 0))


def test_each_sample_is_measured_alone():
    law = room.Mask(0.5, noise=0.3)
    whole, part = corrupt(jax.random.key(0), X, law), corrupt(jax.random.key(0), X[:3], law)
    np.testing.assert_array_equal(whole[:3].y, part.y)
    np.testing.assert_array_equal(whole[np.arange(7) < 3].operator.mask, part.operator.mask)
    assert len(whole[2]) == 1 and (whole[-1].y == whole.y[-1]).all()


@pytest.mark.parametrize(
    "law",
    [
        room.Mask(0.6),
        room.CompressedSensing(3),
        room.Mask(0.3, noise=0.5),
        room.CompressedSensing(3, noise=0.5),
        room.CompressedSensing(5, noise=0.5),
    ],
    ids=str,
)
def test_the_standard_deviation_is_estimated_from_what_was_seen(law):
    """20,000 numbers, a constant background of 3: within 5 % of 0.7 (its error is 1 %).

    The noise of random sums is changed by A^+, by 2.5 times its variance on average for 5 sums of 8 numbers.
    """
    x = 0.7 * np.random.default_rng(1).normal(size=(2500, 8)) + (3 if isinstance(law, room.Mask) else 0)
    assert corrupt(jax.random.key(0), x, law).std() == pytest.approx(0.7, rel=0.05)


def test_noise_is_where_something_is_measured():
    """48 x 200 entries, half of them seen: |z| < 4 for the variance."""
    measured = corrupt(jax.random.key(0), np.zeros((200, 6, 8)), room.Mask(0.5, noise=0.3))
    mask = np.asarray(measured.operator.mask)
    assert (measured.y[~mask] == 0).all()
    assert abs((measured.y[mask] ** 2).mean() / 0.09 - 1) < 4 * np.sqrt(2 / mask.sum())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, f: corrupt(jax.random.key(0), m, m.law), TypeError, "x must be clean samples .* got Measurements"),
        (lambda m, f: Measurements(m.y[:3], m.operator, m.law, (6, 8, 1)), ValueError, "operator must have one entry"),
        (lambda m, f: Measurements(m.y[..., 0], m.operator, m.law, (6, 8, 1)), ValueError, "y must be of shape"),
        (
            lambda m, f: Measurements(m.y, m.operator, m.law, (48,)),
            ValueError,
            r"event_shape must be that of samples which the operators take; got \(48,\) \(x must be of the mask",
        ),
        (lambda m, f: m[7], IndexError, "rows must be among the 7 measurements; got 7"),
        (lambda m, f: Measurements(m.y * np.nan, m.operator, m.law, (6, 8, 1)), ValueError, "y must be finite"),
        (lambda m, f: Measurements.load(f), ValueError, "folder must have measurements"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, call, error, words):
    with pytest.raises(error, match=words):
        call(corrupt(jax.random.key(0), X, room.Mask(0.5)), tmp_path)


def test_a_missing_file_is_named(tmp_path):
    corrupt(jax.random.key(0), X, room.Mask(0.5)).save(tmp_path)
    assert json.loads((tmp_path / "measurements.json").read_text())["law"]["rate"] == 0.5
    (tmp_path / "measurements-00000.npz").unlink()
    with pytest.raises(ValueError, match=r"measurements-00000.npz is missing"):
        Measurements.load(tmp_path)


def test_other_samples_go_through_the_same_operators():
    """With the noise of the law, drawn anew; and the share that was seen is that of the masks."""
    measured = corrupt(jax.random.key(0), X, room.Mask(0.5, noise=0.1))
    again = measured.again(jax.random.key(1), X + 1)
    mask = np.asarray(measured.operator.mask)
    assert again.operator is measured.operator and (again.y[~mask] == 0).all()
    noise = (again.y - X - 1)[mask]
    assert 0.08 < noise.std() < 0.12 and not np.allclose(noise, (measured.y - X)[mask], atol=0.05)  # 7 deviations
    assert measured.seen == pytest.approx(mask.mean()) and corrupt(jax.random.key(0), X, room.Blur()).seen is None
    with pytest.raises(ValueError, match=r"x must be of shape \(7, 6, 8, 1\); got \(6, 6, 8, 1\)"):
        measured.again(jax.random.key(1), X[1:])


def test_a_damaged_file_is_named(tmp_path):
    """As what NumPy and JSON raise of it is no ValueError, or names no file."""
    corrupt(jax.random.key(0), X, room.Mask(0.5)).save(tmp_path)
    for name, text in (("measurements-00000.npz", "PK"), ("measurements.json", '{"law": {}}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=f"folder must have measurements as they were written; .*{name} could not"):
            Measurements.load(tmp_path)


def test_measurements_are_no_array_of_samples_and_can_be_looped_over(tmp_path):
    """Where clean samples are needed, NumPy took each measurement for a list of itself, which had no end."""
    measured = corrupt(jax.random.key(0), X, room.Mask(0.5))
    measured.save(tmp_path)
    for data in (measured, room.StoredMeasurements(tmp_path)):
        assert [len(one) for one in data] == [1] * 7 and len(data[-1]) == len(data[-7]) == 1
        name = type(data).__name__
        for door, start in (
            (
                lambda data: inspect.unwrap(js.learning.annotate_fixed)(data, np.arange(7) > 3, 1.0),
                "data must be an array of samples; ",
            ),
            (np.asarray, "^"),
            (lambda data: corrupt(jax.random.key(0), np.asarray(data), room.Mask(0.5)), "^"),
        ):
            with pytest.raises(TypeError, match=f"{start}clean samples are needed here, .* got {name}, whose"):
                door(data)
