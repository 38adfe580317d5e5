"""`jaxsamp quantum pauli`: experiments on Pauli channels, simulated and recorded."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes

RATES = {"II": 0.7, "XX": 0.2, "ZI": 0.1}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rates.json").write_text(json.dumps(RATES))


def run(*words):
    return cli.main(["quantum", "pauli", *words, "--no-progress"])


def test_a_channel_is_measured_and_its_outcomes_are_read_again(capsys):
    assert run("--channel", "rates.json", "--method", "product", "--shots", "5000", "--out", "a") == 0
    out, err = capsys.readouterr()
    facts = json.loads(Path("a/report.json").read_text())
    assert err == "" and {each.name for each in Path("a").iterdir()} == {*facts["files"]}
    assert facts["files"] == ["pauli.png", "report.json", "shots.npz"] and facts["uses"] == 5000
    assert [row["label"] for row in facts["rates"]] == [*RATES]
    for row, exact in zip(facts["rates"], RATES.values(), strict=True):
        assert row["exact"] == pytest.approx(exact) and abs(row["value"] - exact) < 6 * row["standard_error"]
        assert f"{row['value']:.4g}" in out
    assert facts["eigenvalues_inside"] >= 0.8 and facts["eigenvalues"][0]["label"] in out
    assert run("--data", "a/shots.npz", "--out", "b") == 0
    again = json.loads(Path("b/report.json").read_text())
    assert again["rates"][1]["value"] == facts["rates"][1]["value"] and again["rates"][1]["exact"] is None
    assert "eigenvalues_inside" not in again


def test_what_is_not_known_is_none_in_a_report():
    channel = js.quantum.PauliChannel(eigenvalues=[1.0, 0.9, 0.0, 0.0])
    data = js.quantum.measure_channel(jax.random.key(0), channel, 300, "decay")
    facts = recipes.pauli_facts(data, js.quantum.pauli_eigenvalues(data), channel)
    rows = {row["label"]: row for row in facts["eigenvalues"]}
    assert rows["X"]["value"] is None and rows["X"]["standard_error"] is None and rows["X"]["low"] == -1
    assert abs(rows["Z"]["value"] - 0.9) < 0.1 and "rates" not in facts and json.dumps(facts, allow_nan=False)
    assert len(recipes.pauli_picture(facts).axes) == 1


def test_named_channels_have_their_rates(x64):
    local = recipes.pauli_channel(jax.random.key(0), "depolarizing", 2)
    np.testing.assert_allclose(local.rate("XZ"), (0.05 / 3) ** 2)
    np.testing.assert_allclose(local.eigenvalue("XI"), 1 - 4 / 3 * 0.05)
    sparse = recipes.pauli_channel(jax.random.key(0), "random", 4)
    assert len(sparse.labels()) == 25 and float(sparse.rate("IIII")) == pytest.approx(0.8)
    other = recipes.pauli_channel(jax.random.key(1), "random", 4)
    assert other.labels().keys() != sparse.labels().keys()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--channel", "nois"),
            "--channel, which is no .json file, must be one of 'random', 'depolarizing'; got 'nois'",
        ),
        (("--channel", "none.json"), "--channel must be a file that exists; there is no none.json"),
        (("--channel", "broken.json"), "--channel must be a file of JSON; broken.json is not"),
        (("--channel", "list.json"), "--channel must hold rates by label"),
        (
            ("--channel", "half.json"),
            "--channel must be a Pauli channel; half.json is not: probabilities must sum to one",
        ),
        (("--channel", "rates.json", "--qubits", "2"), "--qubits must be left out for a file"),
        (("--qubits", "40"), "--qubits must be of at most 15 qubits for a table of all 4^n Pauli strings; got n = 40"),
        (("--method", "belle"), "--method must be one of "),
        (("--method", "stabilizer", "--qubits", "7", "--shots", "9"), "--channel must be of at most 6 qubits"),
        (("--shots", "0"), "--shots must be at least 1; got 0"),
        (("--visibility", "0.5"), "--visibility must be left out for method 'bell'"),
        (("--confidence", "95"), "--confidence must be between 0 and 1; got 95"),
        (("--data", "none.npz"), "--data must be a file that exists; there is no none.npz"),
        (("--data", "shots.npz", "--shots", "9"), "--shots must be left out with --data"),
        (("--data", "shots.npz", "--method", "decay"), "--method must be 'bell' for a BellShots; got 'decay'"),
        (("--data", "shots.npz", "--qubits", "2"), "--qubits must be left out with --data, which has its own"),
        (
            ("--data", "shots.npz", "--channel", "depolarizing", "--qubits", "3"),
            "--channel must act on the 2 qubits of --data; got 3",
        ),
    ],
)
def test_what_does_not_go_is_one_sentence(capsys, words, sentence):
    Path("broken.json").write_text("{")
    Path("list.json").write_text("[0.5, 0.5]")
    Path("half.json").write_text('{"I": 0.5}')
    js.quantum.save_shots(js.quantum.BellShots(np.zeros(3, int), 2), "shots.npz")
    assert run(*words, "--out", "out") == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1, err
