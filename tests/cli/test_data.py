"""What the commands make of folders of images."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxsamp import cli

SAMPLE = ("--model", "empirical", "--num-samples", "4", "--steps", "2", "--no-metrics")


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    """Twelve images, and two files that are none."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (12, 6, 6), np.uint8)
    for number, image in enumerate(noise):
        Image.fromarray(image).save(f"photos/{number:02d}.png")
    Path("photos/notes.txt").write_text("no image")
    Path("photos/cut.png").write_bytes(b"no image either")


@pytest.mark.parametrize(
    ("words", "report"),
    [
        (("sample", "--target", "photos", *SAMPLE), "report.json"),
        (("evaluate", "photos", "--reference", "ten.npy", "--metrics", "memorization"), "report.json"),
    ],
)
def test_files_that_are_passed_over_are_counted_in_the_report_and_said(capsys, words, report):
    np.save("ten.npy", np.random.default_rng(1).uniform(-1, 1, (10, 4, 4)))
    assert cli.main([*words, "--image-size", "4", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    sentence = (
        "2 of 14 files in photos were passed over, because Pillow cannot read them as images: cut.png, notes.txt."
    )
    facts = json.loads((Path("out") / report).read_text())
    assert facts["passed_over"] == 2 and facts["warnings"] == [sentence]
    assert sentence in out.splitlines() and err == ""


def test_an_image_whose_range_is_not_known_is_one_sentence(capsys):
    Image.fromarray(np.full((6, 6), 200, np.int32)).save("photos/deep.tif")
    assert cli.main(["sample", "--target", "photos", *SAMPLE, "--out", "out"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jaxsamp: --target must hold images of 8 bits") and err.count("\n") == 1
    assert "photos/deep.tif has mode I and values from 200 to 200" in err and not Path("out").exists()
