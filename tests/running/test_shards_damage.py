"""Folders of shards that several runs, a full disk, a stranger or a flipped bit have been at."""

import errno
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

import jaxsamp as js
from jaxsamp import cli
from jaxsamp.cli import sample as command_of
from jaxsamp.running import shards
from jaxsamp.running.shards import doors, files, ledger, record

DENOISER = js.targets.ring().denoiser(js.schedules.VariancePreserving())
NAMES = [f"shard-{number:06d}.npz" for number in range(3)]


@pytest.fixture(scope="module", autouse=True)
def quick_disk():
    """No test ends with a crash of the machine, so none waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def drawn(monkeypatch):
    """The numbers of the first samples of all shards that are drawn."""
    numbers = []
    monkeypatch.setattr(doors, "sample", lambda *a, **k: numbers.append(k["first"]) or js.sample(*a, **k))
    return numbers


def job(folder, n=10, shard_size=4, **options):
    return js.sample_shards(
        folder, jax.random.key(0), DENOISER, (n, 2), steps=2, shard_size=shard_size, **options
    )  # fmt: skip


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def unfinished(folder, **options):
    """A job of which all shards are there, as if it was killed before it could finish."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.Ledger, "finish", lambda *_: None)
        return job(folder, **options)


def flip(path, place=-60):
    """Flip one bit."""
    stored = bytearray(path.read_bytes())
    stored[place] ^= 1
    path.write_bytes(stored)


# ---- several runs at once


def test_equal_jobs_at_once_in_one_folder_are_refused_before_they_write(tmp_path, monkeypatch):
    """Others begin before the first one draws, and whenever it renames a file; they neither write nor remove one."""
    tried, replace = [], os.replace

    def others():
        before = content(tmp_path)
        with pytest.raises(ValueError, match="folder must not be written to by another run; .* is"):
            job(tmp_path)
        tried.append(content(tmp_path) == before)

    def drawing(*args, **options):
        if options["first"] == 0:
            others()
        return js.sample(*args, **options)

    def replacing(*paths):
        others()
        replace(*paths)

    monkeypatch.setattr(doors, "sample", drawing)
    monkeypatch.setattr(os, "replace", replacing)
    assert job(tmp_path).complete
    assert tried == [True] * 6  # the first shard drawn, run.json, three shards, manifest.json
    shards.Shards(tmp_path).verify()


def test_who_finishes_leaves_the_files_of_a_process_that_has_only_stopped(tmp_path, monkeypatch):
    """Process 1 stands still before it renames a shard; alone, process 0 draws all of them, and ends."""
    replace = os.replace

    def stopped(source, target):
        if Path(target).name == NAMES[1] and Path(source).name.endswith("tmp-1"):
            assert job(tmp_path).complete
            assert {f".{NAMES[1]}.tmp-1", "done-1.jsonl", "manifest.json"} <= content(tmp_path).keys()
        replace(source, target)

    monkeypatch.setattr(os, "replace", stopped)
    assert job(tmp_path, process=(1, 2)).complete
    assert sorted(content(tmp_path)) == ["manifest.json", *NAMES]  # process 1 has removed its own
    shards.Shards(tmp_path).verify()


def test_what_a_dead_process_has_left_is_removed_at_the_end(tmp_path):
    job(tmp_path, process=(1, 2))
    (tmp_path / f".{NAMES[2]}.tmp-7").touch()
    (tmp_path / "done-7.jsonl").touch()
    assert job(tmp_path).complete and sorted(content(tmp_path)) == ["manifest.json", *NAMES]


def test_two_jobs_that_begin_together_do_not_become_one(tmp_path, monkeypatch):
    """The first one writes what it is and its shard when the second one has made its checks, and is written over."""

    def with_seed(seed, index):
        key = jax.random.key(seed)
        return js.sample_shards(tmp_path, key, DENOISER, (8, 2), steps=2, shard_size=4, process=(index, 2))

    write = files.write_json
    with monkeypatch.context() as patch:

        def late(path, *more):
            patch.setattr(files, "write_json", write)
            assert not with_seed(0, 0).complete
            write(path, *more)

        patch.setattr(files, "write_json", late)
        assert with_seed(1, 1).missing == NAMES[:1]
    with pytest.raises(shards.OtherSettings, match="key.data"):
        with_seed(0, 0)
    found = with_seed(1, 0)
    found.verify()
    np.testing.assert_array_equal(found[:], js.sample(jax.random.key(1), DENOISER, (8, 2), steps=2).x)


