"""A run that is interrupted in any way ends with the bits of one that is not."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsamp as js
from jaxsamp.training.checkpoint import load_weights
from jaxsamp.training.weights import load_safetensors, save_safetensors
from tests.killed_run import EVERY, STEPS, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without interruption, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run(folder, resume=False), folder


def assert_same(a, b):
    for name in ("batches", "params", "ema", "opt_state"):
        for x, y in zip(jax.tree.leaves(getattr(a, name)), jax.tree.leaves(getattr(b, name)), strict=True):
            np.testing.assert_array_equal(x, y, err_msg=name)
    np.testing.assert_array_equal(jax.random.key_data(a.key), jax.random.key_data(b.key))


class Stop(Exception):
    pass


@pytest.mark.parametrize("accumulate", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_fails_between_checkpoints_resumes_to_the_same_bits(tmp_path, accumulate, whole):
    def stop(step, state):
        if step == 8:
            raise Stop

    expected = run(tmp_path / "whole", accumulate=2) if accumulate == 2 else whole[0]
    journal = tmp_path / "metrics.jsonl"
    options = {"accumulate": accumulate, "metrics_file": journal, "report_every": 2}
    with pytest.raises(Stop):
        run(tmp_path / "run", callback=stop, callback_every=1, **options)
    assert sorted(os.listdir(tmp_path / "run")) == ["3", "6"]
    resumed = run(tmp_path / "run", **options)
    assert_same(resumed, expected)
    assert [line["step"] for line in js.training.journal.read(journal)] == [2, 4, 6, 8, 10, 12]
    assert sorted(os.listdir(tmp_path / "run"), key=int) == ["9", "12"]  # the latest two
    assert_same(run(tmp_path / "run", **options), expected)  # there is nothing left to do


def start(folder, seconds=0.0):
    """The run in a process of its own, with this one's compiler options."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    command = [sys.executable, "-m", "tests.killed_run", str(folder), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("sent", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_killed_process_resumes_to_the_same_bits_and_a_terminated_one_saves_first(tmp_path, sent, whole):
    process = start(tmp_path, 2.0)
    assert any(line.strip() == "7" for line in process.stdout), "the run ended early"  # the seventh step is made
    process.send_signal(sent)
    code = process.wait(60)
    saved = max(int(name) for name in os.listdir(tmp_path))
    if sent == signal.SIGKILL:
        assert code == -signal.SIGKILL and saved == 6
    else:
        assert code == 128 + signal.SIGTERM and saved == 8  # the step during which it came
    assert_same(run(tmp_path), whole[0])


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_nothing_that_is_read(tmp_path, whole):
    """Killed when the folder of an unfinished checkpoint appears, until one is found that was cut short."""
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        process = start(folder)
        while process.poll() is None and not list(folder.glob("*tmp*")):
            pass
        process.kill()
        process.wait(60)
        if unfinished := list(folder.glob("*tmp*")):
            break
    else:
        raise AssertionError("no checkpoint was cut short")
    finished = [path.name for path in folder.iterdir() if path not in unfinished]
    assert len(finished) < STEPS // EVERY
    assert_same(run(folder), whole[0])


def test_a_half_written_checkpoint_is_never_read(tmp_path, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole[1], folder)
    shutil.rmtree(folder / "12")
    # As Orbax leaves it when it is cut short: under a name of its own, with any part of the content.
    shutil.copytree(folder / "9", folder / "12.orbax-checkpoint-tmp")
    shutil.rmtree(folder / "12.orbax-checkpoint-tmp" / "state")
    assert_same(run(folder), whole[0])
    assert_same(run(folder), whole[0])  # from the one that was written in its place


