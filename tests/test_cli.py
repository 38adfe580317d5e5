"""The command line: what it writes, what it refuses, and how."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxsamp import cli
from jaxsamp.cli import data, laws, report
from jaxsamp.cli.sample import FILES

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = ("--num-samples", "12", "--steps", "4", "--no-metrics")
BLOBS = ("--target", "blobs.npy", "--components", "2", *SMALL)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Default outputs land in a folder of the test, beside some data, and JAX's settings stay as they are."""
    monkeypatch.chdir(tmp_path)
    np.save("blobs.npy", blobs())
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = cli.main(["sample", *argv])
    return code, *capsys.readouterr()


def outcome(capsys, *argv: str) -> tuple[np.ndarray, dict]:
    """Samples and report of a run that must succeed."""
    code, _, err = run(capsys, *argv, "--out", "out", "--force")
    assert (code, err) == (0, "")
    assert sorted(os.listdir("out")) == sorted(FILES)
    assert Path("out/samples.png").read_bytes().startswith(PNG)
    with np.load("out/samples.npz") as stored:
        assert set(stored) == {"samples", "grid", "seed"}
        return stored["samples"], json.loads(Path("out/report.json").read_text())


def blobs(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3)) + 4 * np.arange(n)[:, None] % 8


def test_without_a_target_it_writes_digits_their_picture_and_a_report_to_runs_digits(capsys):
    code, out, err = run(capsys, *SMALL, "--components", "2", "--seed", "3")
    assert (code, err) == (0, "") and "12 samples by unipc in 4 steps" in out
    assert sorted(os.listdir("runs/digits")) == sorted(FILES)
    with np.load("runs/digits/samples.npz") as stored:
        samples, grid = stored["samples"], stored["grid"]
        assert stored["seed"] == 3
    assert samples.shape == (12, 8, 8) and np.abs(samples).max() < 4
    assert grid.shape == (5,) and (np.diff(grid) < 0).all()
    np.testing.assert_allclose(grid[[0, -1]], [80, 0.02], rtol=1e-5)
    facts = json.loads(Path("runs/digits/report.json").read_text())
    assert facts["settings"]["seed"] == 3 and facts["law"] == "GaussianMixture" and facts["components"] == 2
    assert (facts["train"], facts["held_out"], facts["evaluations"], facts["rounds"]) == (1297, 500, 4, 4)
    assert set(facts["versions"]) == {"jaxsamp", "jax", "python"} and facts["device"] and facts["metrics"] == {}
    assert set(facts["seconds"]) == {"load", "fit", "sample", "picture"}


def test_digits_are_split_as_documented_and_real_ones_score_as_real(monkeypatch):
    monkeypatch.setattr(report.metrics, "frechet", partial(report.metrics.frechet, null_sets=20))
    digits = data.load("digits", 0)
    assert digits.train.shape == (1297, 8, 8) and digits.held_out.shape == (500, 8, 8)
    assert digits.train.min() == -1 and digits.train.max() == 1
    found = report.against_data(digits.train, digits, jax.random.key(0))
    assert set(found) == {"frechet", "memorization"}
    assert found["frechet"]["value"] == pytest.approx(found["frechet"]["floor"]) == pytest.approx(1.06, abs=0.02)
    assert found["memorization"]["value"] == 1 and not found["memorization"]["inside"]


def test_a_toy_gets_the_metrics_of_its_law_and_a_table(capsys):
    code, out, _ = run(capsys, "--target", "ring", "--num-samples", "100", "--steps", "24")
    assert code == 0 and "against the law" in out and "held-out" not in out
    facts = json.loads(Path("runs/ring/report.json").read_text())
    found = facts["metrics"]["law"]
    blocks = {"rao_weights", "rao_means", "rao_cov_diag", "rao_cov_off"}
    assert set(found) == {"sliced_w2", "energy", "c2st", "occupancy", "log_density"} | blocks
    # A correct sampler leaves a 99 % band 1 time in 100; nine bands with this fixed seed hold.
    assert all(metric["inside"] for metric in found.values())
    assert Image.open("runs/ring/samples.png").size[0] == 1350


def test_the_seed_and_nothing_else_decides_the_samples(capsys):
    first, _ = outcome(capsys, *BLOBS)
    again, _ = outcome(capsys, *BLOBS, "--microbatch", "5")
    other, _ = outcome(capsys, *BLOBS, "--seed", "1")
    np.testing.assert_allclose(first, again, rtol=0, atol=1e-5)
    assert np.abs(first - other).max() > 0.1


def test_samples_are_in_the_scale_of_the_data_under_every_schedule(capsys):
    drawn = [outcome(capsys, *BLOBS, "--sigma-min", "0.5", "--schedule", name)[0] for name in ("vp", "edm")]
    np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-4)


