"""Samples in shards: the rows of one run, the same bytes whatever happens on the way, and never more than two held."""

import json
import os
import time
import weakref
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import cli
from jaxsamp.cli import sample as command_of
from jaxsamp.running.shards import doors, files, ledger, record, stream

N, SIZE, SHARDS = 40, 16, 3  # the last shard has eight samples
DENOISER = js.targets.ring().denoiser(js.schedules.VariancePreserving())


def job(folder, seed=0, denoiser=DENOISER, **changes):
    options = {"steps": 2, "shard_size": SIZE, "settings": {"seed": seed}} | changes
    return js.sample_shards(folder, jax.random.key(seed), denoiser, (N, 2), **options)


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.fixture(scope="module", autouse=True)
def quick_disk():
    """No test ends with a crash of the machine, so none waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A job that nothing interrupts."""
    return job(tmp_path_factory.mktemp("jobs") / "whole")


def test_shards_are_the_rows_of_one_run_and_the_manifest_tells_what_they_are(whole):
    drawn = js.sample(jax.random.key(0), DENOISER, (N, 2), steps=2).x
    assert whole.complete and whole.missing == [] and len(whole) == N and whole.shape == (N, 2)
    np.testing.assert_allclose(whole[:], drawn, atol=1e-5)
    assert [len(part) for part in whole] == [16, 16, 8]
    for a, b in ((0, 1), (15, 17), (10, 39), (32, 99), (7, 7), (-3, None)):
        np.testing.assert_array_equal(whole[a:b], whole[:][a:b])
    assert sorted(content(whole.folder)) == ["manifest.json", *(record.name(shard) for shard in range(SHARDS))]
    told = whole.manifest
    assert (told["samples"], told["event"], told["dtype"], told["shard_size"]) == (N, [2], "float32", SIZE)
    assert told["key"]["data"] == [0, 0] and told["settings"]["steps"] == 2 and told["settings"]["seed"] == 0
    assert told["settings"]["levels"][0] == 80 and told["settings"]["devices"] == {"kind": "cpu", "batch": 1, "time": 1}
    assert [(entry["first"], entry["count"]) for entry in told["shards"]] == [(0, 16), (16, 16), (32, 8)]
    assert told["costs"] == {
        "evaluations": 3, "evaluations_most": 3, "rounds": 3, "rounds_most": 3, "converged": N
    }  # fmt: skip
    with pytest.raises(TypeError, match=r"shards\[a:b\]; got shards\[3\]"):
        whole[3]
    with pytest.raises(ValueError, match=r"at most 2\^32 samples"):
        js.sample_shards(whole.folder, jax.random.key(0), DENOISER, (2**32 + 1, 2))
    with pytest.raises(ValueError, match="must hold samples in shards"):
        js.Shards(whole.folder.parent)


def test_a_job_warns_once_and_not_once_per_shard(tmp_path):
    """The curvature of the second warning is another number in each shard."""
    far = js.targets.GaussianMixture.spherical([1.0], [[300.0, 0.0]], 1.0).denoiser(DENOISER.schedule)
    with pytest.warns(UserWarning, match="grid must start where noise drowns the data") as caught:
        assert job(tmp_path / "far", denoiser=far).complete
    assert len(caught) == 1
    target, long = js.targets.from_log_density(lambda x: -(x**4).sum() / 4, (2,)), js.mcmc.Underdamped(2.0)
    options = {"steps": 1, "warmup": 0, "shard_size": SIZE}
    with pytest.warns(UserWarning, match="step_size must be smaller") as caught:
        assert js.sample_density_shards(tmp_path / "long", jax.random.key(0), target, (N, 2), long, **options).complete
    assert len(caught) == 1


class Crash(BaseException):
    pass


