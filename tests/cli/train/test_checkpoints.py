"""What the other commands, and Python, make of a checkpoint."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from jaxsamp.core.fingerprint import describe
from jaxsamp.training import load
from tests.cli.train.runs import weights


def report(folder, name="report.json"):
    return json.loads((folder / name).read_text())


@pytest.mark.slow
def test_samples_of_a_checkpoint_are_nearer_to_the_truth_than_those_of_an_untrained_network(ring):
    words = ["--num-samples", "300", "--steps", "12", "--no-metrics"]
    assert cli.main(["sample", "--checkpoint", str(ring), *words, "--out", "trained"]) == 0
    facts = report(Path("trained"))
    assert facts["target"] == "ring" and facts["settings"]["checkpoint"] == str(ring) and facts["evaluations"] == 12
    learned, with_samples = js.training.load_denoiser(ring), np.load("trained/samples.npz")
    untrained = replace(learned, params=learned.apply.init(jax.random.key(0), jnp.zeros((1, 2))))
    noise = {"grid": with_samples["grid"], "final_denoise": False}
    x = js.sample(jax.random.key(0), untrained, (300, 2), js.samplers.UniPC(), **noise).x
    true = js.targets.ring().sample(jax.random.key(1), 1000)
    near, far = (js.metrics.energy_distance(found, true) for found in (with_samples["samples"], x))
    assert near < 0.2 * far  # 0.005 and 0.3


@pytest.mark.slow
def test_samples_of_a_checkpoint_are_compared_with_the_law_or_with_what_was_held_out(ring, labeled, capsys):
    words = ["--num-samples", "100", "--steps", "8", "--out"]
    for folder, law, reference in ((ring, "GaussianMixture", "law"), (labeled, None, "data")):
        assert cli.main(["sample", "--checkpoint", str(folder), *words, reference]) == 0
        facts = report(Path(reference))
        assert list(facts["metrics"]) == [reference] and facts["law"] == law
        assert facts["metrics"][reference]["energy"]["value"] < 0.1
    assert "against held-out data" in capsys.readouterr().out


def test_a_denoiser_is_rebuilt_from_the_folder_alone(ring):
    learned, last = js.training.load_denoiser(ring), js.training.load_denoiser(ring, ema=False)
    model = learned.apply
    assert model.network == js.models.MLP(32, 2) and learned.schedule == js.schedules.EDM() and model.predicts == "edm"
    assert model.sigma_data == pytest.approx(1.005, abs=0.02)  # that of the ring, measured with 4,096 samples
    assert last.apply is model  # so that loading again does not compile again
    for found, ema in ((learned, True), (last, False)):
        for a, b in zip(jax.tree.leaves(found.params), weights(ring, ema), strict=True):
            np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(weights(ring), weights(ring, ema=False), strict=True))


@pytest.mark.parametrize("network", [js.models.UNet(8, (1, 3), 1, (), 4, jnp.bfloat16), js.models.DiT(heads=2)])
def test_every_network_and_schedule_is_rebuilt_as_it_was(network, monkeypatch):
    for schedule in js.schedules.BY_NAME.values():
        model = js.models.Model(network, schedule, "epsilon", 0.7)
        told = json.loads(json.dumps({"model": describe(model)}))
        monkeypatch.setattr(load, "load_config", lambda folder, told=told: told)
        monkeypatch.setattr(load, "load_weights", lambda folder, ema: {})
        found = js.training.load_denoiser("anywhere").apply
        assert describe(found) == describe(model) and type(found.network) is type(network)
        assert hash(found.network)  # Flax needs it


def test_a_model_that_is_not_jaxsamps_own_is_refused_by_name(tmp_path, monkeypatch):
    class Own(js.models.MLP):
        pass

    for network, schedule, sentence in (
        (
            js.models.MLP(),
            js.schedules.DiscreteTime(jnp.linspace(0.9, 0.1, 20)),
            "an array of shape (20,) as its model.schedule",
        ),
        (Own(), js.schedules.EDM(), "Own as its model.network"),
    ):
        told = {"model": describe(js.models.Model(network, schedule))}
        monkeypatch.setattr(load, "load_config", lambda folder, told=told: told)
        with pytest.raises(ValueError, match=re.escape(sentence)):
            js.training.load_denoiser("anywhere")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="folder must hold a complete checkpoint"):
        js.training.load_denoiser(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_labels_are_sampled_as_in_the_data_or_one_alone_and_guidance_sharpens(labeled):
    def drawn(*words):
        words = ["--num-samples", "200", "--steps", "12", "--no-metrics", "--out", "out", "--force", *words]
        assert cli.main(["sample", "--checkpoint", str(labeled), *words]) == 0
        return np.load("out/samples.npz")["samples"].mean(1)

    both, one = drawn(), drawn("--label", "1")
    # 200 fair coins: 4.2 deviations; a narrow network leaves 1 % of the points on the other side.
    assert 0.35 < (both > 0).mean() < 0.65 and (one > 0).mean() > 0.95
    assert drawn("--label", "0", "--guidance", "2.0").mean() < drawn("--label", "0").mean() < -0.5


@pytest.mark.slow
def test_compare_takes_a_network(labeled):
    words = ["--samplers", "ddim", "unipc", "--steps", "4", "8", "--num-samples", "60"]
    assert cli.main(["compare", "--checkpoint", str(labeled), *words]) == 0
    assert sorted(os.listdir(labeled / "compare")) == ["compare.json", "compare.png"]
    facts = report(labeled / "compare", "compare.json")
    flow = {(row["sampler"], row["steps"]): row["distance_to_flow"] for row in facts["rows"]}
    assert flow["unipc", 8] < flow["ddim", 8] < flow["ddim", 4]
    assert facts["flow"]["steps"] == 256 and facts["flow"]["distance_to_half_as_many"] < 0.01 * flow["ddim", 8]
    assert all(row["energy_null"][0] < row["energy_null"][1] for row in facts["rows"]) and facts["law"] is None


def test_evaluate_compares_with_what_a_network_was_trained_on(labeled, capsys):
    trained = recipes.load(labeled.parent / "two.npz")
    np.save("copies.npy", trained.train[:40])
    words = ["evaluate", "copies.npy", "--checkpoint", str(labeled), "--metrics", "memorization", "energy"]
    assert cli.main(words) == 0
    facts = report(Path("copies-evaluation"))
    assert facts["metrics"]["data"]["memorization"]["value"] == 1 and (facts["train"], facts["held_out"]) == (160, 40)
    Path("bare").mkdir()
    assert cli.main(["evaluate", "copies.npy", "--checkpoint", "bare", "--out", "out"]) == 2
    assert "--reference must be given, or checkpoint must be a run" in capsys.readouterr().err
    assert cli.main(["evaluate", "copies.npy"]) == 2
    assert "one of --reference and --checkpoint must say" in capsys.readouterr().err


def test_the_error_of_a_network_is_measured_where_it_is_known(ring, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    means, covariances = np.array([[0.5, 0.0], [-0.5, 0.0]]), np.stack([np.eye(2) / 4, np.diag([0.1, 0.5])])
    np.savez("law.npz", weights=[0.25, 0.75], means=means, covariances=covariances)
    words = ["--target", "law.npz", "--levels", "0.2", "2", "--num-samples", "500", "--seed", "3", "--out", "errors"]
    assert cli.main(["score-error", "--checkpoint", str(ring), *words]) == 0
    printed = capsys.readouterr().out
    assert "500 samples at each level" in printed and "Bayes risk" in printed and "…" not in printed
    assert sorted(os.listdir("errors")) == ["score-error.json", "score-error.png"]
    rows = report(Path("errors"), "score-error.json")["rows"]
    law = js.targets.GaussianMixture([0.25, 0.75], means, covariances)
    denoiser, levels = js.training.load_denoiser(ring), np.array([2.0, 0.2])
    expected = js.metrics.score_error(jax.random.key(3), denoiser, law, levels, 500)
    assert [row["level"] for row in rows] == pytest.approx(levels)
    for name in ("relative", "stderr", "score", "mse", "bayes"):
        assert [row[name] for row in rows] == pytest.approx(np.asarray(getattr(expected, name)), rel=1e-4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--target", "two.npz"), "--target must be a law whose score is known, .* two is data"),
        (("--levels", "0"), "--levels must be finite and above 0; got 0.0"),
        (("--num-samples", "1"), "--num-samples must be at least 2; got 1"),
        (("--checkpoint", "none"), "--checkpoint must be the folder of a run; there is no folder none"),
        (("--target", "law.npz"), r"--target must have samples of the shape .* got shape \(3,\)"),
    ],
)
def test_an_error_that_cannot_be_measured_is_a_sentence(ring, capsys, words, sentence):
    np.savez("law.npz", weights=[1.0], means=np.zeros((1, 3)), covariances=np.eye(3)[None])
    assert cli.main(["score-error", "--checkpoint", str(ring), "--out", "out", *words]) == 2
    err = capsys.readouterr().err
    assert re.search(sentence, err) and err.count("\n") == 1 and not Path("out").exists(), err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--checkpoint", "none"), "--checkpoint must be the folder of a run; there is no folder none"),
        (("--checkpoint", "RING", "--schedule", "vp"), "--schedule must be left out with --checkpoint"),
        (("--checkpoint", "RING", "--components", "3"), "--components must be left out with --checkpoint"),
        (("--checkpoint", "RING", "--model", "empirical"), "--model must be left out with --checkpoint"),
        (("--checkpoint", "RING", "--label", "1"), "--label is for a network that was trained with labels; .* was not"),
        (
            ("--checkpoint", "RING", "--target", "two.npz"),
            r"--target must have samples of the shape .* got shape \(3,\)",
        ),
        (("--checkpoint", "LABELED", "--label", "2"), "--label must be from 0 to 1; got 2"),
        (("--checkpoint", "LABELED", "--guidance", "inf"), "--guidance must be finite; got inf"),
        (
            ("--checkpoint", "BARE"),
            "--target must be given, or checkpoint must be a run of `jaxsamp train`",
        ),
        (
            ("--label", "1"),
            "--label is for a network trained with labels, so --checkpoint or --pretrained is needed too",
        ),
    ],
)
def test_what_does_not_go_with_a_checkpoint_is_a_sentence(ring, labeled, capsys, words, sentence):
    if "BARE" in words:  # as `fit` leaves it
        shutil.copytree(ring, "bare")
        Path("bare/config.json").unlink()
    places = {"RING": str(ring), "LABELED": str(labeled), "BARE": "bare"}
    assert cli.main(["sample", *(places.get(word, word) for word in words), "--out", "out"]) == 2
    err = capsys.readouterr().err
    assert re.search(sentence, err) and err.count("\n") == 1 and not Path("out").exists(), err
