"""What a user types wrongly is one sentence and exit code 2 in every command; integers may be typed in every way."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from jaxsamp import cli, training
from jaxsamp.cli import command as command_of
from jaxsamp.cli import stopping
from jaxsamp.cli.sample import Sample
from jaxsamp.cli.settings import flags
from jaxsamp.cli.train import Train


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    np.save("a.npy", np.random.default_rng(0).normal(size=(9, 2)))


BAD = [
    ("", f"a command is needed, one of {', '.join(cli.COMMANDS)}; see jaxsamp --help."),
    ("mixture", "a command is needed after mixture, one of .*windows.*; see jaxsamp mixture --help."),
    ("mixture windws", "the command after mixture must be one of .*windows; got 'windws'. Did you mean 'windows'?"),
    ("mixture windows --grups 0", "mixture windows has no --grups. Did you mean '--groups'?"),
    ("smaple", "the command must be one of train, .*; got 'smaple'. Did you mean 'sample'?"),
    ("--steps 3", "the command must be one of train, .*; got '--steps'."),
    ("sample --stps 3", "sample has no --stps. Did you mean '--steps'?"),
    ("sample --zzz", "sample has no --zzz. See jaxsamp sample --help."),
    ("sample -n 3", "sample has no -n. See jaxsamp sample --help."),
    ("sample --steps many", "--steps must be an integer; got 'many'."),
    ("sample --steps 1.5", "--steps must be an integer; got '1.5'."),
    ("sample --steps 1e99", "--steps must be an integer; got '1e99'."),
    ("sample --steps", "--steps needs a value."),
    ("sample --steps --force", "--steps needs a value."),
    ("sample --num-samples nan", "--num-samples must be an integer; got 'nan'."),
    ("sample --sigma-min low", "--sigma-min must be a number; got 'low'."),
    ("sample extra", "'extra' has no place in sample, because no option before it takes it."),
    ("sample --metrics yes", "'yes' has no place in sample, because .*"),
    ("sample --no-force", "sample has no --no-force. .*"),
    (
        "sample --sampler ddim --sampler.order 3",
        "--sampler.order is not a setting of .* ddim, which has --sampler.eta.",
    ),
    ("sample --sampler.order 3 --sampler=heun", "--sampler.order is not a setting of the sampler heun, which has .*"),
    ("sample --sampler unipq --sampler.order 3", "--sampler must be one of .*; got 'unipq'. Did you mean 'unipc'?"),
    ("sample --sampler paradigms --sampler.sampler huen", "--sampler.sampler must be one .* Did you mean 'heun'?"),
    ("sample --sampler.order three", "--sampler.order must be an integer; got 'three'."),
    ("sample --sampler heun --sampler.churn much", "--sampler.churn must be a number; got 'much'."),
    ("sample --levels.mean 0", "sample has no --levels.mean. .*"),
    ("sample --out=", "--out must not be empty."),
    ("sample --checkpoint none", "--checkpoint must be the folder of a run; there is no folder none."),
    ("sample --checkpoint .", "--checkpoint must hold a complete checkpoint; .* has none."),
    ("sample --target photos/", "--target must be a file or folder that exists; there is no photos."),
    ("sample --image-size 0 4", "--image-size must be at least 1; got 0."),
    ("sample --image-fit squash", "--image-fit must be one of 'crop', 'pad', 'stretch'; got 'squash'."),
    ("train --steps 1e-3", "--steps must be an integer; got '1e-3'."),
    ("train --network-foo 3", "train has no --network-foo. Did you mean '--network'?"),
    ("train --image-size 3 4 5", "'5' has no place in train, because no option before it takes it."),
    ("train --image-size", "--image-size needs a value."),
    ("train --multipliers 1 two", "--multipliers must be an integer; got 'two'."),
    (
        "train --weighting unit --weighting.gamma 5",
        "--weighting.gamma is not a setting .* unit, which has none.",
    ),
    ("train --labels dog", "'dog' has no place in train, because .*"),
    ("train --data=", "--data must not be empty."),
    ("train --data digits --network dit --patch 3", "--data must be images with h and w divisible by --patch = 3; .*"),
    ("verify a.npy", "FOLDER must hold samples in shards, with a manifest.json; got a.npy."),
    ("train --resume --out=", "--out must not be empty."),
    ("compare --steps 8 x", "--steps must be an integer; got 'x'."),
    ("compare --steps", "--steps must hold at least one value."),
    ("compare --samplers", "--samplers must hold at least one value."),
    ("compare --sampler ddim", "compare has no --sampler. Did you mean '--samplers'?"),
    ("compare --checkpoint none", "--checkpoint must be the folder of a run; there is no folder none."),
    ("evaluate", "evaluate needs SAMPLES; see jaxsamp evaluate --help."),
    ("evaluate a.npy b --reference ring", "'b' has no place in evaluate, because .*"),
    ("evaluate a --refrence ring", "evaluate has no --refrence. Did you mean '--reference'?"),
    ("evaluate a.npy --checkpoint none", "--checkpoint must be the folder of a run; there is no folder none."),
    ("evaluate none.npy --reference ring", "SAMPLES must be a file that exists; there is no none.npy."),
    ("score-error", "score-error needs --checkpoint; see jaxsamp score-error --help."),
    ("score-error --checkpoint none --levels a", "--levels must be a number; got 'a'."),
    ("score-error --checkpoint none", "--checkpoint must be the folder of a run; there is no folder none."),
]


@pytest.mark.parametrize("words, sentence", BAD, ids=[words for words, _ in BAD])
def test_what_is_typed_wrongly_is_one_sentence_in_every_command(capsys, words, sentence):
    """In the sentences, .* stands for any text."""
    assert cli.main(words.split()) == 2
    out, err = capsys.readouterr()
    assert re.fullmatch(re.escape(f"jaxsamp: {sentence}\n").replace(r"\.\*", ".*"), err) and out == ""
    assert {path.name for path in Path().iterdir()} <= {"cache", "a.npy"}


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_is_still_that_of_the_parser(capsys, command):
    assert cli.main([command, "--help"]) == cli.main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert f"usage: jaxsamp {command}" in out and "usage: jaxsamp [-h]" in out and err == ""


def test_integers_may_be_typed_in_every_way():
    command = Sample.parsed(["--num_samples", "1e6", "--seed=1_000", "--sampler.order", "3.0"], "sample")
    assert (command.num_samples, command.common.seed) == (1_000_000, 1000)
    assert dict(flags(command))["sampler.order"] == 3
    command = Train.parsed("--multipliers 1 2e0 --attention --warmup 1e-1 --image-size 32 4_8".split(), "train")
    found = dict(flags(command))
    assert (found["multipliers"], found["attention"], found["image_size"]) == ((1, 2), (), (32, 48))
    assert found["warmup"] == 0.1
    assert Train.parsed(["--image-size", "8"], "train").image_size == 8
    assert Sample.parsed(["--sampler", "heun", "--sampler.churn", "None"], "sample").sampler_settings.churn is None


def test_what_only_the_parser_refuses_is_one_sentence_too(capsys, monkeypatch):
    monkeypatch.setattr(command_of, "checked", lambda kind, words, name: words)
    assert cli.main(["sample", "--stps", "3"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jaxsamp: the options could not be read: Unrecognized options") and err.count("\n") == 1


def test_one_sample_is_drawn_and_that_it_is_not_compared_is_said(capsys):
    words = ["sample", "--target", "ring", "--steps", "4", "--num-samples", "1", "--out", "my run"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "One sample is not compared with the truth, which takes two or more." in out.splitlines()
    facts = json.loads(Path("my run/report.json").read_text())
    assert facts["metrics"] == {} and facts["compared"] == 1 and len(facts["warnings"]) == 1


def test_a_command_that_is_printed_can_be_typed(monkeypatch):
    """So can that at the end of training, in tests/cli/train/test_folders.py."""
    monkeypatch.setattr(training, "latest_step", lambda out: 1)
    sentence = stopping._sentence(Path("it's mine"), 2, "Ctrl-C")
    words = shlex.split(sentence.partition("To continue: ")[2])
    assert words == ["jaxsamp", "train", "--resume", "--out", "it's mine"]
