"""From a folder of photographs in folders by class to samples of one class."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxsamp import cli, recipes
from jaxsamp.cli.train import Train
from tests.cli.train.runs import RUN


@pytest.fixture
def photos():
    for number, level in enumerate(np.random.default_rng(0).integers(0, 256, (40, 6, 9), np.uint8)):
        file = Path("photos") / ("cat", "dog")[number % 2] / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(level).save(file)


@pytest.mark.slow
def test_the_folders_that_images_lie_in_are_labels_by_name(photos, capsys):
    words = ["train", "--data", "photos", "--labels", "--image-size", "4", "6", "--image-fit", "pad"]
    assert cli.main([*words, *RUN, "--out", "my run"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sample it: ")]
    typed = shlex.split(line.removeprefix("sample it: "))
    assert typed == ["jaxsamp", "sample", "--checkpoint", "my run"]
    stored = json.loads(Path("my run/config.json").read_text())
    assert stored["label_table"] == ["cat", "dog"] and stored["image_size"] == [4, 6] and stored["image_fit"] == "pad"
    first = [*typed[1:], "--num-samples", "6", "--steps", "2", "--no-metrics", "--out", "out"]
    assert cli.main([*first, "--label", "dog"]) == 0
    with np.load("out/samples.npz") as drawn:
        assert drawn["labels"].tolist() == ["dog"] * 6 and drawn["samples"].shape == (6, 4, 6)
    assert json.loads(Path("out/report.json").read_text())["target"] == "photos dog"
    capsys.readouterr()
    assert cli.main([*first, "--label", "dgo", "--force"]) == 2
    assert capsys.readouterr().err == "jaxsamp: --label must be one of cat, dog; got dgo. Did you mean 'dog'?\n"
    again = Train.parsed(["--resume", "--out", "my run"], "train")
    assert again.image_size == (4, 6) and again.image_fit == "pad" and again.labels


def test_images_in_no_folder_have_no_labels(photos, capsys):
    Image.new("L", (6, 6)).save("photos/alone.png")
    assert recipes.load("photos").labels is None
    assert cli.main(["train", "--data", "photos", "--labels", *RUN, "--out", "run"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jaxsamp: --labels needs data with labels; photos has none. Images have those of the folders")


@pytest.mark.slow
def test_channels_first_are_said_once_and_refused_by_a_network_for_images(capsys):
    np.save("first.npy", np.random.default_rng(0).normal(size=(40, 3, 6, 6)))
    words = ["train", "--data", "first.npy", "--out", "run"]
    sentence = "x.transpose(0, 2, 3, 1)."
    assert cli.main([*words, *RUN]) == 0
    out, err = capsys.readouterr()
    assert out.count(sentence) == 1 and "got samples of shape (3, 6, 6)" in out and err == ""
    assert cli.main([*words[:-1], "other", "--network", "unet"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jaxsamp: --network unet takes images; ") and err.endswith(f"{sentence}\n")