def crash(patch, at):
    """The process ends at the `at`-th of the calls after which a file may be seen or lost; True once it has."""
    calls, crashed = iter(range(10**6)), []

    def failing(function, midway=None):
        def call(*args, **kwargs):
            if next(calls) == at:
                crashed.append(True)
                if midway is not None:
                    midway(*args)
                raise Crash
            return function(*args, **kwargs)

        return call

    patch.setattr(os, "replace", failing(os.replace))
    patch.setattr(os, "fsync", failing(os.fsync))
    patch.setattr(np, "savez", failing(np.savez, lambda file: (file.write(b"PK half a file"), file.flush())))
    return crashed


def test_a_job_that_ends_anywhere_goes_on_to_the_same_bytes(tmp_path, whole):
    """At every call at which it could: in the middle of a file, before and after it is on disk and renamed."""
    expected, ended = content(whole.folder), 0
    for at in range(100):
        folder = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            crashed = crash(patch, at)
            try:
                job(folder)
            except Crash:
                pass
        if not crashed:
            break
        ended += 1
        for name, stored in content(folder).items():  # what has its name is whole
            assert stored == expected.get(name, stored)
        job(folder)
        assert content(folder) == expected, at
    assert 15 < ended < 100


def test_what_is_damaged_is_drawn_again(tmp_path, whole, monkeypatch):
    expected = content(whole.folder)
    with monkeypatch.context() as patch:
        patch.setattr(ledger.Ledger, "finish", lambda *_: None)  # as if killed at the end
        job(tmp_path)
    half = js.Shards(tmp_path)
    assert not half.complete and half.missing == [] and len(half.manifest["shards"]) == SHARDS
    (tmp_path / record.name(1)).write_bytes(expected[record.name(1)][:-1] + b"!")
    with pytest.raises(ValueError, match="shard-000001.npz must have the checksum .* remove it"):
        half.verify()
    (tmp_path / record.name(2)).unlink()
    (tmp_path / f".{record.name(2)}.tmp-3").touch()  # of a process that is no more
    with pytest.raises(ValueError, match="must hold all its shards; shard-000002.npz are missing"):
        half.verify()
    journal = tmp_path / "done-0.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])  # its last line was cut off
    drawn = []
    monkeypatch.setattr(doors, "sample", lambda *a, **k: drawn.append(k["first"]) or js.sample(*a, **k))
    job(tmp_path)
    assert drawn == [16, 32] and content(tmp_path) == expected


def test_a_finished_job_is_left_alone_but_for_a_file_that_is_gone(tmp_path, whole, monkeypatch):
    job(tmp_path)
    expected, drawn = content(tmp_path), []
    monkeypatch.setattr(doors, "sample", lambda *a, **k: drawn.append(k["first"]) or js.sample(*a, **k))
    assert job(tmp_path).complete and drawn == []
    (tmp_path / record.name(2)).unlink()
    assert not js.Shards(tmp_path).complete
    assert job(tmp_path).complete and drawn == [32] and content(tmp_path) == expected


def test_two_processes_make_the_folder_of_one(tmp_path, whole):
    first = job(tmp_path, process=(1, 2))
    assert not first.complete and first.missing == [record.name(0), record.name(2)]
    np.testing.assert_array_equal(first[16:32], whole[16:32])
    with pytest.raises(ValueError, match="shard-000000.npz are missing"):
        first[:]
    assert job(tmp_path, process=(0, 2)).complete
    assert content(tmp_path) == content(whole.folder)
    with pytest.raises(ValueError, match="an index below the count"):
        job(tmp_path, process=(2, 2))


def test_a_shard_of_another_process_is_read_again_before_the_manifest_vouches_for_it(tmp_path, whole):
    job(tmp_path, process=(1, 2))
    damaged = tmp_path / record.name(1)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    assert not job(tmp_path, process=(0, 2)).complete and not (tmp_path / record.MANIFEST).exists()
    assert job(tmp_path).complete and content(tmp_path) == content(whole.folder)


