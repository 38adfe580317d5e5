"""The progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def bar(label: str, total: int, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A progress bar of `total` units; yields advance(units, wait_for=arrays, note=text).

    `advance` first waits for the arrays; the note stays at the end of the line until the next one. With shown=False
    nothing is printed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    note_column = TextColumn("{task.fields[note]}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note_column)
    console = Console(stderr=True)
    # The remaining time is estimated from the speed over the last ten minutes. The default is half a minute, in which a
    # slow job may not complete one unit.
    with Progress(*columns, console=console, transient=True, disable=not shown, speed_estimate_period=600) as drawn:
        task = drawn.add_task(label, total=total, note="")

        def advance(units: int, wait_for: Any = None, note: str | None = None) -> None:
            jax.block_until_ready(wait_for)
            if note is not None:
                drawn.update(task, note=note)
            drawn.advance(task, units)

        yield advance
