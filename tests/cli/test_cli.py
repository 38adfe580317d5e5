"""The command line: what it writes, what it refuses, and how."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from dataclasses import fields
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxsamp
from jaxsamp import cli
from jaxsamp.cli import output, printing
from jaxsamp.cli.errors import Unprinted
from jaxsamp.cli.sample import Sample
from jaxsamp.cli.settings import flags, value_of
from jaxsamp.core.types import is_image
from jaxsamp.core.version import VERSION
from jaxsamp.recipes import reports
from jaxsamp.samplers import BY_NAME, DDIM, Heun, ParaDiGMS, ParallelCorrector, SlidingWindow, UniPC
from tests.cases import quick

FILES = Sample.files
PNG = b"\x89PNG\r\n\x1a\n"
SMALL = ("--num-samples", "12", "--steps", "4", "--no-metrics")
BLOBS = ("--target", "blobs.npy", "--components", "2", *SMALL)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Default outputs land in a folder of the test, beside some data, and JAX's settings stay as they are."""
    monkeypatch.chdir(tmp_path)
    np.save("blobs.npy", blobs())
    monkeypatch.setattr(reports, "NULL_SETS", 49)  # for speed
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = cli.main(["sample", *argv])
    return code, *capsys.readouterr()


def outcome(capsys, *argv: str) -> tuple[np.ndarray, dict]:
    """Samples and report of a run that must succeed."""
    code, _, err = run(capsys, *argv, "--out", "out", "--force")
    assert (code, err) == (0, "")
    facts = json.loads(Path("out/report.json").read_text())
    with np.load("out/samples.npz") as stored:
        assert set(stored) == {"samples", "grid", "seed"}
        samples = stored["samples"]
    images = ["grid.png"] if is_image(samples.shape[1:]) else []
    assert sorted(os.listdir("out")) == sorted(facts["files"]) == sorted([*FILES, *images])
    assert all(Path("out", name).read_bytes().startswith(PNG) for name in ["samples.png", *images])
    return samples, facts


def blobs(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3)) + 4 * np.arange(n)[:, None] % 8


def test_without_a_target_it_writes_digits_their_picture_and_a_report_to_runs_digits(capsys):
    code, out, err = run(capsys, *SMALL, "--components", "2", "--seed", "3")
    assert (code, err) == (0, "") and "12 samples by unipc in 4 steps" in out
    assert sorted(os.listdir("runs/digits")) == sorted([*FILES, "grid.png"])
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


@pytest.mark.slow
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
    outcome(capsys, *BLOBS)  # which are not images: the grid of the images goes


