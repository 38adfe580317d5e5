"""Several processes as one program, on one machine."""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.cli import main
from jaxsamp.devices import hosts
from tests.two_processes import free_port

ROOT = Path(__file__).parents[2]


def started(job, count=2):
    """Processes that find each other at a free port."""
    command = [sys.executable, "-m", "tests.two_processes", str(free_port()), str(count)]
    return [
        subprocess.Popen(
            [*command, str(index), job], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for index in range(count)
    ]


def shared(out, port, index, count=2, samples=2000):
    """`jaxsamp sample` as one of several processes."""
    words = ["sample", "--target", "ring", "--num-samples", str(samples), "--shard-size", "250", "--steps", "6"]
    words += ["--no-metrics", "--out", str(out)]
    if count > 1:
        words += ["--coordinator", f"127.0.0.1:{port}", "--num-processes", str(count), "--process-id", str(index)]
    command = [sys.executable, "-c", "import sys, jaxsamp.cli as c; sys.exit(c.main(sys.argv[1:]))", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def bytes_of(folder):
    """The files of a finished job, but for its picture and report."""
    return {path.name: path.read_bytes() for path in [*folder.glob("shard-*"), folder / "manifest.json"]}


@pytest.mark.slow
def test_two_processes_write_the_shards_of_one_and_a_job_survives_the_death_of_one(tmp_path):
    alone = shared(tmp_path / "alone", None, 0, count=1)
    assert alone.wait(300) == 0, alone.stderr.read()
    port = free_port()
    both = [shared(tmp_path / "both", port, index) for index in range(2)]
    for process in both:
        assert process.wait(300) == 0, process.stderr.read()
    assert bytes_of(tmp_path / "both") == bytes_of(tmp_path / "alone")

    port, long = free_port(), tmp_path / "long"
    both = [shared(long, port, index, samples=500_000) for index in range(2)]
    while not list(long.glob("shard-*")):
        assert all(process.poll() is None for process in both)
        time.sleep(0.05)
    both[1].kill()
    _, error = both[0].communicate(timeout=300)
    assert both[0].returncode != 0 and "another task died" in error
    kept = {path.name: path.stat().st_mtime_ns for path in long.glob("shard-*")}
    again = shared(long, None, 0, count=1, samples=500_000)
    assert again.wait(600) == 0, again.stderr.read()
    after = {path.name: path.stat().st_mtime_ns for path in long.glob("shard-*")}
    assert kept and kept.items() < after.items() and len(after) == 2000
    js.Shards(long).verify()


@pytest.mark.slow
def test_where_nothing_tells_who_the_others_are_it_is_said():
    code = "import jaxsamp; jaxsamp.initialize_distributed('10.0.0.1:80', None, 0)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "must all be given where there is no SLURM" in run.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num-processes", "2"], "--num-processes is for processes that share a job, so --coordinator is needed too"),
        (["--coordinator", "here", "--num-processes", "2", "--process-id", "0"], "coordinator must be host:port"),
    ],
)
def test_the_command_says_what_is_wrong_with_its_processes(words, message, capsys):
    assert main(["sample", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_draw_the_samples_of_one():
    for process in started("sample"):
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0 and "equal" in out, error


@pytest.mark.slow
def test_processes_that_call_with_different_arguments_are_refused():
    for process in started("differ"):
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0 and (out.count("refused"), out.count("agreed")) == (4, 1), error


def test_arguments_that_differ_between_processes_are_named(monkeypatch):
    other = {"key": jax.random.key(1), "sampler": js.samplers.Heun(churn=1.0), "one": partial(max, 1), "x": np.ones(3)}
    mine = {"key": jax.random.key(0), "sampler": js.samplers.Heun(), "one": partial(max, 2), "x": np.arange(3.0)}
    rows = []
    gather = lambda row: np.stack([row, *rows])  # noqa: E731
    monkeypatch.setattr("jax.experimental.multihost_utils.process_allgather", gather)
    for name in mine:
        hosts.agree(mine, True)
        rows.append(
            np.array([hosts.fingerprint(v) for v in (mine | {name: other[name]}).values()] + [0] * 28, np.uint32)
        )
        with pytest.raises(ValueError, match=f"every process must .* differ between processes: {name}\\.$"):
            hosts.agree(mine, True)
        rows.clear()


def test_process_0_listens_where_it_is_told_and_does_not_wait_for_ever(monkeypatch):
    called = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **options: called.append(options))
    for coordinator, options, bind in (
        ("127.0.0.1:80", {}, "127.0.0.1:80"),
        ("10.0.0.1:80", {}, None),
        ("10.0.0.1:80", {"bind": "10.0.0.1:80"}, "10.0.0.1:80"),
    ):
        js.initialize_distributed(coordinator, 2, 0, join=7, **options)
        assert called[-1]["coordinator_bind_address"] == bind and called[-1]["initialization_timeout"] == 7

    def refuse(*_, **__):
        raise jax.errors.JaxRuntimeError("ALREADY_EXISTS: task 1 is there.\nMore.")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    with pytest.raises(
        RuntimeError, match=r"process_id must be another one in each .* process 1 .* task 1 is there"
    ) as at:
        js.initialize_distributed("10.0.0.1:80", 2, 1)
    assert "\n" not in str(at.value)


@pytest.mark.slow
def test_if_a_process_dies_the_others_end_and_say_so():
    first, second = started("die")
    _, error = first.communicate(timeout=120)
    second.communicate()
    assert second.returncode == -9
    assert first.returncode != 0 and "another task died" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("10.0.0.1", 2, 0), "coordinator must be host:port"),
        (("10.0.0.1:80", 2, 2), "process_id must be below num_processes, 2; got 2"),
        (("10.0.0.1:80", 0, 0), "num_processes must be at least 1"),
    ],
)
def test_processes_that_cannot_find_each_other_are_told_why(arguments, message):
    with pytest.raises(ValueError, match=message):
        js.initialize_distributed(*arguments)
