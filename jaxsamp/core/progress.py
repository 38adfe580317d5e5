"""Progress: a bar on a terminal, one line that changes in a notebook, and elsewhere, in logs, a line a minute."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import jax

MINUTE, BLINK = 60.0, 0.5  # seconds: between two lines of a log, and between two changes of a line in a notebook
CELLS = 30  # width of the bar in a notebook


@contextmanager
def bar(label: str, total: int, shown: bool = True) -> Iterator[Callable[..., None]]:
    """Progress of `total` units on standard error; yields advance(units, wait_for=arrays, note=text).

    `advance` first waits for the arrays; the note stays at the end of the line until the next one. On a terminal the
    bar vanishes at the end. A notebook keeps its line, with the time that it took. Where there is neither, lines come
    at most once a minute. With shown=False nothing is printed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    note_column = TextColumn("{task.fields[note]}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note_column)
    console = Console(stderr=True)
    moving = is_terminal(console)
    # The remaining time is estimated from the speed over the last ten minutes. The default is half a minute, in which a
    # slow job may not complete one unit.
    options: Any = {"console": console, "transient": True, "speed_estimate_period": 600, "get_time": monotonic}
    tell = _silent if moving or not shown else _cell() if console.is_jupyter else _log(console.file)
    with Progress(*columns, **options, disable=not (shown and moving)) as drawn:
        task = drawn.add_task(label, total=total, note="")
        tell(drawn.tasks[0])

        def advance(units: int, wait_for: Any = None, note: str | None = None) -> None:
            jax.block_until_ready(wait_for)
            if note is not None:
                drawn.update(task, note=note)
            drawn.advance(task, units)
            tell(drawn.tasks[0])

        yield advance
        tell(drawn.tasks[0], ended=True)


def is_terminal(console: Any) -> bool:
    """Whether a console of rich is a terminal that moves its cursor; settings that force colors make no file one."""
    return console.is_interactive and not console.is_jupyter and console.file.isatty()


def _silent(task: Any, ended: bool = False) -> None:
    """Nothing."""


def _log(file: Any) -> Callable[..., None]:
    """Lines of a log: none in the first minute, so that a short job prints nothing, and none at the end."""
    last = monotonic()

    def tell(task: Any, ended: bool = False) -> None:
        nonlocal last
        if not ended and monotonic() - last >= MINUTE:
            last = monotonic()
            print(_line(task), file=file, flush=True)

    return tell


def _cell() -> Callable[..., None]:
    """One line below the cell of a notebook, as plain text, which it can change without ipywidgets, unlike rich's."""
    from IPython.display import display

    last, handle = -BLINK, None

    def tell(task: Any, ended: bool = False) -> None:
        nonlocal last, handle
        if not ended and monotonic() - last < BLINK:
            return
        last, full = monotonic(), round(CELLS * task.percentage / 100)
        text = {"text/plain": f"{'█' * full}{'░' * (CELLS - full)} {_line(task, ended)}"}
        if handle is None:
            handle = display(text, raw=True, display_id=True)
        else:
            handle.update(text, raw=True)

    return tell


def _line(task: Any, ended: bool = False) -> str:
    """What is done of a task of rich, the time that is left or was taken, and the note."""
    seconds = task.elapsed if ended else task.time_remaining
    time = None if seconds is None else timedelta(seconds=round(seconds))
    parts = [f"{task.description}: {task.completed:,}/{task.total:,}"]
    if time is not None:
        parts += [f"{time} in all" if ended else f"{time} left"]
    return ", ".join([*parts, *filter(None, [task.fields["note"]])])