def test_a_process_without_shards_need_not_wait_for_the_others(tmp_path):
    found = job(tmp_path, n=4, process=(1, 2))
    assert not found.complete and found.missing == NAMES[:1] and not content(tmp_path)
    assert job(tmp_path, n=4, process=(0, 2)).complete and job(tmp_path, n=4, process=(1, 2)).complete


# ---- a full disk


def test_a_full_disk_is_said_with_the_name_of_the_file_and_leaves_no_part_of_one(tmp_path, monkeypatch):
    def full(file, **_):
        file.write(b"PK half a file")
        raise OSError(errno.ENOSPC, "No space left on device")

    job(tmp_path, process=(1, 2))
    before = content(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device") as error:
        patch.setattr(np, "savez", full)
        job(tmp_path)
    assert error.value.filename == str(tmp_path / NAMES[0])
    assert content(tmp_path) == before
    assert job(tmp_path).complete


# ---- what belongs to others


def test_clear_removes_only_what_a_record_of_the_job_names(tmp_path):
    theirs = {
        "shard-of-mine.npz": b"1", "shard-000009.npz": b"2", "done-by-me.jsonl": b"3", ".shard-x.npz.tmp-y": b"4",
        "notes.txt": b"5", "done-7.jsonl": b'{"my": "notes"}', "done-8.jsonl": b"notes\n",
    }  # fmt: skip
    for make in (job, unfinished):
        for name, stored in theirs.items():
            (tmp_path / name).write_bytes(stored)
        (tmp_path / "shard-000009.npz").unlink()
        make(tmp_path)
        (tmp_path / "shard-000009.npz").write_bytes(b"2")
        shards.clear(tmp_path)
        assert content(tmp_path) == theirs
    (tmp_path / "run.json").write_text('{"mine": true}')
    (tmp_path / "manifest.json").write_text('{"name": "an app"}')
    shards.clear(tmp_path), shards.clear(tmp_path / "nowhere")
    assert content(tmp_path).keys() == theirs.keys() | {"run.json", "manifest.json"}


def test_a_job_does_not_write_over_files_of_somebody_else(tmp_path):
    foreign = {"run.json": '{"mine": true}', "manifest.json": "[]", NAMES[0]: "mine", "done-0.jsonl": "my notes"}
    for name, stored in foreign.items():
        (tmp_path / name).write_text(stored)
        with pytest.raises(ValueError, match=f"^folder must .*{name}"):
            job(tmp_path)
        assert content(tmp_path) == {name: stored.encode()}
        (tmp_path / name).unlink()


def test_clear_removes_nothing_under_a_process_that_writes(tmp_path, monkeypatch):
    replace = os.replace

    def replacing(source, target):
        before = content(tmp_path)
        with pytest.raises(ValueError, match="must not be written to by another run"):
            shards.clear(tmp_path)
        assert content(tmp_path) == before
        replace(source, target)

    job(tmp_path, process=(1, 2))
    monkeypatch.setattr(os, "replace", replacing)
    assert job(tmp_path).complete


# ---- damage


def test_a_finished_folder_with_a_flipped_bit_is_not_whole_and_the_same_job_repairs_it(tmp_path, drawn):
    job(tmp_path)
    before = content(tmp_path)
    flip(tmp_path / NAMES[1])
    damaged = shards.Shards(tmp_path)
    assert [*damaged.damaged()] == [NAMES[1]]
    np.testing.assert_array_equal(damaged[:4], js.Shards(tmp_path)[:4])  # the others can be read
    for read in (damaged.verify, lambda: damaged[5:6], lambda: [*damaged]):
        with pytest.raises(shards.Damaged, match=f"{NAMES[1]} must have the checksum .* run the same job again"):
            read()
    drawn.clear()
    assert job(tmp_path).complete and drawn == [4] and content(tmp_path) == before


def test_a_repair_that_gives_other_bytes_leaves_what_is_there(tmp_path, monkeypatch):
    job(tmp_path)
    flip(tmp_path / NAMES[1])
    before = content(tmp_path)
    monkeypatch.setattr(doors, "sample", lambda *a, **k: (s := js.sample(*a, **k))._replace(x=s.x + 1))
    with pytest.raises(ValueError, match=f"{NAMES[1]} is damaged or missing, and was not drawn again with the bytes"):
        job(tmp_path)
    assert {name: stored for name, stored in content(tmp_path).items() if "done" not in name} == before


@pytest.mark.parametrize("damage", ["not JSON", "bytes", "a flipped digit", "another shape", "other fields"])
def test_shards_whose_lines_in_the_journal_are_damaged_are_drawn_again(tmp_path, drawn, damage):
    job(tmp_path / "whole")
    unfinished(tmp_path / "half")
    path = tmp_path / "half" / "done-0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[1])
    lines[1] = {
        "not JSON": b"{]\n",
        "bytes": b"\xff\x00\n",
        "a flipped digit": lines[1].replace(b'"rounds": ', b'"rounds": 1'),
        "another shape": b"[1, 2]\n",
        "other fields": files.line({"file": NAMES[1], "first": "4", "sha256": entry["sha256"]}),
    }[damage]
    path.write_bytes(b"".join(lines))
    drawn.clear()
    assert shards.Shards(tmp_path / "half").missing == [NAMES[1]]
    assert job(tmp_path / "half").complete and drawn == [4]
    assert content(tmp_path / "half") == content(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["manifest.json", "run.json"])
@pytest.mark.parametrize("damage", [b"", b"{]", b"\xff\xfe", b"[]", b'{"samples": 10}', "cut", "a flipped digit"])
def test_a_damaged_record_is_one_sentence(tmp_path, kind, damage):
    (job if kind == "manifest.json" else unfinished)(tmp_path)
    path = tmp_path / kind
    stored = path.read_bytes()
    changed = {"cut": stored[:-20], "a flipped digit": stored.replace(b'"samples": 10', b'"samples": 11')}
    path.write_bytes(damage if isinstance(damage, bytes) else changed[damage])
    before = content(tmp_path)
    for call in (lambda: shards.Shards(tmp_path), lambda: job(tmp_path)):
        with pytest.raises(
            shards.Damaged, match=rf"^folder must [^\n]*{kind} is damaged, or of something else \([^\n]*$"
        ):
            call()
    assert content(tmp_path) == before


# ---- long jobs


def rewritten(folder, **changes):
    """The manifest of a job with other fields, as a program could write it."""
    stored = files.opened((folder / record.MANIFEST).read_bytes()) | changes
    files.write_json(folder / record.MANIFEST, stored, "tmp-0")


def test_a_manifest_claims_no_more_shards_than_it_lists(tmp_path):
    job(tmp_path)
    for samples in (14, 10**10, -1, 2.5, None):
        rewritten(tmp_path, samples=samples)
        with pytest.raises(shards.Damaged, match="manifest.json is damaged"):
            shards.Shards(tmp_path)


def test_an_unfinished_job_of_many_samples_is_refused_at_its_first_missing_shard(tmp_path, monkeypatch):
    job(tmp_path, n=2**31, shard_size=4, process=(2**29 - 1, 2**29))  # the last shard alone
    read, named = shards.Shards(tmp_path), []
    monkeypatch.setattr(record, "name", lambda number, name=record.name: named.append(number) or name(number))
    with pytest.raises(ValueError, match="shard-000000.npz are missing"):
        read[:]
    assert len(named) < 5


def test_the_work_of_reading_is_linear_in_the_number_of_shards(tmp_path, monkeypatch):
    """Of each shard the reader asks the file system once, whatever their number."""
    calls = []
    for name in ("exists", "open", "stat", "iterdir"):
        plain = getattr(Path, name)
        monkeypatch.setattr(Path, name, lambda *a, plain=plain, **k: calls.append(plain) or plain(*a, **k))
    for count in (8, 32):
        job(tmp_path / str(count), n=count, shard_size=1)
        read = shards.Shards(tmp_path / str(count))
        for whole in (lambda: list(read), lambda: read[:]):  # noqa: B023
            calls.clear()
            assert len(whole()) == count and len(calls) == count


# ---- the command line

MANY = ("sample", "--target", "ring", "--num-samples", "12", "--steps", "4", "--no-metrics", "--out", "many")
SPLIT = (*MANY, "--shard-size", "5")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs `jaxsamp` in a folder of its own, without drawing pictures: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_of.recipes, "beside_truth", lambda *_: Figure())
    return lambda *argv: (cli.main(argv), *capsys.readouterr())


