"""`jaxsamp corrupt`: what it keeps of the data, what it says of it, and what it refuses."""

import json
import os
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxsamp import cli, recipes
from jaxsamp.cli.corrupt import quoted
from jaxsamp.corruptions import Measurements

PNG = b"\x89PNG\r\n\x1a\n"
X = np.random.default_rng(0).normal(size=(40, 4, 4)).astype(np.float32)
BARE = ["corrupted.png", "measurements-00000.npz", "measurements.json", "report.json"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    np.save("plain.npy", X)


def run(capsys, *words: str) -> tuple[int, str, str]:
    return cli.main(["corrupt", *words]), *capsys.readouterr()


def test_measurements_of_both_parts_are_kept_with_their_labels_and_no_clean_number(capsys):
    np.savez("named.npz", x=X, labels=np.array(["cat", "dog"])[np.arange(40) % 2])
    flags = ("--operator", "mask", "--rate", "0.5", "--out", "masked")
    code, out, err = run(capsys, "--data", "named.npz", *flags)
    assert (code, err) == (0, "") and "named, mask (rate 0.5), 32 measurements and 8 held out" in out
    assert sorted(os.listdir("masked")) == sorted([*BARE, "held-out", "labels.npy"])
    assert sorted(os.listdir("masked/held-out")) == ["labels.npy", "measurements-00000.npz", "measurements.json"]
    clean, hidden = recipes.load("named.npz"), []
    for place, x, labels in (("masked", clean.train, clean.labels), ("masked/held-out", clean.held_out, None)):
        found = Measurements.load(place)
        mask = np.asarray(found.operator.mask)
        np.testing.assert_array_equal(found.y, np.where(mask, x, 0))
        hidden.append(x[~mask])
        if labels is not None:
            np.testing.assert_array_equal(np.load(f"{place}/labels.npy"), clean.table[labels])
            seen = mask.mean()
    for file in Path("masked").rglob("*.npz"):
        with np.load(file) as stored:
            assert not any(np.isin(np.concatenate(hidden), stored[name]).any() for name in stored.files)
    facts = json.loads(Path("masked/report.json").read_text())
    assert facts["law"] == {"type": "Mask", "rate": 0.5, "per_channel": False, "noise": 0.0}
    assert facts["seen"] == pytest.approx(seen) and facts["cannot_be_learned"] is None and facts["labels"]
    assert facts["smallest_q"] == pytest.approx(0.05 / 0.55)  # (1 - r) d / (1 - (1 - r) (1 - d))
    assert Path("masked/corrupted.png").read_bytes().startswith(PNG)
    again = recipes.load("masked")
    np.testing.assert_array_equal(again.labels, clean.labels)
    assert (len(again.measured), len(again.held_out_measured), again.classes) == (32, 8, 2) and again.train is None
    # Other data in the same folder leave none of the earlier files, and take --force.
    assert run(capsys, "--data", "plain.npy", *flags)[0] == 2
    assert run(capsys, "--data", "plain.npy", *flags, "--force")[0] == 0
    assert sorted(os.listdir("masked")) == sorted([*BARE, "held-out"]) and recipes.load("masked").labels is None


def test_what_is_printed_for_the_shell_is_a_path_and_no_known_name():
    assert [quoted(Path(name)) for name in ("digits", "a b", "/digits")] == ["./digits", "'a b'", "/digits"]


def test_measurements_without_a_held_out_folder_lose_a_fifth(capsys):
    assert run(capsys, "--data", "plain.npy", "--out", "masked")[0] == 0
    for file in Path("masked/held-out").iterdir():
        file.unlink()
    data, whole = recipes.load("masked"), Measurements.load("masked")
    assert (len(data.measured), len(data.held_out_measured)) == (26, 6)
    assert {*map(bytes, whole.y)} == {*map(bytes, data.measured.y), *map(bytes, data.held_out_measured.y)}


@pytest.mark.parametrize(
    ("operator", "sentence"),
    [
        (("downsample", "--rate", "1"), "law must see everything that its further corruption hides"),
        (("blur", "--sigma", "0.5"), "law must have a further corruption to learn from its measurements"),
    ],
)
def test_what_cannot_be_learned_from_is_measured_and_said(capsys, operator, sentence):
    code, out, err = run(capsys, "--data", "plain.npy", "--operator", *operator, "--noise", "0.1", "--out", "out")
    assert (code, err) == (0, "") and f"cannot be learned from: {sentence}" in out and "jaxsamp train" not in out
    facts = json.loads(Path("out/report.json").read_text())
    assert facts["cannot_be_learned"].startswith(sentence) and facts["smallest_q"] is None
    assert (facts["seen"] is None) == (operator[0] == "blur") and facts["law"]["noise"] == 0.1


class Normal:
    """A law, as far as this command uses it."""

    event_shape = (2,)

    def sample(self, key, n):
        return jax.random.normal(key, (n, 2))


def test_a_known_law_is_drawn_and_measured():
    law = recipes.LearningData("normal", (2,), Normal())
    data = recipes.measure(jax.random.key(0), law, recipes.corruption("mask", rate=0.1), 50)
    recipes.save_measured(data, "masked")
    again = recipes.load("masked")
    assert (len(again.measured), len(again.held_out_measured), again.event, again.name) == (40, 10, (2,), "masked")
    mask = np.asarray(again.measured.operator.mask)
    np.testing.assert_array_equal(again.measured.y, np.where(mask, data.train, 0))


BAD = {
    "operator": (("--operator", "mesk"), "--operator must be one of .* got 'mesk'. Did you mean 'mask'"),
    "another's": (
        ("--factor", "2"),
        "--factor is not a setting of operator mask, which takes rate, per_channel, noise",
    ),
    "no rate": (("--operator", "box", "--rate", "0.5"), "--rate is not a setting of operator box, which takes size,"),
    "a switch": (("--operator", "box", "--per-channel"), "--per-channel is not a setting of operator box"),
    "range": (("--rate", "1"), r"--rate must be in \[0, 1\); got 1.0"),
    "noise": (("--noise", "-1"), "--noise must be a standard deviation, finite and at least 0; got -1.0"),
    "no number": (("--rate", "half"), "--rate must be a number; got 'half'"),
    "no law": (("--num-samples", "20"), "--num-samples is for a known law; of plain all samples are measured"),
    "few": (("--data", "ring", "--num-samples", "3"), "--num-samples must be at least 10; got 3"),
    "no image": (("--data", "ring", "--operator", "box"), r"--data must be \(h, w\) or \(h, w, c\), at least 8 wide"),
    "shape": (("--operator", "downsample", "--factor", "3"), "--factor must divide the height and width .* got 3"),
    "measured": (("--data", "done"), "--data must be clean samples to be measured; done has been measured already"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_one_sentence_exit_code_two_and_no_file(capsys, name):
    argv, sentence = BAD[name]
    if name == "measured":
        assert run(capsys, "--data", "plain.npy", "--out", "done")[0] == 0
    before = sorted(Path().rglob("*"))
    code, out, err = run(capsys, "--data", "plain.npy", *argv, "--out", "out")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("jaxsamp: ") and re.search(sentence, err), err
    assert sorted(Path().rglob("*")) == before


def test_files_of_measurements_that_are_damaged_are_a_sentence(capsys):
    assert run(capsys, "--data", "plain.npy", "--out", "masked")[0] == 0
    for name, said in (
        ("measurements-00000.npz", "as they were written; masked/measurements-00000.npz could not be read (it holds"),
        ("measurements.json", "measurements as they were written; masked/measurements.json could not be"),
    ):
        Path("masked", name).write_text("damaged")
        code, _, err = run(capsys, "--data", "masked", "--out", "out")
        assert code == 2 and said in err and err.startswith("jaxsamp: --data must have ") and err.count("\n") == 1
