"""`jaxsamp sparameters fit`: a Touchstone file in, another out, with its report and its draws."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxsamp import cli, sparameters


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_file_becomes_a_denser_file(capsys):
    sparameters.write("filter", sparameters.ladder(81))
    words = ["sparameters", "fit", "filter.s2p", "--keep", "0.25", "--draws", "3", "--no-progress"]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    folder = Path("runs/filter-sparameters")
    facts = json.loads((folder / "report.json").read_text())
    assert err == "" and {each.name for each in folder.iterdir()} == {*facts["files"]}
    assert facts["used"] == 20 and facts["snr"] > 40 and f"{facts['snr']:.1f} dB" in out
    whole, draws = sparameters.read(folder / "interpolated.s2p"), np.load(folder / "draws.npz")
    assert whole.s.shape == (81, 2, 2) and draws["s"].shape == (3, 81, 2, 2)
    assert np.linalg.norm(whole.s - sparameters.ladder(81).s) < 0.01 * np.linalg.norm(whole.s)
    assert cli.main(["sparameters", "fit", "ladder", "--method", "spline", "--no-progress"]) == 0
    assert "draws" not in json.loads(Path("runs/ladder-sparameters/report.json").read_text())


def test_a_file_of_zeros_has_a_report(capsys):
    """Its ratio of signal to error, minus infinity, is none of JSON."""
    sparameters.write("zero", (np.linspace(1e9, 2e9, 41), np.zeros((41, 1, 1))))
    words = ["sparameters", "fit", "zero.s1p", "--keep", "0.5", "--draws", "2", "--no-progress"]
    assert cli.main(words) == 0
    assert "signal to error" not in capsys.readouterr().out
    assert json.loads(Path("runs/zero-sparameters/report.json").read_text())["snr"] is None
    assert cli.main([*words, "--method", "vector", "--force"]) == 2
    assert '--method must not be "vector" where all samples are 0' in capsys.readouterr().err


def test_active_data_has_no_passive_draws(capsys):
    sparameters.write("active", (np.linspace(1e9, 2e9, 41), 2.0 * sparameters.ladder(41).s))
    words = ["sparameters", "fit", "active.s2p", "--keep", "0.5", "--no-progress"]
    assert cli.main(words) == 2
    assert "--draws must be 0 for active data: the samples have a singular value" in capsys.readouterr().err
    assert cli.main([*words, "--draws", "0"]) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.s2p"], "FILE must be a Touchstone file; nowhere.s2p does not exist."),
        (["ladder", "--keep", "2"], "--keep must be in (0, 1]; got 2.0."),
        (["ladder", "--keep", "0.005"], "--keep must leave at least 4 of the 401 frequencies; 0.005 leaves 2."),
        (["ladder", "--noise", "-1"], "--noise must be a positive number; got -1.0."),
        (["ladder", "--method", "cubic"], "--method must be one of"),
        (["ladder", "--draws", "-1"], "--draws must be at least 0; got -1."),
    ],
)
def test_what_cannot_be_done_is_a_sentence(words, sentence, capsys):
    assert cli.main(["sparameters", "fit", *words, "--no-progress"]) == 2
    assert sentence in capsys.readouterr().err
