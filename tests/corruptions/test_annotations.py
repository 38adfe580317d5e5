"""Levels of samples are read as they were written, and at each level the samples are uniform over those admitted."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxsamp.corruptions import Annotations
from jaxsamp.corruptions.annotations import factor

MIN = np.array([0.0, 0.5, 0.0, 2.0, 0.5, np.inf, 1.0])
MAX = np.array([0.0, 0.1, 0.0, 0.3, 0.0, 0.2, 0.0])
NOTES = Annotations(MIN, MAX)
F = 2 / np.sqrt(3)
LEVELS = np.array([0.05, 0.1, 0.15, 0.25, 0.4, 0.5 * F, 0.6, 1.0, 1.3, 5.0], np.float32)


def admitted(s):
    """By the definition, for each level and sample."""
    s = s[:, None]
    return (s > np.float32(F) * MIN.astype(np.float32)) | (s <= MAX.astype(np.float32))


def test_samples_are_uniform_over_those_that_a_level_admits_and_the_levels_stay():
    """Chi-squared at ten levels, each at false-alarm rate 1e-4; a sample that is not admitted is never drawn."""
    admission, allowed, each = NOTES.admission(), admitted(LEVELS), 4000
    np.testing.assert_array_equal(admission.count(jnp.asarray(LEVELS)), allowed.sum(1))
    s = jnp.repeat(jnp.asarray(LEVELS), each)
    number, noise = map(np.asarray, jax.jit(lambda key: admission.draw(key, s))(jax.random.key(0)))
    used_as_clean = np.repeat(LEVELS, each) <= MAX[number].astype(np.float32)
    np.testing.assert_array_equal(noise, np.where(used_as_clean, 0, MIN[number]).astype(np.float32))
    for drawn, may in zip(number.reshape(-1, each), allowed, strict=True):
        counts = np.bincount(drawn, minlength=len(MIN))
        assert not counts[~may].any()
        assert may.sum() == 1 or scipy.stats.chisquare(counts[may]).pvalue > 1e-4


def test_no_sample_is_admitted_twice_at_any_level():
    """The table would draw it with twice the probability: every sample is in one part of it at most."""
    s = jnp.geomspace(0.01, 10, 500)
    for buffer in (1.01, 4.0, np.inf):
        allowed = (np.asarray(s)[:, None] > np.float32(factor(buffer)) * MIN.astype(np.float32)) | (
            np.asarray(s)[:, None] <= MAX.astype(np.float32)
        )
        np.testing.assert_array_equal(NOTES.admission(buffer).count(s), allowed.sum(1))


def test_the_buffer_bounds_the_noise_of_the_target():
    """s^2 / (s^2 - sigma_n^2) = buffer at the lowest level that is admitted."""
    for buffer in (1.5, 4.0, 100.0):
        np.testing.assert_allclose(1 / (1 - factor(buffer) ** -2), buffer)
    assert factor(4.0) == pytest.approx(1.1547, abs=1e-4) and factor(np.inf) == 1


def test_files_keep_the_levels_and_the_data_by_number_and_by_name(tmp_path):
    data = np.random.default_rng(0).normal(size=(7, 3))
    by_number = Annotations(MIN, MAX, data)
    lines = by_number.save(tmp_path / "notes.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["annotations"] == 7
    assert [json.loads(line) for line in lines[1:3]] == [
        {"index": 0, "sigma_min": 0.0},
        {"index": 1, "sigma_min": 0.5, "sigma_max": 0.1},
    ]
    assert json.loads(lines[6]) == {"index": 5, "sigma_min": None, "sigma_max": 0.2}
    names = [f"{letter}.png" for letter in "gbcdefa"]
    Annotations(MIN, MAX, files=names).save(tmp_path / "named.jsonl")
    for found in (
        Annotations.load(tmp_path / "notes.jsonl", data),
        Annotations.load(tmp_path / "named.jsonl"),
        Annotations.load(tmp_path / "named.jsonl", data, names),
    ):
        np.testing.assert_array_equal(found.sigma_min, MIN)
        np.testing.assert_array_equal(found.sigma_max, MAX)
    reordered = Annotations.load(tmp_path / "named.jsonl", files=names[::-1][:3])
    np.testing.assert_array_equal(reordered.sigma_min, MIN[::-1][:3])
    with pytest.raises(ValueError, match=r"annotations must be those of the data; .* checksum \d+, and got shape"):
        Annotations.load(tmp_path / "notes.jsonl", data + 1)
    with pytest.raises(ValueError, match="annotations must have one entry per sample, 6; got 7"):
        by_number.check(data[:6])


@pytest.mark.parametrize(
    "text, phrase",
    [
        ('{"index": 0, "sigma_min": 0}\n{"index": 0, "sigma_min": 0}', "0 has a second one, line 2"),
        ('{"index": 0, "sigma_min": 0}\n{"index": 2, "sigma_min": 0}', "there is none for 1"),
        ('{"index": 0, "sigma_min": 0}\nsigma', "must hold one JSON object per line; line 2 is 'sigma'"),
        ('{"index": 0}', "must have a number sigma_min or null in each line, .* line 1 has none"),
        ('{"index": 0, "sigma_min": "high"}', "line 1 has 'high'"),
        (
            '{"filename": "a", "probabilities": [[0.5, 0.4]]}',
            "line 1 has the probabilities of a classifier",
        ),
        ('{"filename": "a", "crop_predictions_8": [0.5]}', "line 1 has the crop_predictions_8 of a classifier"),
    ],
)
def test_a_line_that_is_wrong_is_named(text, phrase, tmp_path):
    (tmp_path / "notes.jsonl").write_text(text)
    with pytest.raises(ValueError, match=phrase):
        Annotations.load(tmp_path / "notes.jsonl")


def test_files_of_other_programs_are_read(tmp_path):
    path = tmp_path / "annotations.jsonl"
    path.write_text('{"filename": "b", "annotation": 0.3}\n{"filename": "a", "sigma": 0}\n')
    found = Annotations.load(path)
    assert found.files == ("b", "a") and found.sigma_min.tolist() == [0.3, 0.0]
    path.write_text('{"filename": "b", "sigma_min": 300, "sigma_max": 0.05}\n')
    found = Annotations.load(path, files=["b"])
    assert found.sigma_min.tolist() == [300.0] and found.sigma_max.tolist() == [0.05]
    with pytest.raises(ValueError, match="files must be different names, to find them in .*; 'b' is the name of two"):
        Annotations.load(path, files=["b", "a", "b"])
    path.write_text('{"index": 1, "sigma_min": 2}\n{"index": 0, "sigma_min": 0}\n')
    assert Annotations.load(path, files=["b", "a"]).sigma_min.tolist() == [0.0, 2.0]  # numbers need no names


@pytest.mark.parametrize(
    "options, phrase",
    [
        ({"sigma_min": [0.0, -1.0]}, "sigma_min must be at least 0; got -1 for sample 1"),
        ({"sigma_min": [0.0, np.nan]}, "sigma_min must be at least 0; got nan for sample 1"),
        ({"sigma_min": 0.3}, r"sigma_min must have one entry per sample, \(n,\); got shape \(\)"),
        ({"sigma_min": []}, "sigma_min must have one entry per sample, .* got none"),
        ({"sigma_min": [0.0, 1.0], "sigma_max": [0.0]}, r"sigma_max must be one number or 2, .* shape \(1,\)"),
        ({"sigma_min": [0.0, 1.0], "sigma_max": [0.0, np.inf]}, "sigma_max must be finite and at least 0; got inf"),
        (
            {"sigma_min": [0.0, 0.2], "sigma_max": [0, 0.5]},
            "not between them; got sigma_min 0.2 and sigma_max 0.5 for sam",
        ),
        ({"sigma_min": [0.0, 0.2], "files": ["a", "a"]}, "files must be 2 different names, .* got 1"),
        ({"sigma_min": [0.0], "data": np.zeros((2, 3))}, "sigma_min must have one entry per sample, 2; got 1"),
    ],
)
def test_levels_that_make_no_sense_are_refused_in_a_sentence(options, phrase):
    with pytest.raises(ValueError, match=phrase):
        Annotations(**options)
    with pytest.raises(TypeError, match="sigma_min must be numbers"):
        Annotations(["high"])
    with pytest.raises(ValueError, match="buffer must be above 1; got 1.0"):
        inspect.unwrap(Annotations.admission)(NOTES, 1.0)
