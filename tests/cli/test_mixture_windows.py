"""`jaxsamp mixture windows`: of laws, of fitted mixtures and of networks."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from tests.cli.train.runs import SMALL

PNG = b"\x89PNG\r\n\x1a\n"
MEANS = np.array([[a + b, 0.0] for a in (-300.0, 300.0) for b in (-3.0, 3.0)])


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Four Gaussians in two pairs; and points of two kinds, whose labels are names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    np.savez("pairs.npz", weights=np.full(4, 0.25), means=MEANS, covariances=[np.eye(2)] * 4)
    x = np.random.default_rng(0).normal(size=(200, 1)) + np.where(np.arange(200) < 100, 4.0, -4.0)[:, None]
    np.savez("named.npz", x=x, labels=np.repeat(["plus", "minus"], 100))
    np.save("plain.npy", np.concatenate([x, -x], 1))


def found(capsys, *words):
    """The report of a command that must succeed, and what it printed."""
    assert cli.main(["mixture", "windows", *words, "--no-progress", "--out", "out", "--force"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(Path("out/report.json").read_text())
    pictures = [name for name in facts["files"] if name.endswith(".png")]
    assert err == "" and all(Path("out", name).read_bytes().startswith(PNG) for name in pictures)
    return facts, out


def test_a_mixture_has_its_windows_on_the_axis_of_noise_levels(capsys):
    """As in closed form for the two distances, 3 and 300, at sigma / alpha = sqrt(exp(2 T) - 1); of 600 draws."""
    facts, out = found(capsys, "--target", "pairs.npz", "--groups", "0", "0,1", "--num-samples", "600")
    assert facts["files"] == ["windows.png", "report.json"] and facts["components"] == 4
    inner, outer = facts["rows"]
    assert (inner["after"], inner["before"], outer["before"]) == ([0], [0, 1], [0, 1, 2, 3])
    for row, radius in ((inner, 3.0), (outer, 300.0)):
        exact = np.sqrt(np.expm1(2 * js.theory.windows.two_gaussians(radius, 0.1)[1]))
        assert row["T_before"][0] == pytest.approx(exact, rel=0.2) and row["valid"]
    assert inner["stay"]["mean"][0] > 0.95 > 0.6 > inner["stay"]["mean"][-1]
    assert re.search(r"\{0, 1\} +\{0, 1, 2, 3\} .* yes", out)


def test_data_become_a_mixture_first_and_the_tree_alone_is_the_picture(capsys):
    facts, out = found(capsys, "--target", "plain.npy", "--components", "2", "--tree", "--num-samples", "100")
    assert facts["components"] == 2 and facts["rows"] == [] and facts["tree"]["components"] == [0, 1]
    assert [child["components"] for child in facts["tree"]["children"]] == [[0], [1]]
    assert f"{{0, 1}} from {facts['tree']['level']:.3g}\n  {{0}}\n  {{1}}\n" in out
    assert Path("out/windows.png").read_bytes() == Path("out/tree.png").read_bytes()


def test_samples_of_a_label_come_back_as_often_as_the_posterior_says():
    """By the exact denoiser of two Gaussians, m = 4 / sigma: 100 samples stay within 4 standard errors of 0.05."""
    data = recipes.load("named.npz")
    reader = recipes.reader_of(data)
    np.testing.assert_allclose(reader.confusion, np.eye(2), atol=0.1)
    assert data.table[reader.classify(np.array([[5.0], [-5.0]]))].tolist() == ["plus", "minus"]
    law = js.targets.GaussianMixture([0.5, 0.5], [[4.0], [-4.0]], np.ones((2, 1, 1)))
    denoiser = law.denoiser(js.schedules.VariancePreserving())
    groups = recipes.groups_of(["plus"], data.table)
    options = {"starts": 100, "steps": 32, "keep": 2}
    (got,) = recipes.learned_windows(jax.random.key(0), data, denoiser, groups, [0.5, 6.0], reader, **options)
    exact = js.theory.windows.stay_probability(4 / np.hypot(1.0, [0.5, 6.0]))
    np.testing.assert_allclose(got.stay.mean, exact, atol=0.2)
    assert got.times.tolist() == [0.5, 6.0] and got.start.shape == (100, 1) and got.returned.samples.shape == (2, 2, 1)
    row = recipes.window_row(got, data.table)
    assert row["after"] == ["plus"] and row["floor"] == 0.5 and json.dumps(row, allow_nan=False)


def test_a_file_that_is_called_digits_is_read_by_a_classifier_of_its_own():
    Path("own").mkdir()
    with np.load("named.npz") as file:
        np.savez("own/digits.npz", **file)
    data = recipes.load("own/digits.npz")
    assert data.name == "digits" and recipes.reader_of(data).accuracy > 0.9


BAD = [
    ("--groups 0", "one of --target and --checkpoint must say whose windows, not both."),
    ("--target ring", "--groups must hold at least one group, such as 0 or 0,1; or --tree finds them."),
    ("--target ring --groups 0,8", "--groups: every member must be from 0 to 7; got 8."),
    ("--target ring --groups 0 1", "--groups must grow, each holding the one before and more; got [[0], [1]]."),
    ("--target ring --groups 0 --times 4", "--times is for the windows of a network."),
    ("--target ring --groups 0 --eps 0.5", "--eps must be between 0 and 1/2; got 0.5."),
    ("--target ring --groups 0 --num-samples 1", "--num-samples must be at least 2; got 1."),
    ("--target checkerboard --tree", "--target must be a mixture of Gaussians; got a UniformBoxes."),
    ("--checkpoint none --groups 0 --tree", "--tree is for the windows of a mixture."),
    ("--checkpoint none --groups 0 --sigma-min 0", "--sigma-min must be finite and above 0; got 0.0."),
    ("--checkpoint none --groups 0", "--checkpoint must be the folder of a run; there is no folder none."),
]


@pytest.mark.parametrize(("words", "sentence"), BAD, ids=[words for words, _ in BAD])
def test_what_does_not_fit_is_one_sentence(capsys, words, sentence):
    assert cli.main(["mixture", "windows", *words.split()]) == 2
    assert capsys.readouterr() == ("", f"jaxsamp: {sentence}\n")
    assert not Path("runs").exists()


def test_data_without_labels_have_no_windows_of_labels():
    with pytest.raises(ValueError, match="data must have labels, to which samples come back; ring has none"):
        recipes.reader_of(recipes.load("ring"))


@pytest.mark.slow
def test_a_network_has_windows_of_the_labels_of_its_data(capsys):
    train = ["train", "--data", "named.npz", *SMALL, "--steps", "300", "--samples-every", "0", "--no-progress"]
    assert cli.main([*train, "--out", "net"]) == cli.main([*train, "--labels", "--out", "labeled"]) == 0
    assert cli.main([*train, "--labels", "--drop", "0", "--out", "all"]) == 0
    capsys.readouterr()
    few = ("--times", "4", "--sigma-min", "0.3", "--sigma-max", "60", "--steps", "30", "--num-samples", "80")
    for folder in ("net", "labeled"):
        facts, out = found(capsys, "--checkpoint", folder, "--groups", "plus", *few)
        (row,) = facts["rows"]
        assert row["after"] == ["plus"] and row["starts"] == 80 and facts["accuracy"] > 0.9 and "{plus}" in out
        assert row["stay"]["mean"][0] > 0.85 > row["stay"]["mean"][-1] > 0.2
    for words, sentence in (
        ("all --groups plus", "--checkpoint must be of a network that was trained without labels"),
        ("net --groups plus,minus", "--groups must leave a label out"),
        ("net --groups one", "--groups: every member must be one of minus, plus; got one."),
    ):
        assert cli.main(["mixture", "windows", "--checkpoint", *words.split(), *few]) == 2
        assert sentence in capsys.readouterr().err
