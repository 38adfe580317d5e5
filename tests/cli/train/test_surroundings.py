"""`jaxsamp train` where the disk is full, another run is there, checkpoints are damaged, or a signal comes early."""

import errno
import os
import resource
import shutil
import signal
import threading
from pathlib import Path

import matplotlib.figure
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from jaxsamp.training import loop
from tests.cli.train.runs import RUN, assert_same_weights

WORDS = ("train", "--data", "two.npz", *RUN, "--no-progress", "--out")


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over_by_sample_and_by_a_resumed_run(capsys):
    assert cli.main([*WORDS, "whole"]) == 0
    shutil.copytree("whole", "run")
    Path("run/8/config.json").write_text("{")
    with pytest.warns(UserWarning, match="8 is damaged .* the one before, .*6, is used instead"):
        recipes.learned_denoiser("run")  # what `sample` does with --checkpoint
    with pytest.warns(UserWarning, match="8 is damaged"):
        assert cli.main(["train", "--resume", "--out", "run"]) == 0
    assert_same_weights("whole", "run")
    for place in ("run/6", "run/8"):
        shutil.rmtree(f"{place}/state")
    capsys.readouterr()
    for words in (["sample", "--checkpoint", "run"], ["train", "--resume", "--out", "run"]):
        assert cli.main(words) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "8 is damaged" in err and err.endswith("Remove them to train from the start.\n")


def test_a_second_run_in_a_folder_gets_one_sentence_and_touches_nothing(capsys, monkeypatch):
    """Before the first checkpoint, when it would write and remove the same files."""
    pytest.importorskip("fcntl")
    codes, seen = [], []

    def meet(step, state):
        before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")}
        thread = threading.Thread(target=lambda: codes.append(cli.main(["train", "--resume", "--out", "run"])))
        thread.start()
        thread.join()
        seen.append(before == {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")})

    monkeypatch.setattr(recipes, "training_pictures", lambda *_: meet)
    words = ["--samples-every", "4", "--checkpoint-every", "8"]
    assert cli.main([*WORDS[:-1], *words, "--out", "run"]) == 0
    assert codes == [2] * 2 and seen == [True] * 2
    err = capsys.readouterr().err
    assert err.count("\n") == 2 and err.startswith("jaxsamp: --out must be a folder that no other run is writing to;")


@pytest.fixture
def full():
    """A function after which no file can become larger than so many bytes, as on a disk that is full."""
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_a_sentence_that_names_the_file_and_nothing_is_in_the_way_of_a_later_start(
    capsys, monkeypatch, full
):
    def refused(file):
        code, err = cli.main([*WORDS, "run"]), capsys.readouterr().err
        full(resource.RLIM_INFINITY)
        assert code == 2 and err == f"jaxsamp: {file}: File too large.\n"

    full(20)
    refused("run/config.json")
    assert not Path("run").exists()
    full(1500)  # the settings, and some lines of metrics
    refused(Path("run/3").absolute())
    assert not Path("run").exists()

    def save(*_, **__):
        raise OSError(errno.EFBIG, "File too large")  # as of a file that is open, without its name

    with monkeypatch.context() as patch:
        patch.setattr(matplotlib.figure.Figure, "savefig", save)
        refused("run/loss.png")
    assert cli.main(["train", "--resume", "--out", "run"]) == 0 and Path("run/loss.png").exists()


@pytest.mark.parametrize("place", [(recipes, "load"), (loop, "Journal")])
def test_sigterm_before_the_first_step_ends_in_a_sentence_and_the_run_can_start_again(capsys, monkeypatch, place):
    def terminated(words):
        function = getattr(*place)

        def signaled(*args, **options):
            signal.raise_signal(signal.SIGTERM)
            return function(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(*place, signaled)
            assert cli.main(words) == 143
        return capsys.readouterr().err

    before = signal.getsignal(signal.SIGTERM)
    assert terminated([*WORDS, "run"]) == (
        "jaxsamp: stopped by SIGTERM before the first checkpoint; nothing was kept.\n"
    )
    assert not Path("run").exists()
    assert cli.main([*WORDS, "run"]) == 0
    shutil.rmtree("run/8")
    capsys.readouterr()
    assert terminated(["train", "--resume", "--out", "run"]) == (
        "jaxsamp: stopped by SIGTERM; step 6 of 8 is saved. To continue: jaxsamp train --resume --out run\n"
    )
    assert js.training.latest_step("run") == 6 and os.path.exists("run/config.json")
    assert signal.getsignal(signal.SIGTERM) is before
