"""Progress where there is no terminal: a line a minute in logs, one line that changes in notebooks."""

import builtins
import sys
import warnings

import pytest

from jaxsamp.core import progress
from jaxsamp.core.progress import bar


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only where the test says so."""
    now = [1000.0]

    def go_on(seconds):
        now[0] += seconds

    monkeypatch.setattr(progress, "monotonic", lambda: now[0], raising=False)
    return go_on


@pytest.fixture
def notebook(monkeypatch):
    """The messages that a kernel would send to its notebook: (text, whether it changes an earlier one)."""
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    class ZMQInteractiveShell(InteractiveShell):  # libraries know kernels by this name
        pass

    shell = ZMQInteractiveShell.__new__(ZMQInteractiveShell)  # without its history and its own __main__
    shell.display_pub = CapturingDisplayPublisher()
    monkeypatch.setattr(InteractiveShell, "_instance", shell)
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    return shell.display_pub.outputs


def run(clock, seconds, units=10):
    with bar("sampling", 10 * units) as advance:
        for _ in range(units):
            clock(seconds)
            advance(10, note="3 samples/s")


@pytest.mark.parametrize("forced", [False, True])
def test_a_log_gets_a_plain_line_at_most_once_a_minute(clock, capsys, monkeypatch, forced):
    if forced:
        monkeypatch.setenv("FORCE_COLOR", "1")
    run(clock, 25)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [  # after 75, 150 and 225 seconds
        "sampling: 30/100, 0:02:55 left, 3 samples/s",
        "sampling: 60/100, 0:01:40 left, 3 samples/s",
        "sampling: 90/100, 0:00:25 left, 3 samples/s",
    ]


def test_a_short_job_adds_nothing_to_a_log(clock, capsys):
    run(clock, 5)
    with bar("sampling", 10, shown=False) as advance:
        clock(1000)
        advance(5)
    assert capsys.readouterr() == ("", "")


def test_a_notebook_gets_one_line_that_changes_and_no_warning(clock, capsys, notebook, monkeypatch):
    """Also without ipywidgets, which the bars of rich need."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(clock, 0.25)
    texts = [message["data"]["text/plain"] for message in notebook]
    assert texts[0] == "░" * 30 + " sampling: 0/100"
    assert texts[1] == "█" * 6 + "░" * 24 + " sampling: 20/100, 0:00:02 left, 3 samples/s"
    assert texts[-1] == "█" * 30 + " sampling: 100/100, 0:00:02 in all, 3 samples/s" and len(texts) <= 7
    assert len({message["transient"]["display_id"] for message in notebook}) == 1
    assert [message["update"] for message in notebook] == [False] + [True] * (len(texts) - 1)
    assert capsys.readouterr() == ("", "")


def test_a_stopped_job_leaves_the_line_where_it_was(clock, notebook):
    with pytest.raises(RuntimeError), bar("sampling", 4) as advance:
        clock(1)
        advance(1)
        raise RuntimeError
    assert notebook[-1]["data"]["text/plain"].endswith("sampling: 1/4")