def test_a_folder_of_other_settings_is_refused_by_what_differs(tmp_path, whole):
    for changes, sentence in (
        ({"seed": 1}, r"seed is 0 there and 1 here; key.data\[1\] is 0 there and 1 here\. Give the same"),
        ({"steps": 3}, "steps is 2 there and 3 here; levels is"),
        ({"shard_size": 8}, "settings: shard_size is 16 there and 8 here. Give"),
        ({"final_denoise": False}, "settings: final_denoise is True there and False here. Give"),
        ({"microbatch": 4}, "settings: microbatch is None there and 4 here. Give"),
        ({"sampler": js.samplers.UniPC(order=3)}, "settings: sampler.order is 2 there and 3 here. Give"),
        ({"transform": jnp.abs}, "settings: transform is None there and 'abs' here. Give"),
        (
            {"denoiser": js.targets.ring(3).denoiser(DENOISER.schedule)},
            r"settings: denoiser\.target\.mixture\[0\]\.shape\[0\] is 8 there and 3 here",
        ),
    ):
        with pytest.raises(js.running.shards.OtherSettings, match=sentence):
            job(whole.folder, **changes)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        crash(patch, 10)
        job(tmp_path)
    with pytest.raises(js.running.shards.OtherSettings, match="seed is 0 there"):  # of an unfinished job too
        job(tmp_path, 1)
    (tmp_path / record.RUN).unlink()
    with pytest.raises(js.running.shards.OtherSettings, match="holds shards without their manifest.json"):
        job(tmp_path)
    js.running.shards.clear(tmp_path)
    assert content(tmp_path) == {}


def test_a_job_that_fails_over_its_first_shard_can_be_given_other_settings(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(doors, "sample", fail)
        job(tmp_path)
    assert content(tmp_path) == {} and job(tmp_path, 1).complete


def test_another_run_that_writes_to_the_folder_is_noticed(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "done-0.jsonl").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="must not be written to by another run"):
            job(tmp_path)


def test_never_more_than_two_shards_are_held(tmp_path, monkeypatch):
    """However slow the disk is: a third is not begun before the first is written."""
    held, most = [], []

    def counted(*args, **options):
        most.append(sum(one() is not None for one in held))  # besides the one that begins
        drawn = js.sample(*args, **options)
        held.append(weakref.ref(drawn.x))
        return drawn

    def slow(*given, write=files.write_shard):
        time.sleep(0.05)
        return write(*given)

    monkeypatch.setattr(doors, "sample", counted)
    monkeypatch.setattr(files, "write_shard", slow)
    job(tmp_path)
    assert len(held) == SHARDS and max(most) == 1


def test_conditions_and_a_transform_belong_to_their_samples(tmp_path):
    """The denoiser is its condition, so each sample tells which one it was given."""
    denoiser = js.denoiser(lambda params, x, t, cond: 0 * x + cond[:, None], None, DENOISER.schedule, prediction="x0")
    labels = np.arange(N, dtype=np.float32)
    found = js.sample_shards(
        tmp_path, jax.random.key(0), denoiser, (N, 2), steps=1, cond=labels, shard_size=SIZE,
        transform=lambda x: jnp.round(x[:, 0]).astype(jnp.uint8),
    )  # fmt: skip
    assert found.shape == (N,) and found.dtype == np.uint8
    np.testing.assert_array_equal(found[:], labels)
    with pytest.raises(ValueError, match=r"transform must keep the number of samples, 16; got the shape \(\)"):
        job(tmp_path, transform=jnp.sum)


def test_shards_of_a_dtype_that_numpy_cannot_name_are_read_as_written(tmp_path):
    found = job(tmp_path, transform=lambda x: x.astype(jnp.bfloat16))
    drawn = js.sample(jax.random.key(0), DENOISER, (N, 2), steps=2).x
    assert found.dtype == found[:].dtype == jnp.bfloat16
    np.testing.assert_allclose(found[:].astype(np.float32), drawn, rtol=2**-8)


def test_the_default_size_fits_the_samples():
    assert stream.default_size((64,)) == 16_384 and stream.default_size((32, 32, 3)) == 16_384
    assert stream.default_size((256, 256, 3)) == 256 and stream.default_size((2**15, 2**15)) == 1