def test_arrays_in_files_are_targets_and_so_are_earlier_samples(capsys):
    samples, facts = outcome(capsys, "--target", "blobs.npy", *SMALL)
    assert samples.shape == (12, 3) and (facts["train"], facts["held_out"], facts["components"]) == (32, 8, 3)
    os.rename("out", "earlier")
    assert outcome(capsys, "--target", "earlier/samples.npz", *SMALL)[0].shape == (12, 3)
    np.savez("several.npz", x=blobs().astype(np.float16), other=np.zeros(3))
    assert data.load("several.npz", 0).train.shape == (32, 3)


def test_data_files_are_compared_with_what_was_held_out(capsys):
    _, facts = outcome(capsys, "--target", "blobs.npy", "--model", "empirical", "--num-samples", "20", "--steps", "4")
    assert set(facts["metrics"]["data"]) == {"energy", "memorization"}
    assert facts["metrics"]["data"]["memorization"]["value"] > 0.9  # all an empirical law can do is copy


def test_a_folder_of_images_is_cropped_to_one_size_and_scaled(capsys):
    rng = np.random.default_rng(0)
    for i in range(12):
        folder = Path("photos/more" if i % 2 else "photos")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (14, 9 + i, 3), np.uint8)).save(folder / f"{i}.png")
    Path("photos/notes.txt").write_text("not an image")
    samples, facts = outcome(capsys, "--target", "photos", "--image-size", "4", *SMALL, "--model", "empirical")
    assert samples.shape == (12, 4, 4, 3) and facts["target"] == "photos" and facts["train"] == 10
    assert np.abs(samples).max() < 1.2 and samples.std() > 0.1


def test_pixels_of_any_depth_and_transparency_become_plain(tmp_path):
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "deep.png")
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "clear.png")
    both = data.read_folder(tmp_path, 2)
    assert both.shape == (2, 2, 2) and (both == 1).all()
    np.save(tmp_path / "white.npy", np.full((10, 2), 255, np.uint8))
    np.testing.assert_array_equal(data.load(str(tmp_path / "white.npy"), 2).train, np.ones((8, 2)))


