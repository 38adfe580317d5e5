"""The progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[..., None]]:
    """A progress bar of `total` units; yields advance(units, wait_for=arrays), which first waits for the arrays."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=total)

        def advance(units: int, wait_for: Any = None) -> None:
            jax.block_until_ready(wait_for)
            shown.advance(task, units)

        yield advance
