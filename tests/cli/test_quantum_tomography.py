"""`jaxsamp quantum tomography`: copies against error, as a recipe, a picture and a command."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes

QUICK = ("--no-progress", "--dim", "2", "--copies", "4000", "--per-measurement", "1")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_run_writes_a_picture_a_report_and_its_estimates(capsys):
    assert cli.main(["quantum", "tomography", *QUICK, "--out", "a"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(Path("a/report.json").read_text())
    assert err == "" and facts["files"] == ["tomography.png", "report.json", "estimates.npz"]
    assert {each.name for each in Path("a").iterdir()} == {*facts["files"]}
    rows = {(row["estimator"], row["t"]): row for row in facts["rows"]}
    assert {*rows} == {(name, 1) for name in ("debiased", "keyl", "purified", "single")}
    for row in rows.values():  # of a fixed key
        if row["exact"] is not None:
            assert abs(row["squared_error"] - row["exact"]) < 4 * row["squared_error_se"] + 1e-4
        assert f"{row['trace_distance']:.4g}" in out
    held = np.load("a/estimates.npz")
    assert np.linalg.norm(held["keyl_1"] - held["rho"]) == pytest.approx(rows["keyl", 1]["distance"], abs=1e-5)
    assert held["debiased_1_standard_error"].shape == (2, 2)


def test_keyl_and_debiased_see_the_same_outcomes(key):
    rho = recipes.quantum_state(key, "pure", 2)
    found = recipes.copies_against_error(key, rho, 16_000, (4,), ("debiased", "keyl"))
    debiased, biased = found.rows
    assert debiased["measurements"] == biased["measurements"] == 4000
    assert biased["distance"] > 3 * biased["noise"] and debiased["distance"] < 3 * debiased["noise"]
    own = jax.random.fold_in(key, 4)
    again = js.quantum.estimate_state(js.quantum.measure(own, rho, (4000,), js.quantum.Keyl(4)), "keyl")
    np.testing.assert_array_equal(found.estimates["keyl_4"].rho, again.rho)


def test_states_by_name_and_from_files(key):
    np.testing.assert_allclose(recipes.quantum_state(key, "mixed", 3), np.eye(3) / 3)
    assert np.linalg.matrix_rank(np.asarray(recipes.quantum_state(key, "pure", 3)), tol=1e-4) == 1
    np.save("rho.npy", np.diag([0.75, 0.25]))
    np.testing.assert_allclose(recipes.quantum_state(key, "rho.npy"), np.diag([0.75, 0.25]))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--state", "cat"), "--state, where no such file exists, must be one of random, mixed, pure; got 'cat'"),
        (("--state", "wrong.npy"), "--state must have trace 1; got 2"),
        (("--state", "text.npy"), "--state must be an .npy file"),
        (("--state", "rho.npz"), "--state must be an .npy file; rho.npz: it holds several arrays, as an .npz file"),
        (("--dim", "1"), "--dim must be at least 2; got 1"),
        (("--copies", "1"), "--copies must be at least 2; got 1"),
        (("--per-measurement", "0"), "--per-measurement must be at least 1; got 0"),
        (("--estimators", "bayes"), "--estimators must be one of 'debiased', 'keyl', 'purified', 'single'; got"),
        (("--microbatch", "0"), "--microbatch must be at least 1; got 0"),
    ],
)  # fmt: skip
def test_what_does_not_go_is_one_sentence(capsys, words, sentence):
    np.save("wrong.npy", np.eye(2))
    Path("text.npy").write_text("1 2")
    np.savez("rho.npz", rho=np.eye(2) / 2)
    assert cli.main(["quantum", "tomography", *QUICK, *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1, err


def test_the_picture_shows_its_rows():
    row = {"estimator": "debiased", "t": 1, "squared_error": 4.0, "squared_error_se": 0.1, "exact": 4.5}
    row |= {"distance": 0.2, "noise": 0.1}
    rows = [row, row | {"t": 4, "squared_error": 2.0, "exact": 2.2}, row | {"estimator": "keyl", "exact": None}]
    left, right = js.plots.copy_curves(rows, title="copies").axes
    exact = next(line for line in left.lines if list(line.get_ydata()) == [4.5, 2.2])
    assert list(exact.get_xdata()) == [1, 4]
    assert [*left.get_legend_handles_labels()[1]][0] == "slope -1/2"
    assert [list(line.get_ydata()) for line in right.lines[:2]] == [[0.2, 0.2], [0.1, 0.1]]