BAD = {
    "sampler": (("--sampler", "unipq"), "--sampler must be one of .* got 'unipq'. Did you mean 'unipc'"),
    "target": (("--target", "digts"), "--target, .* must be one of 'digits', .* Did you mean 'digits'"),
    "grid": (("--grid", "karas"), "--grid must be one of .* Did you mean 'karras'"),
    "schedule": (("--schedule", "cosin"), "--schedule must be one of .* Did you mean 'cosine'"),
    "model": (("--model", "mixtur"), "--model must be one of .* Did you mean 'mixture'"),
    "steps": (("--steps", "0"), "--steps must be at least 1; got 0"),
    "number": (("--num-samples", "0"), "--num-samples must be at least 1; got 0"),
    "one to compare": (("--num-samples", "1", "--metrics"), "--num-samples must be at least 2; got 1"),
    "batch": (("--microbatch", "0"), "--microbatch must be at least 1; got 0"),
    "components": (("--components", "0"), "--components must be at least 1; got 0"),
    "too many": (("--target", "blobs.npy", "--components", "33"), "--components must be at most 32, .* got 33"),
    "image size": (("--image-size", "0"), "--image-size must be at least 1; got 0"),
    "seed": (("--seed", "-1"), "--seed must be at least 0"),
    "lowest level": (("--sigma-min", "0"), "--sigma-min must be above 0; got 0.0"),
    "not a level": (("--sigma-min", "nan"), "--sigma-min must be above 0; got nan"),
    "highest level": (("--sigma-max", "0.01"), "--sigma-max must be finite and above 0.02; got 0.01"),
    "out of range": (("--sigma-min", "1e5", "--sigma-max", "1e6"), "overlap the schedule's own range"),
    "no file": (("--target", "none.npy"), "--target .* there is no none.npy"),
    "no folder": (("--target", "no/where"), "--target .* there is no no/where"),
    "kind of file": (("--target", "text.txt"), "--target must be a .npy or .npz file .* text.txt"),
    "broken file": (("--target", "empty.npy"), "--target must hold arrays of numbers; empty.npy could not be read"),
    "objects": (("--target", "objects.npy"), "--target must hold arrays of numbers; objects.npy could not be read"),
    "empty folder": (("--target", "empty"), "--target must be a folder of images; got empty, which is empty"),
    "no images": (("--target", "texts"), "--target must be a folder of images; got texts, and none"),
    "not finite": (("--target", "nan.npy"), "--target nan.npy must be finite; got nan in sample"),
    "which array": (("--target", "two.npz"), "--target .* one named 'x' or 'samples'; two.npz holds 'a', 'b'"),
    "dimensions": (
        ("--target", "flat.npy"),
        r"shape \(n, \*event\); flat.npy holds shape \(40,\)",
    ),
    "few": (("--target", "few.npy"), "--target must hold at least 10 samples; few.npy holds 3"),
    "wide": (("--target", "wide.npy"), "--model mixture takes samples of at most 1024 numbers"),
    "out is a file": (("--out", "text.txt"), "--out must be a folder that can be written; got text.txt"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_one_sentence_exit_code_two_and_no_file(capsys, name):
    Path("empty").mkdir()
    Path("texts").mkdir()
    for text in ("text.txt", "texts/a.txt", "empty.npy"):
        Path(text).touch()
    arrays = {"flat": np.zeros(40), "few": np.zeros((3, 2)), "wide": np.zeros((20, 2000))}
    arrays |= {"nan": np.where(blobs() > 3, np.nan, 0), "objects": np.array([{}, None])}
    for file, array in arrays.items():
        np.save(f"{file}.npy", array)
    np.savez("two.npz", a=blobs(), b=blobs())
    before = sorted(Path().rglob("*"))
    argv, sentence = BAD[name]
    code, out, err = run(capsys, *SMALL, *argv)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("jaxsamp: ") and err.endswith(".\n") or err.endswith("?\n")
    assert re.search(sentence, err)
    assert sorted(Path().rglob("*")) == before


def test_earlier_results_are_kept_unless_forced(capsys):
    flags = (*BLOBS, "--out", "kept")
    assert run(capsys, *flags)[0] == 0
    before = Path("kept/samples.npz").read_bytes()
    code, _, err = run(capsys, *flags, "--seed", "1")
    assert code == 2 and err == (
        "jaxsamp: --out must be a folder without earlier results, or add --force; kept holds samples.npz.\n"
    )
    assert Path("kept/samples.npz").read_bytes() == before
    assert run(capsys, *flags, "--seed", "1", "--force")[0] == 0
    assert Path("kept/samples.npz").read_bytes() != before


EXHAUSTED = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")


@pytest.mark.parametrize("failure, code", [(KeyboardInterrupt(), 130), (EXHAUSTED, 2), (RuntimeError("a bug"), None)])
def test_a_run_that_fails_leaves_nothing_behind_and_a_bug_keeps_its_traceback(capsys, monkeypatch, failure, code):
    def fail(*_):
        raise failure

    monkeypatch.setattr(report, "write_json", fail)
    if code is None:
        with pytest.raises(RuntimeError, match="a bug"):
            run(capsys, *BLOBS)
    else:
        assert run(capsys, *BLOBS)[0] == code
    assert not Path("runs").exists()


def test_a_program_that_is_interrupted_ends_without_taking_jax_down(monkeypatch):
    """Which can crash it, so that the shell would see a fault for 130; a caller in Python gets the code back."""

    def interrupted(_):
        raise KeyboardInterrupt

    ends = []
    monkeypatch.setattr(cli, "_parse", interrupted)
    monkeypatch.setattr(os, "_exit", ends.append)
    assert cli.main(["sample"]) == 130 and not ends
    cli.main()
    assert ends == [130]


@pytest.mark.parametrize("module, package", [("sklearn.mixture", "scikit-learn"), ("PIL", "pillow"), ("tyro", "tyro")])
def test_a_missing_package_is_a_sentence_with_the_way_to_install_it(capsys, monkeypatch, module, package):
    Path("photos").mkdir()
    Path("photos/a.png").touch()
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = run(capsys, "--target", "photos" if module == "PIL" else "blobs.npy", *SMALL)
    assert code == 2 and package in err and 'pip install "jaxsamp[cli]"' in err and err.count("\n") == 1


@pytest.mark.slow
def test_the_ridge_is_the_best_one_for_held_out_digits():
    """The comment at RIDGE claims it; neighbors three times larger and smaller do worse."""
    train, _, held_out = data.digits()
    rows = held_out.reshape(len(held_out), -1)

    def likelihood(ridge: float) -> float:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(laws, "RIDGE", ridge)
            return float(laws.mixture(train, None, 0).log_prob(jax.numpy.asarray(rows)).mean())

    middle = likelihood(laws.RIDGE)
    assert middle > likelihood(laws.RIDGE / 3.3) and middle > likelihood(laws.RIDGE * 3.3)


def test_compilations_are_kept_in_the_users_cache_unless_another_is_named(monkeypatch, tmp_path):
    settings = []
    monkeypatch.setattr(jax.config, "update", lambda *setting: settings.append(setting))
    cli._keep_compilations()
    assert settings == []  # JAX_COMPILATION_CACHE_DIR is set
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cli._keep_compilations()
    assert settings == [("jax_compilation_cache_dir", str(tmp_path / "jaxsamp"))]


def test_words_that_are_no_command_are_short_errors(capsys):
    assert cli.main(["smaple"]) == 2
    assert cli.main(["sample", "--steps", "many"]) == 2
    assert cli.main(["sample", "--stps", "3"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err and len(err.splitlines()) < 40


def test_help_names_each_option_and_its_default(capsys):
    assert cli.main(["sample", "--help"]) == 0
    out, err = capsys.readouterr()
    assert "--num-samples" in out and "(default: 2000)" in out and err == ""


def test_the_console_script_refuses(tmp_path):
    script = Path(sysconfig.get_path("scripts")) / "jaxsamp"
    refused = subprocess.run([script, "sample", "--steps", "0"], capture_output=True, text=True, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr == "jaxsamp: --steps must be at least 1; got 0.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["blobs.npy"]
