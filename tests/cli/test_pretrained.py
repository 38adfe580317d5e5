"""`jaxsamp sample --pretrained` and `compare --pretrained`: networks that diffusers has saved."""

import json

import numpy as np
import pytest

from jaxsamp.cli import REFUSED, main
from tests.models.diffusers_cases import FROZEN, SCHEDULER, about, frozen, written

SAVED = str(FROZEN / "saved")


@pytest.fixture(scope="module")
def latent(tmp_path_factory):
    """A pipeline with a transformer that knows labels, and a decoder."""
    folder = tmp_path_factory.mktemp("pipeline")
    networks = about(frozen("pipelines")[""]["about"])
    written(folder / "transformer", networks["transformer"], SCHEDULER)
    written(folder / "vae", networks["vae"])
    return str(folder)


@pytest.mark.slow
def test_samples_without_data_are_shown_alone(tmp_path, capsys):
    words = ["sample", "--pretrained", SAVED, "--num-samples", "5", "--steps", "3", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["target"] == "saved" and report["metrics"] == {} and report["evaluations"] == 3
    with np.load(tmp_path / "out" / "samples.npz") as stored:
        assert (
            stored["samples"].shape == (5, 8, 8, 3) and "images" not in stored and np.isfinite(stored["samples"]).all()
        )
    for name in ("samples.png", "grid.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    assert "saved" in capsys.readouterr().out


def test_latents_are_decoded(tmp_path, latent):
    words = ["sample", "--pretrained", latent, "--label", "3", "--guidance", "2", "--num-samples", "2", "--steps", "2"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    with np.load(tmp_path / "out" / "samples.npz") as stored:
        assert stored["samples"].shape == (2, 8, 8, 4) and stored["labels"].tolist() == [3, 3]
        assert stored["images"].shape == (2, 8, 8, 3) and np.abs(stored["images"]).max() <= 1
    assert not (tmp_path / "out" / "grid.png").exists()


@pytest.mark.slow
def test_without_data_samplers_are_compared_with_their_flow_from_other_noise(tmp_path):
    words = [
        "compare",
        "--pretrained",
        SAVED,
        "--samplers",
        "unipc",
        "ddim",
        "--steps",
        "4",
        "16",
        "--num-samples",
        "64",
    ]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    rows = json.loads((tmp_path / "out" / "compare.json").read_text())["rows"]
    found = {(row["sampler"], row["steps"]): row for row in rows}
    assert found["unipc", 16]["distance_to_flow"] < found["ddim", 16]["distance_to_flow"]
    low, high = found["unipc", 16]["energy_null"]
    assert low <= found["unipc", 16]["energy"] <= high  # from a fixed key


@pytest.mark.slow
def test_data_of_the_same_shape_are_compared_with(tmp_path):
    data = tmp_path / "data.npy"
    np.save(data, np.random.default_rng(0).standard_normal((50, 8, 8, 3)).astype(np.float32))
    words = ["sample", "--pretrained", SAVED, "--target", str(data), "--num-samples", "20", "--steps", "3"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["metrics"]["data"]["energy"]["value"] > 0


REFUSALS = {
    "none": (
        ["--pretrained", "none"],
        "--pretrained must be a folder, or hf: and a repository; there is no folder none.",
    ),
    "both": (
        ["--pretrained", SAVED, "--checkpoint", "a"],
        "one of --checkpoint and --pretrained must say which network, not both.",
    ),
    "schedule": (
        ["--pretrained", SAVED, "--schedule", "vp"],
        "--schedule must be left out with --pretrained, which has its own law and schedule.",
    ),
    "label": (["--pretrained", SAVED, "--label", "1"], "--label is for a network that was trained with labels; "),
    "guidance": (
        ["--pretrained", SAVED, "--guidance", "2"],
        "--guidance is for a network that was trained with labels; ",
    ),
    "calibration": (
        ["--pretrained", SAVED, "--sampler", "unipc", "--sampler.frame", "calibrated"],
        "--sampler must not need a calibration, which is measured on data, where there are none.",
    ),
    "data": (["--pretrained", SAVED, "--target", "moons"], "--target must have samples of the shape that the network"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_go_together_is_one_sentence(tmp_path, capsys, name):
    words, sentence = REFUSALS[name]
    assert main(["sample", *words, "--num-samples", "4", "--out", str(tmp_path / "out")]) == REFUSED
    assert sentence in capsys.readouterr().err


def test_latents_are_not_compared_with_data(tmp_path, latent, capsys):
    words = ["sample", "--pretrained", latent, "--target", "moons", "--out", str(tmp_path / "out")]
    assert main(words) == REFUSED
    assert "--target must be left out with --pretrained of a pipeline" in capsys.readouterr().err