def test_every_file_of_a_manifest_is_named_by_its_bytes(whole):
    for entry in json.loads((whole.folder / record.MANIFEST).read_text())["shards"]:
        assert files.checksum(whole.folder / entry["file"]) == entry["sha256"]


# ---- the command line

MANY = ("--target", "ring", "--num-samples", "12", "--steps", "4", "--no-metrics")
SPLIT = (*MANY, "--shard-size", "5", "--out", "many")
FILES = ["manifest.json", "report.json", "samples.png", *(record.name(shard) for shard in range(3))]


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs `jaxsamp sample` in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_of.recipes, "beside_truth", lambda *_: None)  # drawn in the tests of the command line
    monkeypatch.setattr(command_of.plots, "save", lambda _, path: path.touch())
    return lambda *argv: (cli.main(["sample", *argv]), *capsys.readouterr())


def test_many_samples_are_streamed_and_the_same_command_goes_on(command, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(doors, "sample", stop)
        code, _, err = command(*SPLIT)
    assert (code, err) == (130, "jaxsamp: stopped by Ctrl-C before the first shard was written; nothing was kept.\n")
    assert not Path("many").exists()
    with monkeypatch.context() as patch:
        patch.setattr(command_of.Sample, "reported", stop)
        code, _, err = command(*SPLIT)
    assert (code, err) == (
        130, "jaxsamp: stopped by Ctrl-C; 3 of 3 shards are in many. Run the same command again to continue.\n"
    )  # fmt: skip
    code, out, err = command(*SPLIT)
    assert (code, err) == (0, "") and "12 samples by unipc in 4 steps, 4 evaluations and 4 rounds each" in out
    assert sorted(content("many")) == FILES
    js.Shards("many").verify()
    facts = json.loads(Path("many/report.json").read_text())
    assert facts["compared"] == 12 and facts["settings"]["shard_size"] == 5
    assert command(*SPLIT) == (0, "many is complete: 12 samples in 3 shards.\n", "")


def test_a_report_is_there_only_after_all_that_it_reports(command, monkeypatch):
    with monkeypatch.context() as patch:
        moved, replace = [], os.replace

        def one(source, to):
            if Path(to).suffix in (".png", ".json") and Path(to).parent == Path("many"):
                moved.append(Path(to).name)
                if len(moved) > 1:
                    raise KeyboardInterrupt
            replace(source, to)

        patch.setattr(os, "replace", one)
        command(*SPLIT)
    assert moved[0] != "report.json" and not Path("many/report.json").exists()
    assert command(*SPLIT)[0] == 0 and sorted(content("many")) == FILES


def test_shards_are_not_written_over_other_results_nor_others_over_them(command):
    assert command(*SPLIT)[0] == 0
    before = content("many")
    code, _, err = command(*SPLIT, "--seed", "1")
    assert code == 2 and err.count("\n") == 1 and "--force removes them" in err
    assert err.startswith("jaxsamp: --out: many holds samples of other settings: seed is 0 there and 1 here;")
    code, _, err = command(*MANY, "--out", "many")
    assert code == 2 and "--out must be a folder without earlier results" in err
    assert content("many") == before
    shards = js.Shards("many")[:]
    assert command(*SPLIT, "--seed", "1", "--force")[0] == 0
    assert sorted(content("many")) == FILES and content("many")["manifest.json"] != before["manifest.json"]
    assert command(*MANY, "--out", "many", "--force")[0] == 0
    assert sorted(content("many")) == ["report.json", "samples.npz", "samples.png"]
    with np.load("many/samples.npz") as stored:
        np.testing.assert_allclose(shards, stored["samples"], atol=1e-5)
    code, _, err = command(*SPLIT)
    assert code == 2 and err.endswith("many holds samples.npz.\n")
    assert command(*SPLIT, "--force")[0] == 0 and sorted(content("many")) == FILES
    assert command(*MANY, "--shard-size", "-1")[2] == "jaxsamp: --shard-size must be at least 0; got -1.\n"
