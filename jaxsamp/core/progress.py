"""The progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def bar(label: str, total: int, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A progress bar of `total` units; yields advance(units, wait_for=arrays, note=text).

    It first waits for the arrays; the note stands at the end of the line until the next one. Not `shown`, the bar only
    counts.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    note_column = TextColumn("{task.fields[note]}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note_column)
    console = Console(stderr=True)
    # The time that remains is told from the speed of the last ten minutes: by default half a minute, in which one unit
    # of a slow job may not be done.
    with Progress(*columns, console=console, transient=True, disable=not shown, speed_estimate_period=600) as drawn:
        task = drawn.add_task(label, total=total, note="")

        def advance(units: int, wait_for: Any = None, note: str | None = None) -> None:
            jax.block_until_ready(wait_for)
            if note is not None:
                drawn.update(task, note=note)
            drawn.advance(task, units)

        yield advance
