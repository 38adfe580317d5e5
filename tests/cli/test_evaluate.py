"""`jaxsamp evaluate`: what it compares with what, writes and refuses."""

import json
import os
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxsamp import cli, datasets, metrics
from jaxsamp.cli import output
from jaxsamp.cli.evaluate import Evaluate
from jaxsamp.recipes import data, reports
from jaxsamp.targets import ring

FILES = Evaluate.files
RING = np.asarray(ring().sample(jax.random.key(0), 120))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """A folder of the test with samples in it; and few null sets, for speed."""
    monkeypatch.chdir(tmp_path)
    np.savez("ring.npz", samples=RING + 0.3 * np.random.default_rng(0).normal(size=RING.shape), grid=[80.0, 0.3])
    np.save("clean.npy", RING)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(reports, "NULL_SETS", 20)


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = cli.main(["evaluate", *argv])
    return code, *capsys.readouterr()


def outcome(capsys, *argv: str) -> dict:
    """The report of a run that must succeed."""
    code, _, err = run(capsys, *argv, "--out", "out", "--force")
    assert (code, err) == (0, "")
    assert sorted(os.listdir("out")) == sorted(FILES)
    assert Image.open("out/comparison.png").size[0] > 100
    return json.loads(Path("out/report.json").read_text())


@pytest.mark.slow
def test_samples_are_compared_at_the_level_where_their_grid_ends(capsys):
    code, out, err = run(capsys, "ring.npz", "--reference", "ring")
    assert (code, err) == (0, "") and "120 samples at noise level 0.3 against ring" in out
    assert "against the law" in out and "Rao's test of means" in out and "outside" not in out
    assert sorted(os.listdir("ring-evaluation")) == sorted(FILES)
    facts = json.loads(Path("ring-evaluation/report.json").read_text())
    assert facts["reference"] == "ring" and facts["noise_level"] == 0.3 and facts["num_samples"] == 120
    assert facts["settings"]["seed"] == 0 and facts["law"] == "GaussianMixture" and facts["components"] == 8
    assert {"sliced_w2", "energy", "c2st", "log_density", "rao_means"} <= set(facts["metrics"]["law"])
    assert all(metric["inside"] for metric in facts["metrics"]["law"].values())


def test_a_level_that_is_given_wins(capsys):
    names = ("--metrics", "log_density", "rao_cov_diag")
    right = outcome(capsys, "ring.npz", "--reference", "ring", "--sigma", "0.3", *names)["metrics"]["law"]
    wrong = outcome(capsys, "ring.npz", "--reference", "ring", "--sigma", "0", *names)["metrics"]["law"]
    assert list(right) == list(wrong) == ["log_density", "rao_cov_diag"]
    assert all(metric["inside"] for metric in right.values())
    assert not any(metric["inside"] for metric in wrong.values())


@pytest.mark.slow
def test_the_seed_decides_and_the_samples_stay(capsys):
    before = Path("ring.npz").read_bytes()
    flags = ("ring.npz", "--reference", "ring", "--metrics", "log_density")
    first, again, other = (outcome(capsys, *flags, "--seed", seed)["metrics"] for seed in "001")
    assert first == again != other and Path("ring.npz").read_bytes() == before


def test_a_file_is_a_reference_whole(capsys):
    np.save("true.npy", ring().sample(jax.random.key(1), 100))
    facts = outcome(capsys, "clean.npy", "--reference", "true.npy")
    assert (facts["train"], facts["held_out"], facts["law"]) == (100, 100, None) and facts["noise_level"] == 0
    assert set(facts["metrics"]["samples"]) == {"sliced_w2", "energy", "c2st", "memorization"}
    copies = outcome(capsys, "clean.npy", "--reference", "clean.npy", "--metrics", "memorization", "mmd")
    copies = copies["metrics"]["samples"]
    assert copies["memorization"]["value"] == 1 and not copies["memorization"]["inside"] and "mmd" in copies
    assert data.load("true.npy").train.shape == (80, 2)  # a target, of which one fifth is held out


def test_digits_get_features_and_their_own_training_set(capsys, monkeypatch):
    monkeypatch.setattr(data, "digit_features", lambda: lambda x: np.asarray(x).reshape(len(x), -1)[:, ::8])
    train, _, held_out = datasets.digits()
    np.save("copied.npy", train[:60])
    facts = outcome(capsys, "copied.npy", "--reference", "digits", "--metrics", "frechet", "memorization", "energy")
    found = facts["metrics"]["data"]
    assert found["memorization"]["value"] == 1 and not found["memorization"]["inside"]
    floor = metrics.frechet_distance(train.reshape(-1, 64)[:, ::8], held_out.reshape(-1, 64)[:, ::8])
    assert found["frechet"]["floor"] == pytest.approx(floor) and found["energy"]["inside"]
    assert (facts["train"], facts["held_out"]) == (1297, 500)