BAD = {
    "sampler": (("--sampler", "unipq"), "--sampler must be one of .* got 'unipq'. Did you mean 'unipc'"),
    "target": (("--target", "digts"), "--target, .* must be one of 'digits', .* Did you mean 'digits'"),
    "grid": (("--grid", "karas"), "--grid must be one of .* Did you mean 'karras'"),
    "schedule": (("--schedule", "cosin"), "--schedule must be one of .* Did you mean 'cosine'"),
    "model": (("--model", "mixtur"), "--model must be one of .* Did you mean 'mixture'"),
    "steps": (("--steps", "0"), "--steps must be at least 1; got 0"),
    "number": (("--num-samples", "0"), "--num-samples must be at least 1; got 0"),
    "setting": (("--sampler.order", "4"), "--sampler.order must be .* got 4"),
    "setting in a setting": (
        ("--sampler", "paradigms", "--sampler.sampler.eta", "2"),
        r"--sampler.sampler.eta must be .* got 2",
    ),
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
    "which array": (
        ("--target", "two.npz"),
        r"'x_train' or 'arr_0'; two.npz holds 'a' \(40, 3\) and 'b' \(40, 3\). Choose .*two.npz:a\.",
    ),
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
    assert err.count("\n") == 1 and err.startswith("jaxsamp: ") and err.endswith((".\n", "?\n"))
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

    monkeypatch.setattr(output, "write_json", fail)
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


SETTINGS = (
    (("--sampler", "unipc"), UniPC(order=2)),
    (("--sampler", "unipc3", "--sampler.variant", "bh1", "--sampler.frame", "noise"), UniPC(3, "bh1", frame="noise")),
    (("--sampler.order=3", "--sampler=unipc", "--sampler.lower-order-final=False"), UniPC(3, lower_order_final=False)),
    (("--sampler", "heun", "--sampler.churn", "20"), Heun(churn=20)),
    (("--sampler", "heun-churn", "--sampler.churn-max", "5"), Heun(churn=40.0, churn_max=5.0)),
    (
        ("--sampler", "sliding-window", "--sampler.window", "8", "--sampler.max-sweeps", "9"),
        SlidingWindow(8, max_sweeps=9),
    ),
    (
        ("--sampler.sampler", "heun", "--sampler", "paradigms", "--sampler.sampler.churn", "2"),
        ParaDiGMS(Heun(churn=2)),
    ),
    (("--sampler", "paradigms", "--sampler.sampler.eta", "0.5"), ParaDiGMS(DDIM(0.5))),
)


@pytest.mark.parametrize("words, expected", SETTINGS, ids=[" ".join(words) for words, _ in SETTINGS])
def test_every_setting_of_a_sampler_is_a_flag(words, expected):
    command = Sample.parsed([*words, "--steps", "7", "--seed", "3"], "sample")
    assert value_of(command, "sampler") == expected and (command.steps, command.common.seed) == (7, 3)


def test_settings_within_settings_are_flags_too():
    words = (
        "--sampler unipc-corrected --sampler.predictor heun --sampler.corrector parallel --sampler.predictor.churn 3"
    )
    found = value_of(Sample.parsed([*words.split(), "--sampler.corrector.midpoints", "4"], "sample"), "sampler")
    assert found.predictor == Heun(churn=3) and found.corrector == ParallelCorrector(midpoints=4)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_flags_of_a_sampler_are_its_fields_and_the_report_has_them(name):
    command = Sample.parsed(["--sampler", name], "sample")
    assert value_of(command, "sampler") == BY_NAME[name]
    told = {flag for flag, _ in flags(command) if flag.startswith("sampler.")}
    assert {flag.split(".")[1] for flag in told} == {field.name for field in fields(BY_NAME[name])}


@pytest.mark.slow
def test_settings_of_a_sampler_are_used_and_reported(capsys):
    _, plain = outcome(capsys, *BLOBS, "--sampler", "heun")
    _, churned = outcome(capsys, *BLOBS, "--sampler", "heun", "--sampler.churn", "5")
    assert plain["settings"]["sampler.churn"] is None and plain["settings"]["sampler.churn_max"] == "inf"
    assert churned["settings"]["sampler"] == "heun" and churned["settings"]["sampler.churn"] == 5
    first, second = (outcome(capsys, *BLOBS, "--sampler.order", order)[0] for order in "13")
    assert np.abs(first - second).max() > 1e-3


def test_the_console_script_refuses(tmp_path):
    script = Path(sysconfig.get_path("scripts")) / "jaxsamp"
    refused = subprocess.run([script, "sample", "--steps", "0"], capture_output=True, text=True, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr == "jaxsamp: --steps must be at least 1; got 0.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["blobs.npy"]


def program(*words, **options):
    """The command line as a program of its own; stdout and stderr are what it was given."""
    return subprocess.Popen([sys.executable, "-m", "jaxsamp.cli", *words], stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("words", quick([("--version",), ("sample", "--help")], ("--version",)))
def test_output_that_nobody_reads_or_that_cannot_be_written_leaves_no_traceback(words):
    read, write = os.pipe()
    os.close(read)
    for out, code, sentence in (
        (write, 141, ""),
        (os.open("/dev/full", os.O_WRONLY), 2, "jaxsamp: the output cannot be written: No space left on device.\n"),
    ):
        started = program(*words, stdout=out)
        assert (started.communicate()[1], started.returncode) == (sentence, code)
        os.close(out)
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "jaxsamp.cli", *words]
    closed = subprocess.run(shell, stderr=subprocess.PIPE, text=True)
    assert (closed.stderr, closed.returncode) == ("", 0)


def test_a_table_that_cannot_be_written_is_a_sentence(monkeypatch):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(Unprinted, match="No space left"):
        printing.Page().line("a line")


def test_ctrl_c_while_packages_are_imported_is_one_sentence(tmp_path):
    """In a package that takes an hour, and in one that turns the interruption into an error of its own."""
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(3600)\n")
    code = (
        "import os, signal, sys, threading; from jaxsamp import cli; "
        "assert 'jax' not in sys.modules; "
        "cli.COMMANDS = {'sample': ('slow', '', '')}; cli.import_module = lambda name: __import__('slow'); "
        "threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start(); sys.exit(cli.main())"
    )
    done = subprocess.run([sys.executable, "-c", code, "sample"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "jaxsamp: interrupted; nothing was written.\n"


def test_an_interruption_that_a_module_turned_into_another_error_is_an_interruption(monkeypatch):
    class Command:
        def run(self):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("Encountered an error while initializing the extension.") from None

    ends, before = [], signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cli, "_parse", lambda _: Command())
    monkeypatch.setattr(os, "_exit", ends.append)
    cli.main()
    assert ends == [130] and signal.getsignal(signal.SIGINT) == before


def test_the_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr() == (f"jaxsamp {VERSION}\n", "")


def test_numbers_in_tables_are_never_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    printing.Page().table(("metric", "value"), [("a name that is long", "0.123456789"), ("  b", "12345678.9")])
    out = capsys.readouterr().out
    assert "0.123456789" in out and "12345678.9" in out and "a name that is long" in out and "…" not in out


def test_levels_are_measured_for_the_sampler_that_takes_them(capsys):
    """`--grid calibrated`, in one file and in shards, and in another frame."""
    toy = ("--target", "ring", "--grid", "calibrated", "--sampler", "unipc", *SMALL)
    levels = {}
    for name, words in {"data": (), "rotation": ("--sampler.frame", "rotation")}.items():
        assert run(capsys, *toy, "--out", name, *words)[0] == 0
        with np.load(f"{name}/samples.npz") as stored:
            levels[name], samples = stored["grid"], stored["samples"]
        np.testing.assert_allclose(levels[name][[0, -1]], [80, 0.02], rtol=1e-5)
    even = np.geomspace(80, 0.02, 5)
    assert all(np.abs(np.log(found / even)).max() > 0.1 for found in levels.values())
    assert np.abs(np.log(levels["data"] / levels["rotation"])).max() > 0.05
    assert run(capsys, *toy, *words, "--out", "many", "--shard-size", "5")[0] == 0
    assert json.loads(Path("many/report.json").read_text())["noise_levels"] == pytest.approx([80, 0.02])
    np.testing.assert_allclose(jaxsamp.Shards("many")[:12], samples, rtol=1e-5, atol=1e-5)
