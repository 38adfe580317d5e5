"""Checkpoints that were damaged after they were written, runs that meet in one folder, and disks that are full."""

import asyncio
import errno
import gc
import os
import resource
import shutil
import threading
import warnings

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.training import checkpoint
from tests.killed_run import run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without interruption, with the weights of its checkpoints 9 and 12."""
    folder = tmp_path_factory.mktemp("whole")
    state = run(folder, resume=False)
    before = tmp_path_factory.mktemp("before")
    shutil.copytree(folder / "9", before / "9")
    return state, folder, {9: leaves(before), 12: leaves(folder)}


def leaves(folder):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(js.training.load_denoiser(folder).params)]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def assert_same(a, b):
    for name in ("batches", "params", "ema", "opt_state"):
        assert same(jax.tree.leaves(getattr(a, name)), jax.tree.leaves(getattr(b, name))), name


def test_no_flipped_bit_of_a_checkpoint_gives_other_weights(tmp_path, whole):
    """Whatever the bit, the checkpoint before is used instead; so it was for each of 200 random ones."""
    shutil.copytree(whole[1], tmp_path / "run")
    files = sorted(path for path in (tmp_path / "run/12").rglob("*") if path.is_file())
    rng, silent = np.random.default_rng(0), []
    for path in files[::2]:
        content = path.read_bytes()
        bad = bytearray(content)
        place, bit = rng.integers(len(bad)), rng.integers(8)
        bad[place] ^= 1 << int(bit)
        path.write_bytes(bad)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            got = leaves(tmp_path / "run")
        told = any("12 is damaged" in str(w.message) for w in seen)
        if not same(got, whole[2][9 if told else 12]):
            silent.append((path.name, place, bit))
        path.write_bytes(content)
    assert not silent


def shortened(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def largest(place):
    return max(place.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)


DAMAGES = {
    "a truncated file": lambda place: shortened(largest(place)),
    "a missing item": lambda place: shutil.rmtree(place / "state"),
    "cut metadata": lambda place: shortened(place / "state" / "_METADATA"),
    "a damaged configuration": lambda place: (place / "config.json").write_text("{"),
    "damaged checksums": lambda place: shortened(place / "checksums.json"),
    "no checksums": lambda place: (place / "checksums.json").unlink(),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_checkpoint_before_a_damaged_one_is_used_with_a_warning_that_names_both(tmp_path, whole, name):
    folder = tmp_path / "run"
    shutil.copytree(whole[1], folder)
    DAMAGES[name](folder / "12")
    sentence = rf"{folder}/12 is damaged \(.*\); the one before, {folder}/9, is used instead\."
    with pytest.warns(UserWarning, match=sentence):
        assert same(leaves(folder), whole[2][9])
    with pytest.warns(UserWarning, match=sentence):
        assert_same(run(folder), whole[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert same(leaves(folder), whole[2][12])  # the damaged one has been replaced
    assert sorted(os.listdir(folder), key=int) == ["9", "12"]


def test_a_run_that_goes_back_removes_later_damaged_checkpoints_and_not_its_own(tmp_path, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole[1], folder)
    (folder / "12/config.json").unlink()

    def stop(step, state):
        if step == 11:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="12 is damaged"), pytest.raises(KeyboardInterrupt):
        run(folder, checkpoint_every=1, callback=stop, callback_every=1)
    assert sorted(os.listdir(folder), key=int) == ["10", "11"]
    assert_same(run(folder), whole[0])


def test_where_no_checkpoint_is_whole_a_sentence_names_what_to_remove(tmp_path, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole[1], folder)
    (folder / "9/checksums.json").unlink()
    (folder / "12/config.json").write_text("{}")
    for door, argument in ((run, "checkpoint"), (js.training.load_denoiser, "folder"), (leaves, "folder")):
        with pytest.raises(ValueError, match=f"^{argument} must hold a checkpoint that is whole;") as refused:
            door(folder)
        assert str(refused.value).endswith(
            f"; {folder}/12 is damaged (config.json has changed) and {folder}/9 is damaged (checksums.json is "
            "missing). Remove them to train from the start."
        )
    assert sorted(os.listdir(folder), key=int) == ["9", "12"]


def test_a_second_run_in_a_folder_or_on_a_metrics_file_gets_one_sentence(tmp_path, whole):
    pytest.importorskip("fcntl")
    errors, journal = [], tmp_path / "metrics.jsonl"

    def second(**options):
        try:
            run(**options)
        except ValueError as error:
            errors.append(str(error))

    def meet(step, state):
        for options in ({"folder": tmp_path / "run"}, {"folder": tmp_path / "other", "metrics_file": journal}):
            thread = threading.Thread(target=second, kwargs=options)
            thread.start()
            thread.join()

    options = {"metrics_file": journal, "report_every": 2}
    assert_same(run(tmp_path / "run", callback=meet, callback_every=8, **options), whole[0])
    assert sorted(set(errors)) == [
        f"checkpoint must be a folder that no other run is writing to; another run is training in {tmp_path / 'run'}.",
        f"metrics_file must be a file that no other run is writing to; got {journal}.",
    ]
    assert len(errors) == 4
    assert [entry["step"] for entry in js.training.journal.read(journal)] == [2, 4, 6, 8, 10, 12]
    assert_same(run(tmp_path / "other", **options), whole[0])  # nobody holds them any more


@pytest.fixture
def full():
    """A function after which no file can become larger than so many bytes, as on a disk that is full."""
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("what", ["checkpoint", "metrics_file"])
def test_a_full_disk_is_an_error_that_names_the_file_and_the_run_can_go_on(tmp_path, whole, full, what):
    journal, folder = tmp_path / "metrics.jsonl", tmp_path / "run"
    place = {"checkpoint": folder / "6", "metrics_file": journal}[what]
    options = {"metrics_file": journal, "report_every": 2 if what == "metrics_file" else 4}

    def fill(step, state):
        if step == 5:
            full(journal.stat().st_size + 9)

    with pytest.raises(OSError) as stopped:
        run(folder, callback=fill, callback_every=1, **options)
    full(resource.RLIM_INFINITY)
    assert stopped.value.errno == errno.EFBIG and stopped.value.filename == str(place)
    assert os.listdir(folder) == ["3"]
    assert_same(run(folder, **options), whole[0])
    every = options["report_every"]
    assert [entry["step"] for entry in js.training.journal.read(journal)] == list(range(every, 13, every))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["orbax", "other"])
def test_writers_of_orbax_left_alone_do_not_print_their_errors_later(caplog, name):
    """They did when Python collected them: a traceback below the one sentence of a full disk."""
    with checkpoint._quiet():  # as around each save
        pass
    loop, namespace = asyncio.new_event_loop(), {}
    exec(compile("async def write(): raise OSError('File too large')", f"/packages/{name}/write.py", "exec"), namespace)
    task = loop.create_task(namespace["write"]())
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    caplog.clear()
    del task
    gc.collect()
    assert [record.name for record in caplog.records] == ["asyncio"] * (name == "other")


def test_a_damaged_line_of_a_journal_ends_it(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for line in (b"\xff\xfe\n", b"3\n", b"{}\n", b'{"step": 2}'):
        path.write_bytes(b'{"step": 1}\n' + line)
        assert js.training.journal.read(path) == [{"step": 1}]
        js.training.journal.Journal(path, 2).write({"step": 3})
        assert js.training.journal.read(path) == [{"step": 1}, {"step": 3}]
