"""`jaxsamp annotate`, and `jaxsamp train --annotations`: clean and damaged data as one."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from jaxsamp.cli import output
from jaxsamp.cli.losses import loss_for
from jaxsamp.cli.train import Train
from jaxsamp.corruptions import Annotations
from jaxsamp.recipes import annotating
from tests.cli.train.runs import RUN, weights

PNG = b"\x89PNG\r\n\x1a\n"
BOTH = ("--data", "clean.npy", "--damaged", "wide.npy", "far.npy", "--no-progress")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Clean points, and points that are damaged in two ways; the clean ones have labels in a file of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    np.save("clean.npy", rng.normal(size=(100, 3)))
    np.save("wide.npy", 1.5 * rng.normal(size=(60, 3)))
    np.save("far.npy", 4 + rng.normal(size=(40, 3)))
    np.save("scores.npy", np.arange(100) / 100)
    np.save("names.npy", np.full(100, "a"))
    Path("table.json").write_text('{"0.9": 0.0, "0.5": 2.0}')


def notes_of(capsys, *words: str) -> tuple[np.ndarray, dict]:
    """The levels of the damaged samples, and the report of a command that must succeed."""
    assert cli.main(["annotate", *BOTH, *words, "--out", "out", "--force"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "80 clean and 100 damaged samples" in out
    assert "jaxsamp train --data clean.npy+wide.npy+far.npy --annotations out/annotations.jsonl" in out
    data, facts = recipes.load("clean.npy+wide.npy+far.npy"), json.loads(Path("out/report.json").read_text())
    notes = Annotations.load("out/annotations.jsonl", data.train)
    assert (notes.sigma_min[:80] == 0).all() and data.held_out.shape == (20, 3)
    assert sum(row["count"] for row in facts["histogram"]) == 180
    assert Path("out/annotations.png").read_bytes().startswith(PNG)
    return notes.sigma_min[80:], facts


def test_each_annotator_gives_its_levels(capsys):
    data, scores = recipes.load("clean.npy+wide.npy+far.npy"), np.arange(100) / 100
    found, facts = notes_of(capsys)
    np.testing.assert_array_equal(found, js.learning.annotate_gaussian(data.train, data.kinds).sigma_min[80:])
    assert facts["annotator"] == "gaussian" and [row["count"] for row in facts["histogram"]] == [80, 60, 40]
    found, facts = notes_of(capsys, "--annotator", "scores", "--scores", "scores.npy", "--table", "table.json")
    np.testing.assert_array_equal(found, np.repeat([np.inf, 2.0, 0.0], [50, 40, 10]))
    assert (facts["never"], facts["as_clean"]) == (50, 10)
    assert facts["histogram"][-1] == {"low": None, "high": None, "count": 50}
    notes = recipes.annotated(jax.random.key(0), data, "fixed", sigma_min=(1.0, 3.0), sigma_max=(0.1,))
    np.testing.assert_array_equal(notes.sigma_min[80:], np.repeat([1.0, 3.0], [60, 40]))
    assert set(notes.sigma_max[80:]) == {0.1}
    notes = recipes.annotated(jax.random.key(0), data, "percentile", scores=scores, sigma_min=(2.0,), share=0.3)
    np.testing.assert_array_equal(notes.sigma_min[80:], np.where(np.arange(100) < 30, 2.0, 0.0))


def test_a_classifier_is_trained_and_asked(capsys, monkeypatch):
    asked = {}

    def fit(key, x, damaged, **options):
        asked.update(options, damaged=damaged)
        return "classifier"

    def levels(key, classifier, x, damaged, **options):
        asked.update(options, classifier=classifier)
        return Annotations(np.where(damaged, np.linspace(1, 2, len(x)), 0), data=x)

    monkeypatch.setattr(annotating.learning, "fit_classifier", fit)
    monkeypatch.setattr(annotating.learning, "annotate_classifier", levels)
    words = ("--annotator", "classifier", "--steps", "7", "--eps", "0.1", "--per-sample")
    _, facts = notes_of(capsys, *words)
    assert asked.pop("damaged").sum() == 100
    assert asked == {"steps": 7, "progress": False, "eps": 0.1, "per_sample": True, "classifier": "classifier"}
    assert len(facts["histogram"]) == 13  # clean, and twelve bins of a hundred different levels


def test_crops_are_annotated_with_the_context_of_the_clean_images_and_both_sides_are_shown(capsys, monkeypatch):
    """8 x 8 images of which 20 are clean; levels of the two kinds of damage, and of five samples at low noise."""
    rng, asked = np.random.default_rng(1), {}
    for name, count in (("clean", 25), ("wide", 6), ("far", 4)):
        np.save(f"{name}.npy", rng.normal(size=(count, 8, 8)))

    def crops(key, x, damaged, context, sigma_min, **options):
        asked.update(options, damaged=damaged, context=context, sigma_min=sigma_min)
        return Annotations(np.where(damaged, 2.0, 0.0), np.where(np.arange(len(x)) >= 25, 0.5, 0.0), x)

    monkeypatch.setattr(annotating.learning, "annotate_crops", crops)
    words = ["--annotator", "crops", "--sigma-min", "2", "inf", "--least", "0.3", "--steps", "7"]
    assert cli.main(["annotate", *BOTH, *words, "--out", "out"]) == 0
    assert re.search(r"train as clean up to [\s\S]*\b0.5 +5 +#", capsys.readouterr().out)
    data = recipes.load("clean.npy+wide.npy+far.npy")
    np.testing.assert_array_equal(asked.pop("damaged"), data.kinds > 0)
    np.testing.assert_array_equal(asked.pop("sigma_min"), np.choose(data.kinds, [0, 2, np.inf]))
    clean = data.train[data.kinds == 0]
    expected = js.learning.measure_context(clean, np.geomspace(0.02, 2, 12) * np.std(clean - clean.mean(0)))
    np.testing.assert_array_equal(asked.pop("context").size, expected.size)
    assert asked == {"least": 0.3, "steps": 7, "progress": False}
    facts = json.loads(Path("out/report.json").read_text())
    assert facts["histogram_below"] == [{"low": 0.5, "high": 0.5, "count": 5}] and facts["at_low_noise"] == 5
    recipes.annotated(jax.random.key(0), data, "crops")
    assert np.isinf(asked["sigma_min"][20:]).all()


@pytest.fixture
def notes():
    """Annotations in a file, as the command writes them."""
    data = recipes.load("clean.npy+wide.npy+far.npy")
    Annotations(np.where(data.kinds > 0, 1.0, 0.0), data=data.train).save("notes.jsonl")
    return data


WORDS = ("train", "--data", "clean.npy+wide.npy+far.npy", "--annotations", "notes.jsonl", *RUN)


def test_fit_gets_both_data_their_annotations_and_the_loss_of_these(notes, tmp_path, monkeypatch):
    got = {}

    def fit(key, network, **options):
        got.update(options)
        output.write_json(command.stored(), tmp_path / "config.json")
        raise RuntimeError("enough")

    command = Train.parsed(WORDS[1:], "train")
    monkeypatch.setattr(js.training, "fit", fit)
    with pytest.raises(RuntimeError, match="enough"):
        command.run()
    np.testing.assert_array_equal(got["data"], notes.train)
    np.testing.assert_array_equal(got["annotations"].sigma_min, notes.kinds > 0)
    assert got["loss"] == js.training.omni_loss(drop=0.1)
    again = Train.parsed(["--config", "config.json"], "train")
    assert again.annotations == tmp_path / "notes.jsonl" and again.folder == Path("runs/clean+wide+far")
    assert again.data == "+".join(str(tmp_path / f"{name}.npy") for name in ("clean", "wide", "far"))


@pytest.mark.slow
def test_a_run_on_annotated_data_is_that_of_fit_and_is_continued_from_anywhere(notes, tmp_path, monkeypatch):
    assert cli.main([*WORDS, "--out", "run"]) == 0
    network, found = js.models.MLP(width=16, depth=1), Annotations.load("notes.jsonl", notes.train)
    options = {"annotations": found, "batch_size": 16, "ema": 0.5, "loss": js.training.omni_loss(drop=0.1)}
    state = js.fit(jax.random.key(0), network, notes.train, js.schedules.EDM(), 8, **options)
    for a, b in zip(jax.tree.leaves(state.ema), weights("run"), strict=True):
        np.testing.assert_array_equal(a, b)
    monkeypatch.chdir(tmp_path / "run")
    assert cli.main(["train", "--resume", "--out", "."]) == 0
    again = recipes.load(*recipes.trained_on("."))
    assert again.name == "clean+wide+far" and len(again.train) == 180


def test_labels_of_clean_and_damaged_data_become_one_table():
    for name, labels in (("a", ["cat", "dog"]), ("b", ["fox", "cat"])):
        np.savez(f"{name}.npz", x=np.arange(40.0).reshape(20, 2), labels=np.array(labels * 10))
    data = recipes.load("a.npz+b.npz")
    assert data.table.tolist() == ["cat", "dog", "fox"] and len(data.labels) == 36 and len(data.held_out_labels) == 4
    assert data.table[data.labels[16:]].tolist() == ["fox", "cat"] * 10
    np.testing.assert_array_equal(data.kinds, np.repeat([0, 1], [16, 20]))
    np.save("c.npy", np.zeros((4, 2)))
    assert recipes.load("a.npz+c.npy").table is None  # as one of them has none
    np.save("a+b.npy", np.zeros((20, 2)))
    assert recipes.load("a+b.npy").kinds is None  # one file


TRAIN = ("train", "--data", "clean.npy+wide.npy", *RUN)
BAD = {
    "nothing": (("annotate", "--data", "clean.npy"), "annotate needs --damaged"),
    "none": (("annotate", "--data", "clean.npy", "--damaged"), "--damaged must hold at least one file or folder"),
    "annotator": (("annotate", *BOTH, "--annotator", "gauss"), "--annotator must be one of .* Did you mean 'gaussian'"),
    "another's": (
        ("annotate", *BOTH, "--share", "0.5"),
        "--share is not a setting of annotator gaussian, which takes eps",
    ),
    "missing": (("annotate", *BOTH, "--annotator", "fixed"), "--sigma-min must be given for annotator fixed"),
    "kinds": (
        ("annotate", *BOTH, "--annotator", "fixed", "--sigma-min", "1", "2", "3"),
        "--sigma-min must be one number, or one for each of 2 kinds",
    ),
    "scores": (
        ("annotate", *BOTH, "--annotator", "percentile", "--sigma-min", "1", "--scores", "clean.npy"),
        r"--scores must have one number per sample, \(100,\)",
    ),
    "share": (
        ("annotate", *BOTH, "--annotator", "percentile", "--scores", "scores.npy", "--sigma-min", "1", "--share", "2"),
        r"--share must be in \(0, 1\); got 2.0",
    ),
    "table": (
        ("annotate", *BOTH, "--annotator", "scores", "--scores", "scores.npy", "--table", "clean.npy"),
        "--table must be a dict, or a file of one in JSON",
    ),
    "no images": (("annotate", *BOTH, "--annotator", "crops"), r"--data must be images \(n, side, side\)"),
    "eps": (("annotate", *BOTH, "--eps", "2"), r"--eps must be in \(0, 1\); got 2.0"),
    "no eps": (("annotate", *BOTH, "--eps", "0"), r"--eps must be in \(0, 1\); got 0.0"),
    "another's, of zero": (
        ("annotate", *BOTH, "--annotator", "fixed", "--sigma-min", "1", "--share", "0"),
        "--share is not a setting of annotator fixed",
    ),
    "a law": (("annotate", "--data", "ring", "--damaged", "wide.npy"), "--data must be clean samples before the first"),
    "shape": (
        ("annotate", "--data", "digits", "--damaged", "wide.npy"),
        r"--data must have samples of one shape, \(8, 8",
    ),
    "no file": (("annotate", "--data", "clean.npy", "--damaged", "none.npy"), "--damaged must be a file that exists"),
    "no folder": (("annotate", "--data", "clean.npy", "--damaged", "none/"), "--damaged must be a file or folder that"),
    "no numbers": (
        ("annotate", *BOTH, "--annotator", "percentile", "--sigma-min", "1", "--scores", "names.npy"),
        "--scores must be numbers; got dtype <U1",
    ),
    "no notes": (TRAIN, "--annotations must be given for clean and damaged samples"),
    "other notes": (
        (*TRAIN, "--annotations", "far.jsonl"),
        "--annotations must have one entry per sample, 140; got 40",
    ),
    "no such notes": ((*TRAIN, "--annotations", "no.jsonl"), "--annotations must be a file of annotations"),
    "notes of a law": (
        ("train", "--data", "ring", *RUN, "--annotations", "far.jsonl"),
        "--annotations is for clean and",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_one_sentence_exit_code_two_and_no_file(capsys, name):
    Annotations(np.ones(40)).save("far.jsonl")
    before = sorted(Path().rglob("*"))
    argv, sentence = BAD[name]
    code = cli.main([*argv, "--out", "out"])
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("jaxsamp: ") and re.search(sentence, err), err
    assert sorted(Path().rglob("*")) == before


def test_annotations_by_the_names_of_images_are_found_in_any_order():
    """As other programs write them: 12 clean images, of which 10 train, and 4 damaged ones, in folders."""
    from PIL import Image

    for folder, number in (("good", 12), ("bad", 4)):
        Path(folder).mkdir()
        for i in range(number):
            Image.fromarray(np.full((4, 4), 20 * i, np.uint8)).save(f"{folder}/{folder}-{i:02}.png")
    names = [f"{folder}-{i:02}.png" for folder, number in (("good", 12), ("bad", 4)) for i in range(number)]
    lines = [{"filename": name, "sigma_min": 0.0 if name < "c" else float(name[-6:-4])} for name in names[::-1]]
    Path("notes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["--data", "good+bad", "--image-size", "4", "--annotations", "notes.jsonl"]
    data = recipes.load("good+bad", 4)
    _, notes = loss_for(Train.parsed(words, "train"), data)
    gray = np.round((data.train[:, 0, 0].ravel() + 1) * 127.5 / 20)  # the number of each image is its color
    np.testing.assert_array_equal(notes.sigma_min[:10], gray[:10])
    assert len(notes) == 14 and (notes.sigma_min[10:] == 0).all() and list(notes.files[10:]) == names[12:]
    Path("bad/bad-00.png").rename("bad/good-00.png")
    twice = recipes.load("good+bad", 4)
    with pytest.raises(ValueError, match="files must be different names, to find them in .* 'good-00.png'"):
        loss_for(Train.parsed(words, "train"), twice)


def test_levels_are_compared_by_the_loss_of_clean_samples_kept_apart(capsys, monkeypatch):
    monkeypatch.setattr(annotating, "network_for", lambda event, classes: js.models.MLP(width=8, depth=1))
    levels = ["--sigma-min", "0.5", "inf", "--steps", "2"]
    assert cli.main(["annotate", *BOTH, "--annotator", "held-out", *levels, "--out", "out"]) == 0
    assert "held-out loss" in capsys.readouterr().out
    compared = json.loads(Path("out/report.json").read_text())["compared"]
    assert [row["sigma_min"] for row in compared] == [0.5, None] and all(row["loss"] > 0 for row in compared)
    best = min(compared, key=lambda row: row["loss"])["sigma_min"]
    data = recipes.load("clean.npy+wide.npy+far.npy")
    notes = Annotations.load("out/annotations.jsonl", data.train)
    assert (notes.sigma_min[80:] == (np.inf if best is None else best)).all() and (notes.sigma_min[:80] == 0).all()
