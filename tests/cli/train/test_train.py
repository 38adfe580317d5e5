"""`jaxsamp train`: what it writes, resumes and refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, losses, recipes
from jaxsamp.cli import output
from jaxsamp.cli.settings import flags, value_of
from jaxsamp.cli.train import OF_ONE_CALL, Train
from jaxsamp.training.journal import read
from tests.cli.train.runs import RUN, SMALL, assert_same_weights, weights

ROOT = Path(__file__).parents[3]


def test_a_run_leaves_checkpoints_settings_metrics_a_curve_and_pictures(ring):
    files = {path.name for path in ring.iterdir()}
    assert files == {"400", "config.json", "metrics.jsonl", "loss.png", "pictures"}
    assert {path.name for path in (ring / "pictures").iterdir()} == {"step-400.png"}
    for picture in (ring / "loss.png", *(ring / "pictures").iterdir()):
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
    steps = [entry["step"] for entry in read(ring / "metrics.jsonl")]
    assert steps == list(range(50, 401, 50))
    stored = json.loads((ring / "config.json").read_text())
    assert stored["data"] == "ring" and stored["width"] == 32 and stored["network"] == "mlp" and stored["steps"] == 400
    assert not OF_ONE_CALL & set(stored)


def test_flags_become_settings_and_settings_the_same_flags(tmp_path):
    words = "--data ring --labels --network unet --multipliers 1 3 --attention 0 1 --dtype bfloat16 --schedule cosine"
    words += " --predicts v --levels.mean -0.5 --weighting none --batch-size 64 --weight-decay 0.1 --heads 4"
    words = [*words.split(), "--learning-rate", "1", "--steps", "7", "--image-size", "8"]
    given = Train.parsed(words, "train")
    output.write_json(given.stored(), tmp_path / "config.json")
    config = ["--config", str(tmp_path / "config.json")]
    again = Train.parsed(config, "train")
    assert dict(flags(again)) == dict(flags(given)) | {"config": tmp_path / "config.json"}
    assert (
        again.optimizer.learning_rate == 1.0 and again.sizes.multipliers == (1, 3) and again.sizes.attention == (0, 1)
    )
    assert value_of(again, "levels") == losses.LogNormal(-0.5) and value_of(again, "weighting") is None
    won = Train.parsed([*config, "--batch-size", "32", "--no-labels", "--levels", "uniform-time"], "train")
    assert (won.batch_size, won.labels, value_of(won, "levels")) == (32, False, losses.UniformTime())
    kept = {name: value for name, value in flags(won) if not name.startswith("levels") and name != "config"}
    expected = dict(flags(given)) | {"batch_size": 32, "labels": False}
    assert kept == {
        name: value for name, value in expected.items() if not name.startswith("levels") and name != "config"
    }


@pytest.mark.parametrize(
    ("words", "levels", "weighting"),
    [
        ("--levels uniform-time --weighting snr", losses.UniformTime(), losses.SNRWeighting()),
        (
            "--levels uniform-log-snr --levels.sigma-max 9 --weighting none",
            losses.UniformLogSNR(sigma_max=9.0),
            None,
        ),
        (
            "--levels.mean 0.5 --levels.std 2 --weighting min-snr --weighting.gamma 3",
            losses.LogNormal(0.5, 2.0),
            losses.MinSNRWeighting(3.0),
        ),
        ("--levels.mean auto --weighting unit", losses.LogNormal(), losses.UnitWeighting()),
        ("", losses.LogNormal(), "edm"),
    ],
)
def test_every_choice_of_the_loss_is_built(words, levels, weighting):
    command = Train.parsed(words.split(), "train")
    assert (value_of(command, "levels"), value_of(command, "weighting")) == (levels, weighting)


def test_settings_of_networks_and_of_the_optimizer_are_flags():
    command = Train.parsed("--b2 0.95 --last 0.1 --clip 3 --data hf:someone/shapes".split(), "train")
    assert command.folder == Path("runs/shapes")
    assert command.optimizer.made() == js.training.AdamW(last=0.1, clip=3.0, b2=0.95)
    shown = {name for kind in (js.models.MLP, js.models.UNet, js.models.DiT) for name in kind.__dataclass_fields__}
    assert shown - {"classes", "dtype", "parent", "name"} == {name for name, _ in flags(command.sizes)}


def test_a_run_that_is_resumed_needs_its_folder_alone_and_ends_with_the_same_bits(tmp_path, monkeypatch, capsys):
    assert cli.main(["train", "--data", "two.npz", *RUN, "--labels", "--out", "whole"]) == 0
    calls = []

    def failing(step, state):
        calls.append(step)
        raise Exception("the lights went out")

    monkeypatch.setattr(recipes, "training_pictures", lambda *_: failing)
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
    # What --resume has changed is kept, unless it was refused.
    os.rename(tmp_path / "two.npz", tmp_path / "moved.npz")
    again = ["train", "--resume", "--out", ".", "--samples-every", "0"]
    for more, code, kept in ((["--batch-size", "8"], 2, "two.npz"), ([], 0, "moved.npz")):
        assert cli.main([*again, "--data", "../moved.npz", *more]) == code
        assert json.loads(Path("config.json").read_text())["data"] == str(tmp_path / kept)
    assert cli.main(again) == 0


@pytest.mark.slow
def test_a_run_on_all_devices_draws_its_pictures_there_and_goes_on_with_one():
    words = ["train", "--data", "two.npz", *RUN, "--labels", "--width", "128", "--samples-every", "4"]
    assert cli.main([*words, "--out", "one"]) == 0
    assert cli.main([*words, "--out", "four", "--devices", "all", "--fsdp"]) == 0
    for a, b in zip(weights("one"), weights("four"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert {path.name for path in Path("four/pictures").iterdir()} == {"step-4.png", "step-8.png"}
    assert not {"devices", "fsdp"} & set(json.loads(Path("four/config.json").read_text()))
    shutil.rmtree("four/8")
    assert cli.main(["train", "--resume", "--out", "four"]) == 0
    for a, b in zip(weights("one"), weights("four"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


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
        "To continue: jaxsamp train --resume --out run\n"
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
    "not its setting": (("--channels", "8"), "--channels is not a setting of network mlp, which takes width, depth"),
    "no image": (
        ("--network", "unet"),
        r"--network unet takes images; the data have samples of shape \(3,\), so take mlp",
    ),
    "no width": (("--width", "0"), "--width must be at least 1; got 0"),
    "dtype": (("--dtype", "float8"), "--dtype must be one of 'float32', 'bfloat16'; got 'float8'"),
    "schedule": (("--schedule", "cosin"), "--schedule must be one of .* Did you mean 'cosine'"),
    "predicts": (("--predicts", "eps"), "--predicts must be one of .* Did you mean 'epsilon'"),
    "predicts, of diffusers": (("--predicts", "sample"), "--predicts must be .* 'sample' of diffusers is 'x0' here"),
    "levels": (("--levels", "lognormal"), "--levels must be one of .* Did you mean 'log-normal'"),
    "setting of the loss": (("--levels.std", "0"), "--levels.std must be finite and above 0; got 0.0"),
    "no word": (("--levels.mean", "aut"), "--levels.mean, if it is a string, must be one of 'auto'; got 'aut'"),
    "weighting": (("--weighting", "minsnr"), "--weighting must be one of .* Did you mean 'min-snr'"),
    "drop": (("--drop", "1"), r"--drop must be in \[0, 1\); got 1.0"),
    "batch": (("--batch-size", "0"), "--batch-size must be at least 1; got 0"),
    "parts": (("--batch-size", "8", "--accumulate", "3"), "--batch-size must be divisible by --accumulate = 3; got 8"),
    "rate": (("--learning-rate", "0"), "--learning-rate must be above 0; got 0.0"),
    "ema": (("--ema", "1"), r"--ema must be in \[0, 1\); got 1.0"),
    "no number": (("--ema", "nan"), r"--ema must be in \[0, 1\); got nan"),
    "no rate": (("--learning-rate", "nan"), "--learning-rate must be above 0; got nan"),
    "steps": (("--steps", "0"), "--steps must be at least 1; got 0"),
    "pictures": (("--samples-every", "-1"), "--samples-every must be at least 0; got -1"),
    "seed": (("--seed", "-1"), "--seed must be at least 0"),
    "no labels": (("--data", "ring", "--labels"), "--labels needs data with labels; ring has none"),
    "constant": (
        ("--data", "flat.npy"),
        "--data must vary, because training is scaled by their standard deviation; it is 0.0",
    ),
    "odd labels": (("--data", "odd.npz"), "--data must hold integers from 0, .* in its `labels`; odd.npz holds"),
    "few labels": (("--data", "few.npz"), "--data must hold one label for each of its 50 samples; got 3"),
    "no mixture": (
        ("--data", "law.npz"),
        "--data must hold a valid mixture of Gaussians; law.npz does not: weights must",
    ),
    "nothing to resume": (("--resume", "--out", "none"), "--resume needs a run in --out; none has no config.json"),
    "no config": (("--config", "none.json"), "--config must be a file of settings .* got none.json"),
    "config of another kind": (("--config", "list.json"), r"--config list.json must hold settings by name; got \[1\]"),
    "unknown setting": (("--config", "unknown.json"), "--config unknown.json: every setting must be .* 'steps'"),
    "wrong type": (
        ("--config", "typed.json"),
        "--config typed.json: steps must be a setting of `jaxsamp train`; got 'many'",
    ),
    "no whole number": (
        ("--config", "nested.json"),
        "--config nested.json: width must be a setting of `jaxsamp train`; got 1.5",
    ),
    "no device": (("--devices", "0"), "--devices must be all or a number from 1 to 4; got 0"),
    "devices in words": (("--devices", "two"), "--devices must be all or a number from 1 to 4; got two"),
    "uneven": (("--devices", "3"), "--devices must divide the 16 samples of a batch, or of its parts; got 3"),
    "one to divide over": (("--fsdp",), "--fsdp needs more than one device; add --devices all"),
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
        ("nested", {"width": 1.5}),
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
        (("--data", "ring"), f"--out must be a folder without a run, or add --resume to continue it; {ring} has one"),
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
