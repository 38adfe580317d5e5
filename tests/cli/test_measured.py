"""`jaxsamp train`, `sample` and `restore` on measurements: no clean sample is needed, and clean ones score."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from jaxsamp.cli.losses import loss_for
from jaxsamp.cli.train import Train
from jaxsamp.recipes import reports
from tests.cli.train.runs import assert_same_weights

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = ("--network", "mlp", "--width", "16", "--depth", "1", "--batch-size", "16", "--ema", "0.5", "--no-progress")
RUN = (*SMALL, "--steps", "4", "--checkpoint-every", "2", "--report-every", "2")
DRAW = ("--num-samples", "12", "--steps", "2", "--no-progress")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images in which each row is one number, their measurements, and a run on these."""
    folder = tmp_path_factory.mktemp("measured")
    rows = np.random.default_rng(0).normal(size=(60, 4, 1))
    np.savez(folder / "clean.npz", x=np.repeat(rows, 4, axis=2).astype(np.float32), labels=np.arange(60) % 2)
    words = ["corrupt", "--data", str(folder / "clean.npz"), "--operator", "mask", "--rate", "0.25"]
    assert cli.main([*words, "--out", str(folder / "masked")]) == 0
    train = ["train", "--data", str(folder / "masked"), *RUN, "--labels", "--further", "0.2", "--samples-every", "0"]
    assert cli.main([*train, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reports, "NULL_SETS", 20)
    for name in ("masked", "run", "clean.npz"):
        Path(name).symlink_to(place / name)


def report(folder):
    return json.loads((Path(folder) / "report.json").read_text())


def test_a_run_on_measurements_has_the_ambient_loss_and_its_settings_come_back(place):
    stored = json.loads(Path("run/config.json").read_text())
    assert stored["further"] == 0.2 and stored["data"] == str(place / "masked") and stored["label_table"] == [0, 1]
    loss = json.loads(Path("run/4/config.json").read_text())["loss"]
    assert (loss["type"], loss["further"], loss["law"]["rate"]) == ("AmbientLoss", 0.2, 0.25)
    assert (loss["drop"], loss["gsure"], recipes.trained_above("run")) == (0.1, False, 0)
    assert Path("run/loss.png").read_bytes().startswith(PNG)
    again = Train.parsed(["--resume", "--out", "run"], "train")
    assert (again.further, again.data, again.labels) == (0.2, str(place / "masked"), True)


def test_the_loss_of_measurements_drops_labels_where_there_are_some_and_has_gsure_where_there_is_noise(monkeypatch):
    data = recipes.load("masked")
    noisy = replace(data, measured=replace(data.measured, law=js.corruptions.Mask(0.25, noise=0.5)))

    def loss(given, *words):
        command = Train.parsed(["--data", "masked", *words], "train")
        return loss_for(command, given)[0]

    assert [loss(data, *words).drop for words in ((), ("--labels",), ("--labels", "--drop", "0.5"))] == [0, 0.1, 0.5]
    assert loss(noisy, "--gsure").gsure and not loss(noisy).gsure
    stored = {"type": "AmbientLoss", "law": {"noise": 0.5}, "gsure": True}
    monkeypatch.setattr(recipes.ambient, "_loss", lambda checkpoint: stored)
    assert recipes.trained_above("run") == 0.5
    stored["gsure"] = False
    assert recipes.trained_above("run") == pytest.approx(0.5 * 2 / 3**0.5)


@pytest.mark.slow
def test_a_run_on_measurements_resumes_with_the_same_bits_and_paints_samples(capsys):
    words = ["train", "--data", "masked", *RUN, "--labels", "--further", "0.2", "--samples-every", "2"]
    assert cli.main([*words, "--out", "cut"]) == 0
    assert_same_weights("run", "cut")
    assert "jaxsamp restore --checkpoint cut --data masked" in capsys.readouterr().out
    assert all(Path(f"cut/pictures/step-{step}.png").read_bytes().startswith(PNG) for step in (2, 4))
    shutil.rmtree("cut/4")
    assert cli.main(["train", "--resume", "--out", "cut", "--samples-every", "0", "--no-progress"]) == 0
    assert_same_weights("run", "cut")


@pytest.mark.slow
def test_samples_are_measured_again_and_compared_with_held_out_measurements(capsys):
    assert cli.main(["sample", "--checkpoint", "run", *DRAW, "--out", "out"]) == 0
    assert "each through an operator of its own" in capsys.readouterr().out
    facts = report("out")
    assert list(facts["metrics"]) == ["measurements"]
    assert set(facts["metrics"]["measurements"]) == {"energy", "sliced_w2"}
    assert (facts["operators"], facts["train"], facts["held_out"], facts["target"]) == ("fixed", 48, 12, "masked")
    with np.load("out/samples.npz") as stored:
        x, labels = stored["samples"], stored["labels"]
    assert x.shape == (12, 4, 4) and set(labels) <= {0, 1}
    assert all(Path("out", name).read_bytes().startswith(PNG) for name in ("samples.png", "grid.png"))


def test_a_task_has_operators_of_the_law_or_one_that_hides_nothing():
    data, denoiser = recipes.load("masked"), recipes.learned_denoiser("run")
    task = recipes.measured_task(jax.random.key(0), data, denoiser, 9, 0.2, label=0)
    seen, labels = np.asarray(task.cond.operator.mask), np.asarray(task.cond.cond)
    assert seen.shape == (9, 4, 4) and (labels == 0).all() and task.data.name == "masked 0"
    assert abs(seen.mean() - 0.75 * 0.8) < 4 * np.sqrt(0.24 / seen.size)  # 144 entries, of which 0.6 are seen
    reference = recipes.load("clean.npz")
    task = recipes.measured_task(jax.random.key(0), data, denoiser, 9, full=True, reference=reference)
    assert np.asarray(task.denoiser.operator.mask).all() and task.cond.shape == (9,)
    np.testing.assert_array_equal(task.data.held_out, reference.held_out)
    with pytest.raises(ValueError, match=r"reference must have samples of shape \(4, 4\), .* got \(2,\)"):
        recipes.measured_task(jax.random.key(0), data, denoiser, 9, reference=recipes.load("ring"))


def test_guidance_of_measured_samples_keeps_their_operators_and_nothing_hidden_too():
    """D_null + 3 (D_label - D_null), both through one operator."""
    data, denoiser = recipes.load("masked"), recipes.learned_denoiser("run")
    x, found = np.random.default_rng(1).normal(size=(5, 4, 4)).astype(np.float32), {}
    answer = jax.jit(lambda denoiser, x, cond: denoiser(x, js.Level(1.0, 0.5), cond))
    for guidance in (None, 3.0):
        for full in (False, True):
            options = {"label": 0, "guidance": guidance, "full": full}
            task = recipes.measured_task(jax.random.key(0), data, denoiser, 5, 0.2, **options)
            assert (task.labels == 0).all()
            found[guidance, full] = np.asarray(answer(task.denoiser, x, task.cond))
        if guidance is None:
            null = jax.numpy.full(5, 2)
            free = {True: np.asarray(answer(task.denoiser, x, null))}
    operators = task.data.measured.law.draw(jax.random.split(jax.random.key(0))[1], 5, (4, 4), 0.2)
    free[False] = np.asarray(answer(denoiser, x, js.corruptions.Corrupted(operators, null)))
    for full in (False, True):
        told = found[None, full]
        np.testing.assert_allclose(found[3.0, full], free[full] + 3 * (told - free[full]), atol=1e-5)
    with pytest.raises(ValueError, match="guidance must be finite; got inf"):
        recipes.measured_task(jax.random.key(0), data, denoiser, 5, guidance=float("inf"))


@pytest.mark.slow
def test_samples_with_nothing_hidden_are_compared_with_clean_data_and_shards_have_operators_too(capsys):
    words = ["--full-mask", "--reference", "clean.npz", "--label", "0", "--guidance", "2", "--out", "full"]
    assert cli.main(["sample", "--checkpoint", "run", *DRAW, *words]) == 0
    assert "with nothing hidden" in capsys.readouterr().out
    full = report("full")
    assert list(full["metrics"]) == ["data", "measurements"] and full["operators"] == "full"
    assert set(full["metrics"]["data"]) == {"energy", "memorization"} and full["target"] == "masked 0"
    words = ["--num-samples", "20", "--steps", "2", "--no-metrics", "--no-progress"]
    for more in (["--shard-size", "8", "--out", "many"], ["--out", "one"]):
        assert cli.main(["sample", "--checkpoint", "run", *words, *more]) == 0
    with np.load("one/samples.npz") as stored:
        np.testing.assert_allclose(js.Shards("many")[:], stored["samples"], atol=1e-5)


def test_true_samples_lie_in_the_bands_and_others_do_not():
    """Bands of 99 exchanges are left by true samples 2 times in 100; both hold for this key."""
    x = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)
    held_out = js.corruptions.corrupt(jax.random.key(1), x[:60], js.corruptions.Mask(0.5, noise=0.1))
    for shift, inside in ((0.0, True), (1.0, False)):
        found = recipes.against_measurements(x[60:] + np.float32(shift), held_out, jax.random.key(3), 99)
        assert [metric.inside for metric in found.values()] == [inside] * 2
    assert recipes.against_measurements(x[:1], held_out, jax.random.key(2), 20) == {}


