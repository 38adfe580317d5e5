"""Labels with gaps, from the data through a trained run to its samples."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli
from tests.cli.train.runs import RUN, weights

OWN = np.array([3, 7, 2_000_000])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gaps")
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez(folder / "gaps.npz", x=x, labels=OWN[np.arange(60) % 3])
    words = ["train", "--data", str(folder / "gaps.npz"), "--labels", *RUN, "--out", str(folder / "run")]
    assert cli.main(words) == 0
    return folder / "run"


def draw(run, *words):
    first = ["sample", "--checkpoint", str(run), "--num-samples", "12", "--steps", "2", "--no-metrics", "--out", "out"]
    return cli.main([*first, *words])


@pytest.mark.slow
def test_labels_with_gaps_do_not_make_millions_of_weights(run):
    assert json.loads((run / "config.json").read_text())["label_table"] == OWN.tolist()
    assert js.training.load_denoiser(run).apply.network.classes == 3
    assert sum(leaf.size for leaf in weights(run)) < 10_000


@pytest.mark.slow
def test_a_label_is_that_of_the_user_and_so_are_those_of_the_samples(run, capsys):
    assert draw(run, "--label", "7") == 0
    with np.load("out/samples.npz") as stored:
        assert stored["labels"].tolist() == [7] * 12 and stored["samples"].shape == (12, 2)
    assert json.loads(Path("out/report.json").read_text())["target"] == "gaps 7"
    assert draw(run, "--force") == 0
    with np.load("out/samples.npz") as stored:
        assert set(stored["labels"]) == set(OWN)
        labels = stored["labels"]
    capsys.readouterr()
    assert draw(run, "--label", "1", "--force") == 2
    assert capsys.readouterr().err == "jaxsamp: --label must be one of 3, 7, 2000000; got 1.\n"
    assert draw(run, "--shard-size", "5", "--force") == 0
    np.testing.assert_array_equal(np.load("out/labels.npy"), labels)
    assert "labels.npy" in json.loads(Path("out/report.json").read_text())["files"]


def test_a_run_is_not_resumed_with_other_labels(run, capsys):
    shutil.copytree(run, "run")
    settings = json.loads(Path("run/config.json").read_text())
    with np.load(settings["data"]) as stored:
        np.savez("other.npz", x=stored["x"], labels=stored["labels"] + 1)  # the same numbers
    assert cli.main(["train", "--resume", "--data", "other.npz", "--out", "run"]) == 2
    assert capsys.readouterr().err == (
        "jaxsamp: --resume needs the labels that the run was begun with, one of 3, 7, 2000000; other has labels "
        "one of 4, 8, 2000001.\n"
    )
    assert cli.main(["train", "--resume", "--out", "run"]) == 0
    assert cli.main(["train", "--config", "run/config.json", "--out", "again"]) == 0


def test_a_run_without_a_table_has_its_own_numbers_for_labels(run):
    """As an older version left it."""
    shutil.copytree(run, "old")
    x = np.random.default_rng(0).normal(size=(120, 2))
    np.savez("two.npz", x=x, labels=np.arange(120) % 2 * 2)
    settings = json.loads(Path("old/config.json").read_text())
    del settings["label_table"]
    Path("old/config.json").write_text(json.dumps(settings | {"data": str(Path("two.npz").resolve())}))
    assert draw("old", "--label", "2") == 0
    with np.load("out/samples.npz") as stored:
        assert stored["labels"].tolist() == [2] * 12
