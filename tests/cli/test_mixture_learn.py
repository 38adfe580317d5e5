"""`jaxsamp mixture learn`: laws from data, and the file that other commands read."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp import cli, recipes
from jaxsamp.recipes import reports

MEAN = np.array([2.0, 1.0])


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Two Gaussians of unit covariance at +- (2, 1), 400 samples."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reports, "NULL_SETS", 20)
    rng = np.random.default_rng(0)
    np.save("two.npy", rng.normal(size=(400, 2)) + rng.choice([-1, 1], 400)[:, None] * MEAN)


@pytest.mark.parametrize("method", ["ddpm", "em", pytest.param("piecewise", marks=pytest.mark.slow)])
def test_each_method_learns_two_gaussians_into_a_file_that_is_a_law(method):
    data = recipes.load("two.npy")
    found = recipes.learn_mixture(jax.random.key(0), data, method, 2, n=300)
    assert found.samples.shape == (300, 2) and -4 < found.log_density < -3
    recipes.save_mixture(found.law, "law.npz")
    law = recipes.load("law.npz").law
    means = np.asarray(law.means)
    np.testing.assert_allclose(means[np.argsort(means[:, 0])], [-MEAN, MEAN], atol=0.35)  # 4 standard deviations
    held_out = jnp.asarray(data.held_out)
    np.testing.assert_allclose(law.log_prob(held_out), found.law.log_prob(held_out), rtol=1e-4)


def test_the_command_writes_picture_report_law_and_samples(capsys):
    assert cli.main(["mixture", "learn", "--data", "two.npy", "--no-progress", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(Path("out/report.json").read_text())
    assert err == "" and facts["files"] == ["mixture.png", "report.json", "mixture.npz", "samples.npz"]
    assert {each.name for each in Path("out").iterdir()} == {*facts["files"]}
    assert abs(sum(facts["weights"]) - 1) < 1e-6 and np.shape(facts["means"]) == (2, 2)
    assert np.load("out/samples.npz")["samples"].shape == (2000, 2)
    assert "jaxsamp sample --target out/mixture.npz" in out and f"{facts['weights'][0]:.3f}" in out


def test_what_the_learner_doubts_is_said():
    found = recipes.learn_mixture(jax.random.key(0), recipes.load("two.npy"), "ddpm", 2, n=4, variance=0.1)
    assert any("covariance must be that of one component" in sentence for sentence in found.said)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--method", "descent"), "--method must be one of "),
        (("--degree", "2"), "--degree must be left out unless method is piecewise; got 2 with method em"),
        (("--variance", "2"), "--variance must be left out unless method is ddpm"),
        (("--variance", "0", "--method", "ddpm"), "--variance must be finite and above 0; got 0.0"),
        (("--components", "0"), "--components must be at least 1; got 0"),
        (("--components", "1000"), "at least --components = 1000 rows; got 320"),
        (("--components", "1000", "--method", "ddpm"), "at least --components = 1000 samples; got 320"),
        (("--num-samples", "50"), "--num-samples is for a known law"),
    ],
)
def test_flags_that_do_not_go_together_are_one_sentence(capsys, words, sentence):
    assert cli.main(["mixture", "learn", "--data", "two.npy", *words, "--no-progress"]) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1, err
