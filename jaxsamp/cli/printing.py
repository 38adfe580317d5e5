"""The output of a command: a line while it works, then its report as a line and a short table."""

import io
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxsamp.cli.errors import Unprinted
from jaxsamp.core.progress import is_terminal
from jaxsamp.datasets import DataWarning
from jaxsamp.metrics import label

REFERENCES = {
    "law": "against the law",
    "data": "against held-out data",
    "samples": "against true samples",
    "measurements": "measured again, against held-out measurements",
}
WIDEST = 1000  # columns of a table
INSIDE = {True: "[green]inside[/]", False: "[yellow]outside[/]"}


class Stages:
    """Seconds per stage, with a line on the terminal while a stage runs; and the warnings about data."""

    def __init__(self, shown: bool):
        self.seconds: dict[str, float] = {}
        self.warnings: list[DataWarning] = []
        self._shown = shown

    @contextmanager
    def __call__(self, name: str, doing: str = "") -> Iterator[None]:
        """Time the block as the stage `name`, and show the text `doing` unless it is empty."""
        start = time.perf_counter()
        console = Console(stderr=True)
        shown = self._shown and doing and is_terminal(console)
        with console.status(doing) if shown else nullcontext(), kept(self.warnings):
            yield
        self.seconds[name] = round(time.perf_counter() - start, 3)

    def facts(self) -> dict[str, Any]:
        """Seconds, warnings and the number of files that were passed over, for the report."""
        sentences = [str(warning) for warning in self.warnings]
        return {
            "seconds": self.seconds,
            "passed_over": sum(warning.passed_over for warning in self.warnings),
            "warnings": sentences,
        }


@contextmanager
def kept(found: list[DataWarning]) -> Iterator[None]:
    """Add the library's warnings about data to a list, instead of showing them; others are shown as ever."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def sort(message: Any, category: type[Warning], *rest: Any) -> None:
            found.append(message) if issubclass(category, DataWarning) else show(message, category, *rest)

        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = sort  # type: ignore[assignment]
        yield


class Page:
    """Lines that are never wrapped, and tables that are as wide as what they hold, on a narrow terminal too."""

    def head(self, name: str, rest: str) -> None:
        """The first line."""
        _print(f"[bold]{escape(name)}[/]{escape(rest)}", soft_wrap=True)

    def line(self, text: str) -> None:
        """A line of plain text."""
        _print(text, soft_wrap=True, markup=False)

    def written(self, report: dict[str, Any], out: Path) -> None:
        """The last lines: warnings about the data; the files, and their folder."""
        for sentence in report["warnings"]:
            self.line(sentence)
        self.line(f"written: {', '.join(report['files'])} in {out}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str] | None], left: Sequence[int] = (0,)) -> None:
        """A table. A row that is None is a gap; the columns numbered in `left` are aligned left."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        for i, column in enumerate(columns):
            table.add_column(column, justify="left" if i in left else "right", no_wrap=True)
        for row in rows:
            table.add_section() if row is None else table.add_row(*row)
        _print(table)


def _print(thing: Any, **options: Any) -> None:
    """Write to standard output by hand: rich would cut tables, and end the program where the output is closed."""
    seen = Console(highlight=False)
    wide = seen.measure(thing, options=seen.options.update(max_width=WIDEST)).maximum if isinstance(thing, Table) else 0
    made = io.StringIO()
    console = Console(highlight=False, file=made, force_terminal=seen.is_terminal, width=max(wide, seen.width))
    console.print(thing, **options)
    try:
        sys.stdout.write(made.getvalue())
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unprinted(error.strerror) from error


def show(name: str, headline: str, report: dict[str, Any], out: Path) -> None:
    """Print a report on samples."""
    page = Page()
    page.head(name, f": {headline}")
    if report["metrics"]:
        rows: list[Any] = []
        for reference, results in report["metrics"].items():
            rows += [None, (f"[dim]{REFERENCES[reference]}[/]",)]
            rows += [row for name, metric in results.items() for row in _rows(name, metric)]
        page.table(("metric", "value", "true samples give", ""), rows, (0, 3))
    page.line("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in report["seconds"].items()))
    page.written(report, out)


def _rows(name: str, metric: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    value, low, high = (_shown(metric[entry]) for entry in ("value", "null_low", "null_high"))
    yield f"  {label(name)}", value, f"{low} to {high}", INSIDE[metric["inside"]]
    if "floor" in metric:
        yield "    of training data", _shown(metric["floor"])


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
