"""`jaxsamp train`: what it writes, resumes and refuses; and what its checkpoints are good for in the other commands."""

import json
import os
import re
import shutil
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
from jaxsamp import cli, losses
from jaxsamp.cli import data, settings
from jaxsamp.cli.network import Network
from jaxsamp.cli.objective import Objective, Optimizer
from jaxsamp.cli.train import OF_ONE_CALL, Train
from jaxsamp.training import load
from jaxsamp.training.config import describe
from jaxsamp.training.data import batches
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
    """A run on a toy that is trained enough to be told from an untrained network, with a picture of its samples."""
    out = tmp_path_factory.mktemp("train") / "ring"
    words = ["train", "--data", "ring", "--network", "mlp", "--width", "32", "--depth", "2", "--steps", "400"]
    assert cli.main([*words, "--samples-every", "1000", "--ema", "0.98", "--no-progress", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run on two clusters with labels."""
    folder = tmp_path_factory.mktemp("labelled")
    labels = np.arange(200) % 2
    x = np.random.default_rng(0).normal(size=(200, 2)) / 4 + np.where(labels, 1.0, -1.0)[:, None]
    np.savez(folder / "two.npz", x=x, labels=labels)
    words = ["train", "--data", str(folder / "two.npz"), "--labels", "--width", "32", "--depth", "1", "--drop", "0.2"]
    words += ["--steps", "600", "--ema", "0.98", "--samples-every", "0", "--out", str(folder / "run")]
    assert cli.main(words) == 0
    return folder / "run"


def test_a_run_leaves_checkpoints_settings_metrics_a_curve_and_pictures(ring):
    files = {path.name for path in ring.iterdir()}
    assert files == {"400", "config.json", "metrics.jsonl", "loss.png", "pictures"}
    assert {path.name for path in (ring / "pictures").iterdir()} == {"step-400.png"}
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
    network = Network(width=8).build((2,), 0)
    for objective, levels, weighting in (
        (Objective("vp", "v", "uniform-time", weighting="snr"), losses.UniformTime(), losses.SNRWeighting()),
        (Objective("rectified-flow", "velocity", "uniform-log-snr", weighting="none"), losses.UniformLogSNR(), None),
        (
            Objective("ou", "x0", "log-normal", 0.5, 2.0, "min-snr"),
            losses.LogNormal(0.5, 2.0),
            losses.MinSNRWeighting(),
        ),
        (Objective("cosine", "epsilon", weighting="unit"), losses.LogNormal(-1.2, 1.2), losses.UnitWeighting()),
        (Objective(), losses.LogNormal(-1.2, 1.2), losses.EDMWeighting(0.5)),
    ):
        objective.check()
        model, loss = objective.model(network, 0.5), objective.loss(0.5, (2,), True)
        assert (model.predicts, model.sigma_data) == (objective.predicts, 0.5)
        assert model.schedule == js.schedules.BY_NAME[objective.schedule]
        assert (loss.levels, loss.weighting, loss.drop) == (levels, weighting, 0.1)
    assert Objective().loss(1.0, (2,), False).drop == 0
    # The same noise levels relative to the data, whatever their scale.
    assert Objective().loss(5.0, (2,), False).levels.mean == pytest.approx(-1.2 + np.log(10))
    assert Objective().loss(5.0, (8, 8), False).levels.mean == pytest.approx(-0.5 + np.log(10))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ((2,), "MLP 256"),
        ((8, 8), "MLP 384"),
        ((3, 4, 5), "MLP 256"),
        ((16, 16, 3), "UNet (1, 2, 2)"),
        ((24, 20), "UNet (1, 2, 2)"),
        ((27, 27), "UNet (1,)"),
    ],
)
def test_the_network_suits_the_data(event, expected):
    network = Network().build(event, 0)
    size = network.width if isinstance(network, js.models.MLP) else network.multipliers
    assert f"{type(network).__name__} {size}" == expected
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


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_one_sentence_says_how_to_go_on(capsys, sent, code):
    def send():
        for _ in range(600):
            if Path("run/metrics.jsonl").exists() and Path("run/metrics.jsonl").stat().st_size:
                return os.kill(os.getpid(), sent)
            time.sleep(0.05)

    before = signal.getsignal(sent)
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
    assert signal.getsignal(sent) is before


def test_training_that_diverges_is_a_sentence_and_leaves_nothing(capsys):
    words = ["--learning-rate", "1e30", "--clip", "1e30", "--warmup", "0"]
    assert cli.main(["train", "--data", "two.npz", *RUN, *words, "--out", "deep/run"]) == 1
    err = capsys.readouterr().err
    assert re.match(r"jaxsamp: training must stay finite; at step \d+ of 8 .*\n$", err) and err.count("\n") == 1
    assert not Path("deep").exists()


def test_too_little_memory_is_a_sentence_and_a_bug_keeps_its_traceback(capsys, monkeypatch):
    def fail(error):
        def fit(*_, **__):
            raise error

        monkeypatch.setattr(js.training, "fit", fit)
        return cli.main(["train", "--data", "two.npz", *RUN, "--out", "run"])

    assert fail(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")) == 2
    assert capsys.readouterr().err == "jaxsamp: out of memory; give --accumulate, or a larger one.\n"
    with pytest.raises(RuntimeError, match="a bug"):
        fail(RuntimeError("a bug"))
    assert not Path("run").exists()


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
    "few labels": (("--data", "few.npz"), "--data must hold one label for each of its 50 samples; got 3"),
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
        (("--resume", "--width", "16", "--schedule", "vp"), "width is 32 there and 16 here; model.schedule.type is "),
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
def test_samples_of_a_checkpoint_are_compared_with_the_law_or_with_what_was_held_out(ring, labelled, capsys):
    words = ["--num-samples", "100", "--steps", "8", "--out"]
    for folder, law, reference in ((ring, "GaussianMixture", "law"), (labelled, None, "data")):
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
            js.schedules.Discrete(jnp.linspace(0.9, 0.1, 20)),
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


def test_labels_are_sampled_as_in_the_data_or_one_alone_and_guidance_sharpens(labelled):
    def drawn(*words):
        words = ["--num-samples", "200", "--steps", "12", "--no-metrics", "--out", "out", "--force", *words]
        assert cli.main(["sample", "--checkpoint", str(labelled), *words]) == 0
        return np.load("out/samples.npz")["samples"].mean(1)

    both, one = drawn(), drawn("--label", "1")
    # 200 fair coins: 4.2 deviations; a narrow network leaves 1 % of the points on the other side.
    assert 0.35 < (both > 0).mean() < 0.65 and (one > 0).mean() > 0.95
    assert drawn("--label", "0", "--guidance", "2.0").mean() < drawn("--label", "0").mean() < -0.5


@pytest.mark.slow
def test_compare_takes_a_network(labelled):
    words = ["--samplers", "ddim", "unipc", "--steps", "4", "8", "--num-samples", "60"]
    assert cli.main(["compare", "--checkpoint", str(labelled), *words]) == 0
    assert sorted(os.listdir(labelled / "compare")) == ["compare.json", "compare.png"]
    facts = report(labelled / "compare", "compare.json")
    flow = {(row["sampler"], row["steps"]): row["distance_to_flow"] for row in facts["rows"]}
    assert flow["unipc", 8] < flow["ddim", 8] < flow["ddim", 4]
    assert facts["flow"]["steps"] == 256 and facts["flow"]["distance_to_half_as_many"] < 0.01 * flow["ddim", 8]
    assert all(row["energy_null"][0] < row["energy_null"][1] for row in facts["rows"]) and facts["law"] is None


def test_evaluate_compares_with_what_a_network_was_trained_on(labelled, capsys):
    trained = data.load(str(labelled.parent / "two.npz"), 1)
    np.save("copies.npy", trained.train[:40])
    words = ["evaluate", "copies.npy", "--checkpoint", str(labelled), "--metrics", "memorisation", "energy"]
    assert cli.main(words) == 0
    facts = report(Path("copies-evaluation"))
    assert facts["metrics"]["data"]["memorisation"]["value"] == 1 and (facts["train"], facts["held_out"]) == (160, 40)
    Path("bare").mkdir()
    assert cli.main(["evaluate", "copies.npy", "--checkpoint", "bare", "--out", "out"]) == 2
    assert "--reference must say what to compare with" in capsys.readouterr().err
    assert cli.main(["evaluate", "copies.npy"]) == 2
    assert "--reference or --checkpoint must say" in capsys.readouterr().err


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
        (("--checkpoint", "none"), "--checkpoint: folder must hold a complete checkpoint"),
        (("--target", "law.npz"), r"--target must have samples of the shape .* got shape \(3,\)"),
    ],
)
def test_an_error_that_cannot_be_measured_is_a_sentence(ring, capsys, words, sentence):
    np.savez("law.npz", weights=[1.0], means=np.zeros((1, 3)), covariances=np.eye(3)[None])
    assert cli.main(["score-error", "--checkpoint", str(ring), "--out", "out", *words]) == 2
    err = capsys.readouterr().err
    assert re.search(sentence, err) and err.count("\n") == 1 and not Path("out").exists(), err


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_bits_of_one_that_nothing_stopped():
    """Every run is a process of its own, for the compiler options of this one are not the default ones."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}"}
    program = [sys.executable, "-c", "import sys; from jaxsamp.cli import main; sys.exit(main())", "train"]
    words = ["--data", "two.npz", *SMALL, "--steps", "4000", "--checkpoint-every", "500", "--report-every", "100"]
    words += ["--samples-every", "0"]
    subprocess.run([*program, *words, "--out", "whole"], env=environment, check=True)
    process = subprocess.Popen([*program, *words, "--out", "cut"], env=environment)
    while not Path("cut/1000").exists():
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL and 1000 <= js.training.latest_step("cut") < 4000
    subprocess.run([*program, "--resume", "--out", "cut"], env=environment, check=True)
    assert_same_weights("whole", "cut")
    assert [entry["step"] for entry in read("cut/metrics.jsonl")] == list(range(100, 4001, 100))


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
        shutil.copytree(ring, "bare")
        Path("bare/config.json").unlink()
    places = {"RING": str(ring), "LABELLED": str(labelled), "BARE": "bare"}
    assert cli.main(["sample", *(places.get(word, word) for word in words), "--out", "out"]) == 2
    err = capsys.readouterr().err
    assert re.search(sentence, err) and err.count("\n") == 1 and not Path("out").exists(), err


def test_another_law_is_another_configuration():
    def told(**options):
        return describe(batches(js.targets.ring(**options), None, jax.random.key(0)).config())

    assert told() == told() != told(std=0.2) and told() != told(radius=1.0)
    json.dumps(told())


def test_a_mixture_in_a_file_is_a_law():
    means = np.array([[0.0, 0.0], [3.0, 1.0]])
    np.savez("law.npz", weights=[0.25, 0.75], means=means, covariances=np.stack([np.eye(2)] * 2))
    for source in (data.load("law.npz", 1), data.load_reference("law.npz", 1)):
        assert source.train is None and source.event == (2,) and source.name == "law"
        np.testing.assert_allclose(source.law.means, means)


def test_data_sets_on_a_hub_are_data_with_their_labels(monkeypatch):
    def hub(name, size):
        assert (name, size) == ("someone/shapes", 4)
        return js.datasets.lazy.dataset(30, lambda i: (np.full((size, size), i, np.float32), np.int32(i % 3)))

    def closed(name, size):
        raise ConnectionError("no way to it")

    monkeypatch.setattr(data, "HUBS", {"hf": hub, "tfds": closed})
    source = data.load("hf:someone/shapes", 4)
    assert source.name == "shapes" and source.train.shape == (24, 4, 4) and source.held_out.shape == (6, 4, 4)
    np.testing.assert_array_equal(source.train[:, 0, 0] % 3, source.labels)
    assert Train("hf:someone/shapes").folder == Path("runs/shapes") and data.is_known("hf:someone/shapes")
    with pytest.raises(data.BadArgument, match=r"--data must be a data set that tfds has; cifar .* \(no way to it\)"):
        data.load("tfds:cifar", 4, "--data")
    with pytest.raises(data.BadArgument, match="--data must name a data set, hf:NAME; got hf: alone"):
        data.load("hf:", 4, "--data")


def test_patches_and_labels_are_data():
    patches = data.load("patches", 1)
    assert patches.event == (8, 8) and len(patches.train) > len(patches.held_out) > 100
    digits = data.load("digits", 1)
    assert digits.labels.shape == (1297,) and digits.held_out_labels.shape == (500,)
    nines = digits.only(9)
    assert len(nines.train) == (digits.labels == 9).sum() and nines.name == "digits 9"
    np.savez("rare.npz", x=np.zeros((50, 3)), labels=np.r_[np.zeros(49, int), 2])
    with pytest.raises(data.BadArgument, match="--label must have at least 4 .* label 1 of rare has 0 and 0"):
        data.load("rare.npz", 1).only(1)
    blobs = data.load("two.npz", 1)
    assert ((blobs.train.mean(1) > 2) == blobs.labels).mean() > 0.9  # labels are shuffled with their samples
    assert ((blobs.held_out.mean(1) > 2) == blobs.held_out_labels).all()
