"""`jaxsamp sample --pretrained` and `compare --pretrained`: networks that diffusers has saved."""

import json

import jax
import numpy as np
import pytest

from jaxsamp.cli import REFUSED, main
from jaxsamp.cli.printing import Stages
from jaxsamp.cli.subject import Subject
from jaxsamp.denoisers import Clipped, Guided
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
def test_guidance_outside_of_all_levels_is_none_and_inside_of_all_the_whole(tmp_path, latent):
    def drawn(*more):
        words = ["sample", "--pretrained", latent, "--label", "3", "--num-samples", "2", "--steps", "3", "--force"]
        assert main([*words, *more, "--out", str(tmp_path / "out")]) == 0
        with np.load(tmp_path / "out" / "samples.npz") as stored:
            return stored["samples"]

    scale, interval = ("--guidance", "4"), "--guidance-interval"
    none, whole, rescaled = drawn(), drawn(*scale), drawn(*scale, "--guidance-rescale", "1")
    np.testing.assert_allclose(drawn(*scale, interval, "1000", "2000"), none, atol=1e-4)
    np.testing.assert_allclose(drawn(*scale, interval, "0", "1000"), whole, atol=1e-4)
    assert min(np.abs(a - b).max() for a, b in ((none, whole), (whole, rescaled))) > 1e-2


def test_the_settings_of_guidance_and_of_thresholding_reach_the_denoiser(latent):
    def task(**settings):
        subject = Subject(**settings)
        subject.check()
        keys = jax.random.key(0), jax.random.key(1)
        return subject.task(keys, subject.load(), 2, 0, [], Stages(False)).denoiser

    held = task(pretrained=latent, label="3", guidance=2.0, guidance_interval=(0.5, 4.0), guidance_rescale=0.25)
    assert isinstance(held, Guided)
    assert [float(v) for v in (held.scale, *held.interval, held.rescale)] == [2, 0.5, 4, 0.25]
    held = task(pretrained=SAVED, dynamic_threshold=99.0)
    assert isinstance(held, Clipped) and (held.low, held.high, held.percentile) == (-1, 1, 99)


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
    "interval": (
        ["--pretrained", SAVED, "--guidance-interval", "1", "2"],
        "--guidance-interval needs --guidance, whose scale it changes.",
    ),
    "falling": (
        ["--pretrained", "LATENT", "--guidance", "2", "--guidance-interval", "2", "1"],
        "--guidance-interval must be (low, high) with 0 <= low < high; got (2.0, 1.0).",
    ),
    "one level": (
        ["--pretrained", "LATENT", "--guidance", "2", "--guidance-interval", "2"],
        "--guidance-interval must be two noise levels sigma / alpha, (low, high); got (2.0,).",
    ),
    "rescale": (
        ["--pretrained", "LATENT", "--guidance", "2", "--guidance-rescale", "2"],
        "--guidance-rescale must be in [0, 1]; got 2.0.",
    ),
    "percentile": (
        ["--pretrained", SAVED, "--dynamic-threshold", "0"],
        "--dynamic-threshold must be above 0 and at most 100; got 0.0.",
    ),
    "threshold of latents": (
        ["--pretrained", "LATENT", "--dynamic-threshold", "99"],
        "--dynamic-threshold must be left out with --pretrained of a pipeline of latents.",
    ),
    "threshold of a law": (
        ["--dynamic-threshold", "99"],
        "--dynamic-threshold is for a learned network, so --checkpoint or --pretrained is needed too.",
    ),
    "calibration": (
        ["--pretrained", SAVED, "--sampler", "unipc", "--sampler.frame", "calibrated"],
        "--sampler must not need a calibration, which is measured on data, where there are none.",
    ),
    "data": (["--pretrained", SAVED, "--target", "moons"], "--target must have samples of the shape that the network"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_go_together_is_one_sentence(tmp_path, capsys, latent, name):
    words, sentence = REFUSALS[name]
    words = [latent if word == "LATENT" else word for word in words]
    assert main(["sample", *words, "--num-samples", "4", "--out", str(tmp_path / "out")]) == REFUSED
    assert sentence in capsys.readouterr().err


def test_latents_are_not_compared_with_data(tmp_path, latent, capsys):
    words = ["sample", "--pretrained", latent, "--target", "moons", "--out", str(tmp_path / "out")]
    assert main(words) == REFUSED
    assert "--target must be left out with --pretrained of a pipeline" in capsys.readouterr().err
