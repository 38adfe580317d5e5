"""`jaxsamp spins`: from laws to spins, back to laws, and the spins that a label depends on."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from tests.discrete.instances import r1, r2, ring

QUICK = ("--no-progress", "--chains", "200", "--steps", "40", "--warmup", "20")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def small_machine():
    return js.discrete.RBM(np.ones((3, 2)), np.zeros(3), np.ones(2))


@pytest.mark.parametrize("law", [r1, r2, lambda: ring(5), small_machine])
def test_a_law_comes_back_from_its_file(law):
    law = law()
    recipes.save_spin_law(law, "law.npz")
    power = recipes.spin_law(jax.random.key(0), "law.npz", beta=2.0)
    recipes.save_spin_law(power, "power.npz")
    x = js.discrete.states(law.sites)[:20]
    for found in (power, recipes.load_spin_law("power.npz")):
        np.testing.assert_allclose(found.exponent(x), law.scaled(2.0).exponent(x), rtol=1e-5)


def test_the_commands_go_from_a_law_to_samples_and_back(capsys):
    assert cli.main(["spins", "sample", "--model", "curie-weiss", "--size", "6", *QUICK, "--out", "a"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(Path("a/report.json").read_text())
    assert err == "" and facts["files"] == ["spins.png", "report.json", "samples.npz", "model.npz"]
    assert {each.name for each in Path("a").iterdir()} == {*facts["files"]}
    assert np.load("a/samples.npz")["samples"].shape == (200, 6)
    exponent = facts["quantities"][0]
    np.testing.assert_allclose(exponent["exact"], js.discrete.curie_weiss(6, 0.4).enumerate().exponent, rtol=1e-5)
    assert exponent["inside"] and f"{exponent['mean']:.4g}" in out and "R-hat of the exponent" in out
    assert cli.main(["spins", "learn", "--data", "a/samples.npz", "--no-progress", "--out", "b"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(Path("b/report.json").read_text())
    assert err == "" and {each.name for each in Path("b").iterdir()} == {*facts["files"]}
    assert f"{facts['held_out']:.5g}" in out and "jaxsamp spins sample --model b/model.npz" in out
    assert recipes.load_spin_law("b/model.npz").sites == 6


def test_rows_that_are_held_out_are_spins_too():
    x = np.random.default_rng(0).choice([-1.0, 1.0], (50, 3))
    x[np.random.default_rng(0).permutation(50)[0]] = np.nan  # held out
    with pytest.raises(ValueError, match="^x must be of -1 and .1, or of 0 and 1; got nan in row"):
        recipes.learn_spins(jax.random.key(0), x)


def test_what_was_learned_is_better_than_independent_spins():
    law = js.discrete.curie_weiss(5, 1.5)
    found = recipes.learn_spins(jax.random.key(0), np.asarray(law.sample(jax.random.key(1), 2000)))
    truth = recipes.pseudo_likelihood(law, found.held_out)
    assert found.facts["independent"] < found.facts["held_out"] - 0.3
    assert abs(found.facts["held_out"] - truth) < 0.05
    assert found.x.shape == (1000, 5) and len(found.held_out) == 400


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sample", "--model", "potts"), "--model, where no such file exists, must be one of "),
        (("sample", "--model", "sk", "--field", "1"), "--field must be left out for model sk, which takes size, beta"),
        (("sample", "--size", "1"), "--size must be at least 2; got 1"),
        (("sample", "--chains", "0"), "--chains must be at least 1; got 0"),
        (("sample", "--sampler", "metropolis"), "--sampler must be one of "),
        (("sample", "--sampler", "enumerate", "--size", "30"), "22"),
        (("sample", "--model", "bad.npz"), "--model must be an .npz file with the arrays of a law"),
        (("learn", "--data", "none.npy"), "--data must be a file that exists; there is no none.npy"),
        (("learn", "--data", "grays.npy"), "--data must be of -1 and +1"),
        (("learn", "--data", "constant.npy"), "--data"),
        (("learn", "--data", "two.npy"), "--data must have at least 10 rows; got 2"),
        (("learn", "--data", "spins.npy", "--hidden", "3"), "--hidden must be left out for method rple"),
        (("learn", "--data", "spins.npy", "--width", "0", "--method", "sparsitron"), "--width must be finite"),
        (("learn", "--data", "spins.npy", "--order", "5"), "--order must be 2, 3 or 4; got 5"),
    ],
)  # fmt: skip
def test_what_does_not_go_is_one_sentence(capsys, words, sentence):
    rng = np.random.default_rng(0)
    np.save("grays.npy", rng.random((50, 3)))
    np.save("spins.npy", rng.choice([-1, 1], (50, 3)))
    np.save("constant.npy", np.ones((50, 3)))
    np.save("two.npy", rng.choice([-1, 1], (2, 3)))
    np.savez("bad.npz", couplings=np.ones((2, 2)))
    assert cli.main(["spins", *words, "--no-progress"]) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1, err


def test_the_spins_of_a_label_are_found(capsys):
    rng = np.random.default_rng(0)
    x = js.discrete.curie_weiss(6, 0.8, 0.3).sample(jax.random.key(0), 4000)
    y = np.where(x[:, 1] > 0, x[:, 4], -x[:, 2]) * rng.choice([1, -1], 4000, p=[0.95, 0.05])
    np.savez("trial.npz", x=x, y=y)
    assert cli.main(["spins", "select", "--data", "trial.npz", "--no-progress", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(Path("out/report.json").read_text())
    assert err == "" and facts["indices"] == [1, 2, 4] and len(facts["table"]) == 8
    assert "the label depends on 1, 2, 4" in out and {"selection.png", "report.json"} == {*facts["files"]}
