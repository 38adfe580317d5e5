"""`jaxsamp train --draft`: a smaller network beside the network, in the same run."""

import json
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli, recipes
from jaxsamp.samplers import ParallelMidpoint, UniPC
from tests.cli.train.runs import RUN, assert_same_weights, weights

WORDS = ("train", "--data", "two.npz", *RUN, "--labels", "--draft", "--out")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without interruption."""
    folder = tmp_path_factory.mktemp("drafts")
    labels = np.arange(50) % 2
    np.savez(folder / "two.npz", x=np.random.default_rng(0).normal(size=(50, 3)) + 4 * labels[:, None], labels=labels)
    words = [str(folder / "two.npz") if word == "two.npz" else word for word in WORDS]
    assert cli.main([*words, str(folder / "run")]) == 0
    return folder / "run"


def test_a_run_that_stops_in_its_draft_goes_on_to_the_same_bits(whole, capsys, monkeypatch):
    fit, calls = js.training.fit, []

    def stopping(*words, **options):
        calls.append(options["checkpoint"])
        if len(calls) == 2:  # the draft

            def stop(step, _):
                if step == 5:
                    raise SystemExit(143)

            options |= {"callback": stop, "callback_every": 1}
        return fit(*words, **options)

    with monkeypatch.context() as patched:
        patched.setattr(js, "fit", stopping)
        assert cli.main([*WORDS, "cut"]) == 143
    assert "step 8 of 8, and step 3 of the draft, is saved. To continue: " in capsys.readouterr().err
    assert [str(call) for call in calls] == ["cut", "cut/draft"] and js.training.latest_step("cut/draft") == 3
    assert cli.main(["train", "--resume", "--out", "cut"]) == 0
    out = capsys.readouterr().out
    assert re.search("its draft, with half the width, is in cut/draft; a trial has (kept|dropped) it: 95 % of ", out)
    assert recipes.draft_trial("cut") == recipes.draft_trial(whole)
    assert_same_weights(whole, "cut")
    assert_same_weights(whole / "draft", "cut/draft")


def test_the_denoiser_of_a_run_has_its_draft_and_wrappers_keep_it(whole):
    denoiser = js.training.load_denoiser(whole)
    draft, level, x = denoiser.draft, denoiser.schedule.level(jnp.zeros(2)), jnp.ones((2, 3))
    assert (denoiser.apply.network.width, draft.apply.network.width, draft.draft) == (16, 8, None)
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(draft.params), weights(whole / "draft"), strict=True)
    )
    cond = jnp.array([0, 1])
    guided = js.denoisers.guide(denoiser, 2.0, 2)
    expected = js.denoisers.guide(draft, 2.0, 2)(x, level, cond)
    np.testing.assert_array_equal(guided.draft(x, level, cond), expected)
    assert not np.array_equal(guided(x, level, cond), expected)
    assert js.denoisers.clip(draft).draft is None


def test_samples_follow_a_draft_that_a_trial_has_kept(whole, capsys):
    found, samples = recipes.draft_trial(whole), {}
    for kept in (True, False):
        run = f"run {kept}"
        shutil.copytree(whole, run)
        (Path(run) / "draft" / "trial.json").write_text(json.dumps(found._replace(kept=kept)._asdict()))
        words = ["sample", "--checkpoint", run, "--sampler", "parallel-midpoint", "--sampler.midpoints", "6"]
        words += ["--sampler.iterations", "1", "--num-samples", "3", "--no-metrics", "--guidance", "2", "--out", run]
        assert cli.main(words) == 0, capsys.readouterr().err
        samples[kept] = np.load(f"{run}/samples.npz")["samples"]
    denoiser = js.training.load_denoiser(whole)
    task = recipes.learned_task(jax.random.key(0), recipes.load(whole.parent / "two.npz"), denoiser, 3)
    for sampler in (UniPC(), ParallelMidpoint.blocked(), ParallelMidpoint(surrogate=task.denoiser)):
        assert recipes.follow_draft(task, sampler, "run True") is sampler
    assert recipes.follow_draft(task, ParallelMidpoint(), "run True").surrogate is task.denoiser.draft
    assert recipes.follow_draft(task, ParallelMidpoint(), "run False").surrogate is None
    assert not np.allclose(samples[True], samples[False], atol=1e-3)
    shutil.rmtree("run True/draft")
    assert recipes.draft_trial("run True") is None
    with pytest.raises(ValueError, match="checkpoint must be a run of `jaxsamp train --draft`; run True has no draft"):
        recipes.try_draft(jax.random.key(0), "run True", task.data)


@pytest.mark.parametrize(
    ("network", "setting", "half"),
    [
        (js.models.MLP(9, 2), "width", 4),
        (js.models.UNet(16, (1, 2), classes=3, dtype="bfloat16"), "channels", 8),
        (js.models.DiT(width=36, heads=6), "width", 18),
    ],
)
def test_a_draft_is_the_same_network_with_half_the_width(network, setting, half):
    draft = recipes.draft_of(network)
    assert getattr(draft, setting) == half and draft.clone(**{setting: getattr(network, setting)}) == network


def test_what_has_no_draft_is_named(capsys):
    with pytest.raises(ValueError, match="width must be at least 6 to be halved for a draft; got 4"):
        recipes.draft_of(js.models.DiT(width=4, heads=3))
    with pytest.raises(ValueError, match="network must be one of 'MLP', 'UNet', 'DiT'; got 'LocalMLP'"):
        recipes.draft_of(js.models.LocalMLP())
    assert cli.main([*WORDS, "run", "--width", "1"]) == 2
    assert "--width must be at least 2 to be halved for a draft; got 1." in capsys.readouterr().err