def test_restored_samples_keep_what_was_seen_and_are_scored_where_it_was_hidden(capsys):
    words = ["--num", "10", "--microbatch", "5", "--reference", "clean.npz", "--out", "out"]
    assert cli.main(["restore", "--checkpoint", "run", "--data", "masked/held-out", *words]) == 0
    assert "where it was hidden, mean squared error: " in capsys.readouterr().out
    facts, clean = report("out"), recipes.load("clean.npz").held_out[:10]
    measured = js.corruptions.Measurements.load("masked/held-out")[:10]
    with np.load("out/restored.npz") as stored:
        x, labels = stored["samples"], stored["labels"]
    denoiser = js.training.load_denoiser("run")
    for part in (slice(5), slice(5, 10)):
        np.testing.assert_array_equal(x[part], js.denoisers.restore(denoiser, measured[part], labels[part]))
    mask = np.asarray(measured.operator.mask)
    assert facts["hidden"] == pytest.approx(np.mean((x - clean)[~mask] ** 2), rel=1e-5)
    mean = measured.y.sum(0) / np.maximum(mask.sum(0), 1)
    assert facts["hidden_by_mean"] == pytest.approx(np.mean((mean - clean)[~mask] ** 2), rel=1e-5)
    assert facts["residual"] == pytest.approx(np.sqrt(np.mean((x - clean)[mask] ** 2)), rel=1e-4)
    assert facts["residual"] < 0.01 and recipes.restoration(measured, x)["hidden"] is None
    assert sorted(facts["files"]) == ["report.json", "restored.npz", "restored.png"]
    assert Path("out/restored.png").read_bytes().startswith(PNG)