@pytest.fixture
def full(monkeypatch):
    """A function after which no file can become larger than so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def filling(write, full):
    """`write`, on a disk that is full while it runs."""

    def limited(*args, **options):
        full(20)
        try:
            return write(*args, **options)
        finally:
            full(-1)

    return limited


@pytest.mark.parametrize("file", ["samples.npz", "samples.png", "report.json"])
def test_a_full_disk_ends_one_file_of_samples_in_one_sentence_and_writes_nothing(command, monkeypatch, full, file):
    places = {"samples.npz": (np, "savez"), "samples.png": (Figure, "savefig"), "report.json": (Path, "write_text")}
    with monkeypatch.context() as patch:
        patch.setattr(*places[file], filling(getattr(*places[file]), full))
        assert command(*MANY) == (2, "", f"jaxsamp: many/{file}: File too large.\n")
    assert not Path("many").exists()
    assert command(*MANY)[0] == 0 and sorted(content("many")) == ["report.json", "samples.npz", "samples.png"]


def test_a_full_disk_ends_shards_in_one_sentence_and_the_same_command_goes_on(command, monkeypatch, full):
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", filling(np.savez, full))
        assert command(*SPLIT) == (2, "", f"jaxsamp: many/{NAMES[0]}: File too large.\n")
    assert content("many").keys() == {"run.json"}
    assert command(*SPLIT)[0] == 0


def test_force_removes_no_file_of_somebody_else(command):
    Path("many").mkdir()
    theirs = {"shard-of-mine.npz": b"1", "shard-000009.npz": b"2", "run.json": b"{}", "notes.txt": b"3"}
    for name, stored in theirs.items():
        (Path("many") / name).write_bytes(stored)
    (Path("many") / "labels.npy").touch()  # of a job of this command
    assert command(*MANY, "--force")[0] == 0
    assert theirs.items() <= content("many").items() and not Path("many/labels.npy").exists()
    code, _, err = command(*SPLIT, "--force")
    assert code == 2 and err.startswith("jaxsamp: --out must hold nothing else than samples in shards under the names")
    assert theirs.items() <= content("many").items()
    for name in ("run.json", "shard-000009.npz"):
        (Path("many") / name).unlink()
    assert command(*SPLIT, "--force")[0] == 0 and command(*SPLIT, "--seed", "1", "--force")[0] == 0
    assert content("many").keys() >= {"shard-of-mine.npz", "notes.txt", *NAMES}
    assert command(*MANY, "--force")[0] == 0
    assert content("many").keys() == {"shard-of-mine.npz", "notes.txt", "samples.npz", "samples.png", "report.json"}


def test_verify_names_what_is_damaged_and_the_sampling_command_repairs_it(command):
    assert command(*SPLIT)[0] == 0
    before = {name: stored for name, stored in content("many").items() if name in ("manifest.json", *NAMES)}
    assert command("verify", "many") == (0, "many: 3 shards with 12 samples are as they were written.\n", "")
    flip(Path("many") / NAMES[2])
    (Path("many") / NAMES[0]).unlink()
    assert command("verify", "many") == (
        1, f"{NAMES[0]} is missing\n{NAMES[2]} is damaged\n", "jaxsamp: 2 of 3 shards in many are damaged or missing. "
        "Run the command that drew them again to draw these anew.\n",
    )  # fmt: skip
    assert command(*SPLIT) == (0, "many is complete: 12 samples in 3 shards.\n", "")
    assert before.items() <= content("many").items() and command("verify", "many")[0] == 0
    flip(Path("many/manifest.json"))
    for words, expected in ((("verify", "many"), 1), (SPLIT, 2)):
        code, out, err = command(*words)
        assert (code, out, err.count("\n")) == (expected, "", 1) and "manifest.json is damaged, or of something" in err
    code, _, err = command("verify", ".")
    assert code == 2 and err == "jaxsamp: FOLDER must hold samples in shards, with a manifest.json; got ..\n"
