"""Several processes as one program, on one machine."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import jaxsamp as js

ROOT = Path(__file__).parents[1]


def started(job, count=2):
    """Processes that find each other at a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.two_processes", str(port), str(count)]
    return [
        subprocess.Popen(
            [*command, str(index), job], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for index in range(count)
    ]


@pytest.mark.slow
def test_two_processes_draw_the_samples_of_one():
    for process in started("sample"):
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0 and "equal" in out, error


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
        (("10.0.0.1:80", None, 0), "must all be given where there is no SLURM"),
    ],
)
def test_processes_that_cannot_find_each_other_are_told_why(arguments, message):
    with pytest.raises(ValueError, match=message):
        js.initialize_distributed(*arguments)
