"""`jaxsamp train`: what it writes, resumes and refuses; and what its checkpoints are good for in the other commands."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tyro

import jaxsamp as js
from jaxsamp import cli
from jaxsamp.cli import data, settings
from jaxsamp.cli.network import Network
from jaxsamp.cli.objective import Objective, Optimizer
from jaxsamp.cli.train import OF_ONE_CALL, Train
from jaxsamp.training.journal import read

ROOT = Path(__file__).parents[1]
SMALL = ("--network", "mlp", "--width", "16", "--depth", "1", "--batch-size", "16")
RUN = (*SMALL, "--steps", "8", "--checkpoint-every", "3", "--report-every", "2", "--ema", "0.5", "--samples-every", "0")


def weights(folder, ema=True):
    return jax.tree.leaves(js.training.load_weights(folder, ema))


def assert_same_weights(a, b):
    for ema in (True, False):
        assert all(np.array_equal(x, y) for x, y in zip(weights(a, ema), weights(b, ema), strict=True))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    labels = np.arange(50) % 2
    np.savez("two.npz", x=rng.normal(size=(50, 3)) + 4 * labels[:, None], labels=labels)


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A run on a toy that is trained enough to be told from an untrained network, with two pictures."""
    out = tmp_path_factory.mktemp("train") / "ring"
    words = ["train", "--data", "ring", "--network", "mlp", "--width", "32", "--depth", "2", "--steps", "400"]
    assert cli.main([*words, "--samples-every", "250", "--ema", "0.98", "--no-progress", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run on two clusters with labels."""
    folder = tmp_path_factory.mktemp("labelled")
    labels = np.arange(200) % 2
    x = np.random.default_rng(0).normal(size=(200, 2)) / 4 + np.where(labels, 1.0, -1.0)[:, None]
    np.savez(folder / "two.npz", x=x, labels=labels)
    words = ["train", "--data", str(folder / "two.npz"), "--labels", "--width", "32", "--depth", "1", "--drop", "0.2"]
    words += ["--steps", "300", "--ema", "0.98", "--samples-every", "0", "--out", str(folder / "run")]
    assert cli.main(words) == 0
    return folder / "run"


def test_a_run_leaves_checkpoints_settings_metrics_a_curve_and_pictures(ring):
    files = {path.name for path in ring.iterdir()}
    assert files == {"400", "config.json", "metrics.jsonl", "loss.png", "pictures"}
    assert {path.name for path in (ring / "pictures").iterdir()} == {"step-250.png", "step-400.png"}
    for picture in (ring / "loss.png", *(ring / "pictures").iterdir()):
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
    steps = [entry["step"] for entry in read(ring / "metrics.jsonl")]
    assert steps == list(range(50, 401, 50))
    stored = json.loads((ring / "config.json").read_text())
    assert stored["data"] == "ring" and stored["network"]["width"] == 32 and stored["steps"] == 400
    assert not OF_ONE_CALL & set(stored)


def test_flags_become_settings_and_settings_the_same_flags(tmp_path):
    words = "--data ring --labels --network unet --multipliers 1 3 --attention 0 1 --dtype bfloat16 --schedule cosine"
    words += " --predicts v --levels uniform-time --weighting none --level-mean -0.5 --batch-size 64 --weight-decay 0.1"
    given = tyro.cli(Train, args=[*words.split(), "--learning-rate", "1", "--steps", "7", "--image-size", "8"])
    settings.write(given, tmp_path / "config.json", OF_ONE_CALL)
    again = Train(config=tmp_path / "config.json").completed([])
    assert again == given and again.optimizer.learning_rate == 1.0
    assert given.network == Network("unet", multipliers=(1, 3), attention=(0, 1), dtype="bfloat16")
    assert given.objective == Objective("cosine", "v", "uniform-time", -0.5, weighting="none")
    assert given.optimizer == Optimizer(64, learning_rate=1.0, weight_decay=0.1)
    won = Train(config=tmp_path / "config.json").completed(["--batch-size", "32", "--no-labels"])
    assert won == replace(given, optimizer=replace(given.optimizer, batch_size=32), labels=False)


def test_every_choice_of_the_objective_is_built():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 2)), jnp.float32)
    for objective in (
        Objective("vp", "v", "uniform-time", weighting="snr"),
        Objective("rectified-flow", "velocity", "uniform-log-snr", weighting="none"),
        Objective("cosine", "epsilon", "log-normal", weighting="min-snr"),
        Objective("ou", "x0", weighting="unit"),
    ):
        objective.check()
        model, loss = objective.model(Network(width=8).build((2,), 0), 2.0), objective.loss(2.0, False)
        params = model.init(jax.random.key(0), x)
        assert np.isfinite(loss(jax.random.key(1), model, params, x, None)).all()
        assert model.predicts == objective.predicts and type(loss.levels).__name__.lower()[:7] in (
            objective.levels.replace("-", "")[:7],
        )
    # The same noise levels relative to the data, whatever their scale.
    assert Objective().loss(0.5, False).levels.mean == pytest.approx(-1.2)
    assert Objective().loss(5.0, False).levels.mean == pytest.approx(-1.2 + np.log(10))
    assert Objective().loss(1.0, True).drop == 0.1 and Objective().loss(1.0, False).drop == 0


@pytest.mark.parametrize(
    ("event", "expected"),
    [((2,), "MLP"), ((8, 8), "UNet(1, 2)"), ((16, 16, 3), "UNet(1, 2, 2)"), ((7, 7), "UNet(1,)"), ((3, 4, 5), "MLP")],
)
def test_the_network_suits_the_data(event, expected):
    network = Network().build(event, 0)
    assert type(network).__name__ + str(getattr(network, "multipliers", "")) == expected
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, *event)), jnp.zeros(1))
    assert jax.tree.leaves(params)


def test_a_run_that_is_resumed_needs_its_folder_alone_and_ends_with_the_same_bits(tmp_path, monkeypatch, capsys):
    assert cli.main(["train", "--data", "two.npz", *RUN, "--labels", "--out", "whole"]) == 0
    calls = []

    def failing(step, state):
        calls.append(step)
        raise Exception("the lights went out")

    monkeypatch.setattr(Train, "_painter", lambda *_: failing)
    with pytest.raises(Exception, match="the lights"):
        cli.main(["train", "--data", "two.npz", *RUN[:-1], "5", "--labels", "--out", "cut"])
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path / "cut")  # the data are found from anywhere
    assert js.training.latest_step(".") == 3 and calls == [5]
    capsys.readouterr()
    assert cli.main(["train", "--resume", "--out", ".", "--samples-every", "0"]) == 0
    assert "MLP of" in capsys.readouterr().out and js.training.latest_step(".") == 8
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")
    assert [entry["step"] for entry in read("metrics.jsonl")] == [2, 4, 6, 8]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_one_sentence_says_how_to_go_on(capsys, sent, code):
    def send():
        for _ in range(600):
            if Path("run/metrics.jsonl").exists() and Path("run/metrics.jsonl").stat().st_size:
                return os.kill(os.getpid(), sent)
            time.sleep(0.05)

    thread = threading.Thread(target=send)
    thread.start()
    words = ["--steps", "2000000", "--checkpoint-every", "1000000", "--report-every", "5"]
    assert cli.main(["train", "--data", "two.npz", *RUN, *words, "--out", "run"]) == code
    thread.join()
    err = capsys.readouterr().err
    step = js.training.latest_step("run")
    assert step and err == (
        f"jaxsamp: stopped by {'SIGTERM' if code == 143 else 'Ctrl-C'}; step {step} of 2000000 is saved. "
        "To go on: jaxsamp train --resume --out run\n"
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_that_diverges_is_a_sentence_and_leaves_nothing(capsys):
    words = ["--learning-rate", "1e30", "--clip", "1e30", "--warmup", "0"]
    assert cli.main(["train", "--data", "two.npz", *RUN, *words, "--out", "deep/run"]) == 1
    err = capsys.readouterr().err
    assert re.match(r"jaxsamp: training must stay finite; at step \d+ of 8 .*\n$", err) and err.count("\n") == 1
    assert not Path("deep").exists()


BAD = {
    "data": (("--data", "rign"), "--data, .* must be one of .* Did you mean 'ring'"),
    "no file": (("--data", "none.npy"), "--data must be a file that exists; there is no none.npy"),
    "network": (("--network", "umet"), "--network must be one of .* Did you mean 'unet'"),
    "not its setting": (("--channels", "8"), "--channels is no setting of --network mlp, which takes --width, --depth"),
    "no image": (("--network", "unet"), r"--network unet takes images; --data has samples of shape \(3,\). Give mlp"),
    "no width": (("--width", "0"), "--width must be at least 1; got 0"),
    "dtype": (("--dtype", "float8"), "--dtype must be one of 'float32', 'bfloat16'; got 'float8'"),
    "schedule": (("--schedule", "cosin"), "--schedule must be one of .* Did you mean 'cosine'"),
    "predicts": (("--predicts", "eps"), "--predicts must be one of .* Did you mean 'epsilon'"),
    "levels": (("--levels", "lognormal"), "--levels must be one of .* Did you mean 'log-normal'"),
    "weighting": (("--weighting", "minsnr"), "--weighting must be one of .* Did you mean 'min-snr'"),
    "drop": (("--drop", "1"), r"--drop must be in \[0, 1\); got 1.0"),
    "batch": (("--batch-size", "0"), "--batch-size must be at least 1; got 0"),
    "parts": (("--batch-size", "8", "--accumulate", "3"), "--batch-size must be divisible by --accumulate = 3; got 8"),
    "rate": (("--learning-rate", "0"), "--learning-rate must be above 0; got 0.0"),
    "ema": (("--ema", "1"), r"--ema must be in \[0, 1\); got 1.0"),
    "steps": (("--steps", "0"), "--steps must be at least 1; got 0"),
    "pictures": (("--samples-every", "-1"), "--samples-every must be at least 0; got -1"),
    "seed": (("--seed", "-1"), "--seed must be at least 0"),
    "no labels": (("--data", "ring", "--labels"), "--labels needs data with labels; ring has none"),
    "constant": (("--data", "flat.npy"), "--data must vary; every sample of flat is the same"),
    "odd labels": (("--data", "odd.npz"), "--data must hold integers from 0, .* in its `labels`; odd.npz holds"),
    "few labels": (("--data", "few.npz"), "few.npz must hold one label for each of its 50 samples; it has 3"),
    "no mixture": (("--data", "law.npz"), "--data must hold a mixture of Gaussians, as law.npz seems to; weights must"),
    "nothing to resume": (("--resume", "--out", "none"), "--resume must find a run in --out; none has no config.json"),
    "no config": (("--config", "none.json"), "--config must be a file of settings .* got none.json"),
    "config of another kind": (("--config", "list.json"), r"--config list.json must hold settings by name; got \[1\]"),
    "unknown setting": (("--config", "unknown.json"), "--config unknown.json: every setting must be .* 'steps'"),
    "wrong type": (("--config", "typed.json"), "--config typed.json: steps must be int; got 'many'"),
    "nested type": (
        ("--config", "nested.json"),
        "--config nested.json: network: width must be int or NoneType; got 1.5",
    ),
    "out is a file": (("--out", "two.npz"), "--out must be a folder that can be written; got two.npz"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_one_sentence_exit_code_two_and_no_file(capsys, name):
    x = np.zeros((50, 3))
    np.save("flat.npy", x)
    np.savez("odd.npz", x=x, labels=np.full(50, 0.5))
    np.savez("few.npz", x=x, labels=np.arange(3))
    np.savez("law.npz", weights=[0.5, 0.6], means=np.zeros((2, 2)), covariances=np.stack([np.eye(2)] * 2))
    for file, stored in (
        ("list", [1]),
        ("unknown", {"stps": 3}),
        ("typed", {"steps": "many"}),
        ("nested", {"network": {"width": 1.5}}),
    ):
        Path(f"{file}.json").write_text(json.dumps(stored))
    before = sorted(Path().rglob("*"))
    argv, sentence = BAD[name]
    first = () if "--resume" in argv or "--config" in argv else ("--data", "two.npz", *RUN[2:])
    code = cli.main(["train", *first, *argv])
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("jaxsamp: ") and re.search(sentence, err), err
    assert sorted(Path().rglob("*")) == before


def test_a_run_is_never_overwritten_and_never_continued_with_other_settings(ring, capsys):
    before = {path: path.stat().st_mtime_ns for path in ring.rglob("*")}
    for words, sentence in (
        (("--data", "ring"), f"--out must be a folder without a run, or add --resume to go on with it; {ring} has one"),
        (("--resume", "--batch-size", "64"), "of another configuration: batch_size is 128 there and 64 here"),
        (("--resume", "--width", "16", "--seed", "1"), r"model.network.width is 32 there and 16 here"),
        (("--resume", "--data", "moons"), "of another configuration: model.sigma_data is"),
        (("--resume", "--schedule", "vp"), "model.schedule.type is 'VarianceExploding' there"),
    ):
        assert cli.main(["train", *words, "--out", str(ring)]) == 2
        err = capsys.readouterr().err
        assert re.search(sentence, err) and err.count("\n") == 1, err
    assert {path: path.stat().st_mtime_ns for path in ring.rglob("*")} == before


@pytest.mark.parametrize("module, package", [("flax", "flax"), ("optax", "optax")])
def test_a_missing_package_is_a_sentence_with_the_way_to_install_it(capsys, monkeypatch, module, package):
    for name in [name for name in sys.modules if name.startswith(("jaxsamp.training", "jaxsamp.models"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.linen", None)
    assert cli.main(["train", "--data", "two.npz", *RUN]) == 2
    err = capsys.readouterr().err
    assert package in err and 'pip install "jaxsamp[cli,train]"' in err and err.count("\n") == 1


# What the other commands make of a checkpoint.


def report(folder, name="report.json"):
    return json.loads((folder / name).read_text())


def test_samples_of_a_checkpoint_are_nearer_to_the_truth_than_those_of_an_untrained_network(ring, capsys):
    words = ["--num-samples", "300", "--steps", "12", "--force"]
    assert cli.main(["sample", "--checkpoint", str(ring), *words, "--out", "trained"]) == 0
    assert "against the law" in capsys.readouterr().out
    facts = report(Path("trained"))
    assert facts["target"] == "ring" and facts["settings"]["checkpoint"] == str(ring)
    learned = js.training.load_denoiser(ring)
    untrained = learned.apply.denoiser(learned.apply.init(jax.random.key(0), jnp.zeros((1, 2))))
    x = js.sample(jax.random.key(0), untrained, (300, 2), steps=12).x
    worse = js.evaluate(x, js.targets.ring(), jax.random.key(1), metrics="energy", null_sets=20)["energy"].value
    # 0.29 untrained and 0.01 trained
    assert facts["metrics"]["law"]["energy"]["value"] < 0.2 * worse


def test_a_denoiser_is_rebuilt_from_the_folder_alone(ring):
    learned = js.training.load_denoiser(ring)
    assert learned.apply.network == js.models.MLP(32, 2) and learned.schedule == js.schedules.EDM()
    x, level = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32), learned.schedule.level(0.3)
    # 4,096 samples measure the standard deviation, 1.005.
    model = js.models.Model(js.models.MLP(32, 2), js.schedules.EDM(), sigma_data=learned.apply.sigma_data)
    assert learned.apply.sigma_data == pytest.approx(1.005, abs=0.02)
    expected = model.denoiser(js.training.load_weights(ring))(x, level)
    np.testing.assert_array_equal(learned(x, level), expected)
    last = js.training.load_denoiser(ring, ema=False)(x, level)
    assert np.abs(last - expected).max() > 1e-5


def test_a_model_that_is_not_jaxsamps_own_is_refused_by_name(tmp_path):
    x = np.random.default_rng(0).normal(size=(8, 2))
    schedule = js.schedules.Discrete(jnp.linspace(0.99, 0.01, 20))
    js.fit(jax.random.key(0), js.models.MLP(8, 1), x, schedule, 1, batch_size=4, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match=r"an array of shape \(20,\) as its model.schedule.alphas_cumprod"):
        js.training.load_denoiser(tmp_path / "run")
    with pytest.raises(ValueError, match="folder must hold a complete checkpoint"):
        js.training.load_denoiser(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_labels_are_sampled_as_in_the_data_or_one_alone_and_guidance_sharpens(labelled):
    def drawn(*words):
        words = ["--num-samples", "200", "--steps", "12", "--no-metrics", "--out", "out", "--force", *words]
        assert cli.main(["sample", "--checkpoint", str(labelled), *words]) == 0
        return np.load("out/samples.npz")["samples"].mean(1)

    both, one = drawn(), drawn("--label", "1")
    assert 0.35 < (both > 0).mean() < 0.65 and (one > 0).mean() > 0.95  # 200 fair coins: 4.2 deviations
    assert drawn("--label", "0", "--guidance", "2.0").mean() < drawn("--label", "0").mean() < -0.5


def test_compare_takes_a_network(labelled, capsys):
    words = ["--samplers", "ddim", "unipc", "--steps", "4", "8", "--num-samples", "60"]
    assert cli.main(["compare", "--checkpoint", str(labelled), *words]) == 0
    assert sorted(os.listdir(labelled / "compare")) == ["compare.json", "compare.png"]
    facts = report(labelled / "compare", "compare.json")
    flow = {(row["sampler"], row["steps"]): row["distance_to_flow"] for row in facts["rows"]}
    assert flow["unipc", 8] < flow["ddim", 8] < flow["ddim", 4]
    assert facts["flow"]["steps"] == 256 and facts["flow"]["distance_to_half_as_many"] < 0.1 * flow["unipc", 8]
    assert all(row["energy_null"][0] < row["energy_null"][1] for row in facts["rows"]) and facts["law"] is None


def test_evaluate_compares_with_what_a_network_was_trained_on(labelled, capsys):
    trained = data.load(str(labelled.parent / "two.npz"), 1)
    np.save("copies.npy", trained.train[:40])
    words = ["evaluate", "copies.npy", "--checkpoint", str(labelled), "--metrics", "memorisation", "energy"]
    assert cli.main(words) == 0
    facts = report(Path("copies-evaluation"))
    assert facts["metrics"]["data"]["memorisation"]["value"] == 1 and (facts["train"], facts["held_out"]) == (160, 40)
    assert cli.main(["evaluate", "copies.npy"]) == 2
    assert "--reference or --checkpoint must say" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--checkpoint", "none"), "--checkpoint: folder must hold a complete checkpoint; .*none has none"),
        (("--checkpoint", "RING", "--schedule", "vp"), "--schedule must be left out with --checkpoint"),
        (("--checkpoint", "RING", "--components", "3"), "--components must be left out with --checkpoint"),
        (("--checkpoint", "RING", "--model", "empirical"), "--model must be left out with --checkpoint"),
        (("--checkpoint", "RING", "--label", "1"), "--label is for a network that was trained with labels; .* was not"),
        (
            ("--checkpoint", "RING", "--target", "two.npz"),
            r"--target must have samples of the shape .* got shape \(3,\)",
        ),
        (("--checkpoint", "LABELLED", "--label", "2"), "--label must be from 0 to 1; got 2"),
        (("--checkpoint", "LABELLED", "--guidance", "inf"), "--guidance must be finite; got inf"),
        (
            ("--checkpoint", "BARE"),
            "--target must say what to compare with, or --checkpoint be a run of `jaxsamp train`",
        ),
        (("--label", "1"), "--label is for a network that was trained with labels: give its --checkpoint"),
    ],
)
def test_what_does_not_go_with_a_checkpoint_is_a_sentence(ring, labelled, capsys, words, sentence):
    if "BARE" in words:  # as `fit` leaves it
        x = np.random.default_rng(0).normal(size=(8, 2))
        js.fit(jax.random.key(0), js.models.MLP(8, 1), x, js.schedules.EDM(), 1, batch_size=4, checkpoint="bare")
    places = {"RING": str(ring), "LABELLED": str(labelled), "BARE": "bare"}
    assert cli.main(["sample", *(places.get(word, word) for word in words), "--out", "out"]) == 2
    err = capsys.readouterr().err
    assert re.search(sentence, err) and err.count("\n") == 1 and not Path("out").exists(), err


def test_a_mixture_in_a_file_is_a_law():
    means = np.array([[0.0, 0.0], [3.0, 1.0]])
    np.savez("law.npz", weights=[0.25, 0.75], means=means, covariances=np.stack([np.eye(2)] * 2))
    for source in (data.load("law.npz", 1), data.load_reference("law.npz", 1)):
        assert source.train is None and source.event == (2,) and source.name == "law"
        np.testing.assert_allclose(source.law.means, means)


def test_patches_and_labels_are_data():
    patches = data.load("patches", 1)
    assert patches.event == (8, 8) and len(patches.train) > len(patches.held_out) > 100
    digits = data.load("digits", 1)
    assert digits.labels.shape == (1297,) and digits.held_out_labels.shape == (500,)
    nines = digits.only(9)
    assert len(nines.train) == (digits.labels == 9).sum() and nines.name == "digits 9"
    blobs = data.load("two.npz", 1)
    assert ((blobs.train.mean(1) > 2) == blobs.labels).mean() > 0.9  # labels are shuffled with their samples
    assert ((blobs.held_out.mean(1) > 2) == blobs.held_out_labels).all()