def test_another_configuration_is_refused_by_the_names_of_its_fields(whole):
    for options, phrase in (
        ({"batch_size": 5}, "batch_size is 4 there and 5 here"),
        ({"ema": 0.5}, "ema is 0.9999 there and 0.5 here"),
        ({"optimizer": js.training.AdamW(clip=2.0)}, "optimizer.clip is 1.0 there and 2.0 here"),
        ({"optimizer": optax.sgd(0.1)}, "optimizer.* there and .* here; steps is 12 there and None here"),
    ):
        with pytest.raises(ValueError, match=f"is of another configuration: {phrase}. Give the same settings"):
            run(whole[1], **options)
    with pytest.raises(
        ValueError, match="steps is 12 there and 13 here.* The rate of each step depends on their number"
    ):
        run(whole[1], steps=13)
    with pytest.raises(ValueError, match="a folder without checkpoints, or give resume=True"):
        run(whole[1], resume=False)


@pytest.mark.parametrize(
    "optimizer", [js.training.AdamW(warmup=0.0, last=1.0), pytest.param(optax.sgd(0.1), marks=pytest.mark.slow)]
)
def test_a_finished_run_goes_on_where_its_steps_do_not_depend_on_their_number(tmp_path, optimizer):
    options = {"optimizer": optimizer}
    longer = run(tmp_path / "whole", steps=16, **options)
    run(tmp_path / "run", steps=11, **options)
    assert_same(run(tmp_path / "run", steps=16, **options), longer)
    with pytest.raises(ValueError, match=r"steps must be at least 16, which .*run has made; got 11"):
        run(tmp_path / "run", steps=11, **options)
    with pytest.raises(ValueError, match="optimizer"):
        run(tmp_path / "run", steps=16, optimizer=optax.sgd(0.2))


def test_a_signal_during_the_last_step_ends_the_program_too(tmp_path, whole):
    def stop(step, state):
        if step == STEPS:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):
        run(tmp_path, callback=stop, callback_every=1)
    assert_same(run(tmp_path), whole[0])


def test_a_place_that_cannot_be_written_to_is_refused_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/run"):
        with pytest.raises(ValueError, match=f"checkpoint must be a folder, or one that can be made; got .*{place}"):
            run(tmp_path / place, checkpoint_every=STEPS)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="checkpoint must be a folder that can be written to"):
        run(tmp_path)


def test_divergence_names_the_last_good_checkpoint(tmp_path):
    def loss(key, model, params, x, cond):
        return jnp.mean(model(params, x, jnp.full(len(x), 0.5)), 1) / (count() < 5)

    calls = iter(range(1000))
    count = lambda: jax.pure_callback(lambda: np.float32(next(calls)), jax.ShapeDtypeStruct((), jnp.float32))  # noqa: E731
    with pytest.raises(FloatingPointError, match=rf"the last good checkpoint is {tmp_path}/3\."):
        run(tmp_path, loss=loss)


def test_weights_survive_a_safetensors_file_and_wrong_ones_are_refused(tmp_path, whole):
    params, path = whole[0].ema, tmp_path / "weights.safetensors"
    save_safetensors(params, path, {"made by": "a test"})
    like = jax.eval_shape(lambda: params)
    found = load_safetensors(path, like)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(params), strict=True))
    with pytest.raises(ValueError, match="'params/more' .* does not"):
        load_safetensors(path, {"params": {**params["params"], "more": jnp.ones(2)}})
    wider = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape, 2)), params)
    with pytest.raises(ValueError, match="must have shape"):
        load_safetensors(path, wider)
    with pytest.raises(ValueError, match="path must be a safetensors file"):
        load_safetensors(tmp_path / "none.safetensors", like)


def test_the_averaged_weights_of_a_folder_are_read_alone(tmp_path, whole):
    for ema, expected in ((True, whole[0].ema), (False, whole[0].params)):
        found = load_weights(whole[1], ema)
        assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True))
    with pytest.raises(ValueError, match="folder must hold a complete checkpoint"):
        load_weights(tmp_path / "none")
    assert not (tmp_path / "none").exists()