def test_measurements_by_another_law_of_the_kind_are_told_from_those_of_training():
    own = js.corruptions.Measurements.load("masked")
    assert recipes.check_learned("run", own)
    assert not recipes.check_learned("run", replace(own, law=js.corruptions.Mask(0.5)))


MASKED = ("train", "--data", "masked", *SMALL)
BAD = {
    "rate": ((*MASKED, "--further", "1"), r"--further must be in \(0, 1\), .* got 1.0"),
    "clean": (("train", "--data", "clean.npz", *SMALL, "--further", "0.1"), "--further is for measurements, .* clean"),
    "notes": ((*MASKED, "--annotations", "notes.jsonl"), "--annotations is for clean and damaged samples; masked has"),
    "drop": ((*MASKED, "--labels", "--drop", "1"), r"--drop must be in \[0, 1\); got 1.0"),
    "clean gsure": (("train", "--data", "clean.npz", *SMALL, "--gsure"), "--gsure is for measurements, .* clean"),
    "no noise": ((*MASKED, "--gsure"), "--gsure is for measurements with noise, .* those of masked have none"),
    "weighting": ((*MASKED, "--weighting", "none"), "--weighting must not be none for measurements"),
    "no network": (("sample", "--target", "masked"), "--target must hold clean samples; masked holds measurements"),
    "target": (
        ("sample", "--checkpoint", "run", "--target", "clean.npz", *DRAW),
        "--target must be the measurements .* or be left out; clean has none. --reference compares",
    ),
    "guidance": (
        ("sample", "--checkpoint", "run", "--guidance", "inf", *DRAW),
        "--guidance must be finite; got inf",
    ),
    "none dropped": (
        ("sample", "--checkpoint", "run", "--guidance", "2", *DRAW),
        "--guidance needs a network that was trained with some labels dropped, .* none were",
    ),
    "full mask": (("sample", "--target", "ring", "--full-mask"), "--full-mask is for a network that has learned from"),
    "reference": (("sample", "--target", "ring", "--reference", "ring"), "--reference is for a network that has"),
    "calibrated": (
        ("sample", "--checkpoint", "run", "--sampler", "unipc", "--sampler.frame", "calibrated", *DRAW),
        "--sampler must not need a calibration",
    ),
    "compare": (
        ("compare", "--checkpoint", "run", "--target", "clean.npz"),
        "--target must be the measurements .* or be left out; clean has none.$",
    ),
    "compared samplers": (
        ("compare", "--checkpoint", "run", "--samplers", "ddim", "parallel-midpoint"),
        "--samplers must not need a calibration, .* ParallelMidpoint does",
    ),
    "compared": (("compare", "--target", "masked"), "--target must hold clean samples; masked holds measurements"),
    "evaluate": (
        ("evaluate", "few.npy", "--checkpoint", "run", "--metrics", "mmd"),
        "--metrics, for measurements, must be one of 'energy', 'sliced_w2'; got 'mmd'",
    ),
    "measured truth": (
        ("evaluate", "few.npy", "--reference", "masked"),
        "--reference must hold clean samples; masked holds measurements",
    ),
    "error": (
        ("score-error", "--checkpoint", "run", "--target", "ring"),
        "--checkpoint must have .* from clean .* `jaxsamp restore --reference` measures",
    ),
    "no run": (("restore", "--checkpoint", "none", "--data", "masked"), "--checkpoint must be the folder of a run"),
    "not measured": (("restore", "--checkpoint", "run", "--data", "here"), "--data must have measurements"),
    "other kind": (
        ("restore", "--checkpoint", "run", "--data", "sensed"),
        "--data must be measured as the network has learned it, by a Mask; got CompressedSensing",
    ),
    "other clean": (
        ("restore", "--checkpoint", "run", "--data", "masked", "--reference", "other.npy"),
        "--reference must be the clean samples that were measured, in their order; other does not have what masked",
    ),
    "no number": (
        ("restore", "--checkpoint", "run", "--data", "masked", "--num", "0"),
        "--num must be at least 1; got",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_sense_is_one_sentence_exit_code_two_and_no_file(capsys, monkeypatch, name):
    Path("here").mkdir()
    if name == "none dropped":
        monkeypatch.setattr(recipes, "dropped_of", lambda checkpoint: 0.0)
    rng = np.random.default_rng(0)
    np.save("few.npy", rng.normal(size=(12, 4, 4)))
    np.save("other.npy", rng.normal(size=(60, 4, 4)))
    js.corruptions.Annotations(np.zeros(48)).save("notes.jsonl")
    if name == "other kind":
        sensed = js.corruptions.corrupt(jax.random.key(0), np.load("few.npy"), js.corruptions.CompressedSensing(5))
        sensed.save("sensed")
    argv, sentence = BAD[name]
    before = sorted(Path().rglob("*"))
    code = cli.main([*argv, "--out", "out"])
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("jaxsamp: ") and re.search(sentence, err), err
    assert sorted(Path().rglob("*")) == before


def test_large_measurements_are_read_when_they_are_used_and_train_the_same_network(monkeypatch):
    whole = recipes.load("masked")
    monkeypatch.setattr(recipes.measured, "LARGE", 100)
    data = recipes.load("masked")
    assert isinstance(data.measured, js.corruptions.StoredMeasurements) and data.learned is data.measured
    np.testing.assert_array_equal(data.measured.read().y, whole.measured.y)
    np.testing.assert_array_equal(data.held_out_measured.y, whole.held_out_measured.y)
    np.testing.assert_array_equal(data.labels, whole.labels)
    words = ["--labels", "--further", "0.2", "--samples-every", "0", "--out", "again"]
    assert cli.main(["train", "--data", "masked", *RUN, *words]) == 0
    assert_same_weights("run", "again")


def test_evaluate_measures_samples_again_as_sample_does(capsys):
    rng = np.random.default_rng(1)
    x = np.repeat(rng.normal(size=(12, 4, 1)), 4, axis=2).astype(np.float32)  # true samples
    np.save("true.npy", x)
    assert cli.main(["evaluate", "true.npy", "--checkpoint", "run", "--out", "out", "--no-progress"]) == 0
    assert "measured again, against held-out measurements" in capsys.readouterr().out
    facts, data = report("out"), recipes.load("masked")
    key = jax.random.split(jax.random.key(0))[0]
    expected = recipes.against_measurements(x, data.held_out_measured, key, 20)
    found = facts["metrics"]["measurements"]
    assert {name: one["value"] for name, one in found.items()} == {
        name: pytest.approx(one.value) for name, one in expected.items()
    }


@pytest.mark.slow
def test_compare_samples_through_operators_and_measures_again(capsys):
    words = ["--samplers", "ddim", "--steps", "2", "--num-samples", "12", "--out", "out", "--no-progress"]
    assert cli.main(["compare", "--checkpoint", "run", *words]) == 0
    (row,) = json.loads(Path("out/compare.json").read_text())["rows"]
    assert row["sampler"] == "ddim" and row["distance_to_flow"] > 0 and np.isfinite(row["energy"])
    assert row["energy_null"][0] < 0 < row["energy_null"][1]  # of random exchanges, about their mean
