"""The progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax


@contextmanager
def bar(label: str, total: int, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A progress bar of `total` units; yields advance(units, wait_for=arrays), which first waits for the arrays.

    Not `shown`, it only counts.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as drawn:
        task = drawn.add_task(label, total=total)

        def advance(units: int, wait_for: Any = None) -> None:
            jax.block_until_ready(wait_for)
            drawn.advance(task, units)

        yield advance