def test_folders_of_images_are_compared_as_arrays(capsys):
    rng = np.random.default_rng(0)
    for folder, level in (("new", 60), ("true", 0)):
        Path(folder).mkdir()
        for i in range(12):
            Image.fromarray(rng.integers(level, 196 + level, (9, 8), np.uint8)).save(f"{folder}/{i}.png")
    facts = outcome(capsys, "new", "--reference", "true", "--image-size", "4", "--metrics", "energy")
    assert facts["num_samples"] == 12 and facts["metrics"]["samples"]["energy"]["value"] > 0.5
    assert run(capsys, "new", "--reference", "true", "--image-size", "4", "--metrics", "energy")[0] == 0
    assert Path("new-evaluation/report.json").exists()


BAD = {
    "metric": (("--metrics", "energi"), "--metrics must be one of .* Did you mean 'energy'"),
    "metric that lacks": (("--metrics", "frechet"), "'frechet' does not apply here, because it needs `features`"),
    "copies of a law": (("--metrics", "memorization"), "'memorization' does not apply here"),
    "reference": (("--reference", "rign"), "--reference, .* must be one of .* Did you mean 'ring'"),
    "no reference": (("--reference", "none.npy"), "--reference must be a file that exists; there is no none.npy"),
    "shape": (
        ("--reference", "wide.npy"),
        r"--reference must have samples of shape \(2,\), like x; got \(3,\)",
    ),
    "few": (("--reference", "few.npy"), "--reference must hold at least 4 samples; few.npy holds 3"),
    "level": (("--sigma", "-1"), "--sigma must be finite and at least 0; got -1.0"),
    "no level": (("--sigma", "nan"), "--sigma must be finite and at least 0; got nan"),
    "seed": (("--seed", "-1"), "--seed must be at least 0"),
    "image size": (("--image-size", "0"), "--image-size must be at least 1; got 0"),
    "out is a file": (("--out", "few.npy"), "--out must be a folder that can be written; got few.npy"),
}
PLACES = {
    "none.npz": "SAMPLES must be a file that exists; there is no none.npz",
    "few.npy": "SAMPLES must hold at least 4 samples; few.npy holds 3",
    "nan.npy": "SAMPLES nan.npy must be finite; got nan",
    "text.txt": "SAMPLES must be a .npy or .npz file or a folder of images; got the file text.txt",
    "empty": "SAMPLES must be a folder of images; got empty, which is empty",
    "odd.npz": "SAMPLES must hold noise levels, none below 0, in its `grid`; odd.npz",
}


@pytest.mark.parametrize("name", [*BAD, *PLACES])
def test_a_bad_argument_is_one_sentence_exit_code_two_and_no_file(capsys, name):
    np.save("few.npy", RING[:3])
    np.save("wide.npy", np.zeros((9, 3)))
    np.save("nan.npy", np.where(RING > 1, np.nan, RING))
    np.savez("odd.npz", samples=RING, grid=[1.0, -1.0])
    Path("empty").mkdir()
    Path("text.txt").touch()
    before = sorted(Path().rglob("*"))
    argv, sentence = BAD.get(name, ((), PLACES.get(name)))
    code, out, err = run(capsys, "clean.npy" if name in BAD else name, "--reference", "ring", *argv)
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("jaxsamp: ")
    assert re.search(sentence, err) and "Traceback" not in err
    assert sorted(Path().rglob("*")) == before


def test_earlier_results_are_kept_unless_forced(capsys):
    flags = ("clean.npy", "--reference", "ring", "--metrics", "occupancy", "--out", "kept")
    assert run(capsys, *flags)[0] == 0
    code, _, err = run(capsys, *flags)
    assert code == 2 and "--out must be a folder without earlier results, or add --force; kept holds" in err
    assert run(capsys, *flags, "--force")[0] == 0


def test_a_run_that_fails_leaves_nothing_behind(capsys, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(output, "write_json", fail)
    assert run(capsys, "clean.npy", "--reference", "ring", "--metrics", "occupancy")[0] == 130
    assert not Path("clean-evaluation").exists()


def test_what_is_missing_is_a_short_error(capsys):
    assert run(capsys, "clean.npy")[0] == 2  # no reference
    assert run(capsys)[0] == 2
