"""`jaxsamp compare`: what it measures, what it writes, what it refuses."""

import json

import pytest

from jaxsamp import plots
from jaxsamp.cli import REFUSED, main
from jaxsamp.cli.compare import Compare
from jaxsamp.samplers import BY_NAME


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """One small comparison and its report."""
    out, figures = tmp_path_factory.mktemp("compare") / "ring", []
    words = ["compare", "--target", "ring", "--samplers", "ddim", "unipc", "ddpm", "--steps", "16", "8"]
    with pytest.MonkeyPatch.context() as patch:
        save = plots.save
        patch.setattr(plots, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
        assert main([*words, "--num-samples", "200", "--out", str(out)]) == 0
    return words, out, json.loads((out / "compare.json").read_text()), figures


def test_errors_fall_with_steps_and_rank_the_samplers(compared):
    found = {(row["sampler"], row["steps"]): row for row in compared[2]["rows"]}
    assert list(found) == [(name, n) for name in ("ddim", "unipc", "ddpm") for n in (8, 16)]
    flow = {case: row["distance_to_flow"] for case, row in found.items()}
    assert flow["unipc", 16] < flow["ddim", 16] < flow["ddim", 8]
    assert flow["ddpm", 8] is None  # it leaves the flow on purpose
    assert compared[2]["flow"]["distance_to_half_as_many"] < 0.1 * flow["unipc", 16]
    assert all(row["evaluations"] == row["rounds"] == row["steps"] for row in found.values())
    assert all(low < high for low, high in (row["energy_null"] for row in found.values()))


def test_the_table_is_not_cut_off_in_80_columns(compared, capsys, monkeypatch):
    """With the longest name and numbers of five digits."""
    monkeypatch.setenv("COLUMNS", "80")
    row = compared[2]["rows"][0] | {"sampler": max(BY_NAME, key=len), "energy": -1e-3, "energy_null": [0.0, 1.0]}
    Compare().show(
        compared[2] | {"rows": [row | {"steps": 9999, "evaluations": 20_000, "rounds": 20_000}]}, compared[1]
    )
    printed = capsys.readouterr().out
    assert row["sampler"] in printed and "-1.00e-03" in printed and "outside" in printed and "…" not in printed


def test_picture_is_written(compared):
    picture = (compared[1] / "compare.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 20_000


def test_the_picture_shows_the_error_of_the_flow_itself(compared):
    error = compared[2]["flow"]["distance_to_half_as_many"]
    for axes in compared[3][0].axes[:2]:
        line = {line.get_label(): line for line in axes.lines}["error of the flow itself, 1,024 against 512 steps"]
        assert set(line.get_ydata()) == {error} and axes.get_ylim()[0] < error


def test_earlier_results_are_kept(compared, capsys):
    assert main([*compared[0], "--out", str(compared[1])]) == REFUSED
    assert "or add --force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--samplers", "ddim", "unipcc"], "Did you mean 'unipc'"),
        (["--steps", "8", "0"], "--steps must be at least 1; got 0"),
        (["--num-samples", "1"], "--num-samples must be at least 2"),
        (["--target", "rign"], "Did you mean 'ring'"),
        (["--sigma-min", "0"], "--sigma-min must be above 0"),
    ],
)
def test_bad_arguments_get_one_sentence(words, sentence, capsys, tmp_path):
    assert main(["compare", *words, "--out", str(tmp_path / "out")]) == REFUSED
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
