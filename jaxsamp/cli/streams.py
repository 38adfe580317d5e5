"""Standard output and errors: what is printed is out, or a sentence says why not. Nothing here loads JAX."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jaxsamp.cli.errors import CLOSED, REFUSED, Unprinted


def printing(work: Callable[[], Any]) -> Any:
    """The result of work that writes to standard output, and to no file."""
    try:
        return work()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unprinted(error.strerror) from error


def flushed(code: int) -> int:
    """The exit code, once all output is out."""
    try:
        printing(sys.stdout.flush)
    except (BrokenPipeError, Unprinted) as error:
        return closed(error)
    return code


def closed(error: Exception) -> int:
    """End quietly if the reader has closed the output, and else with a sentence; what is left of it goes nowhere."""
    with suppress(OSError, ValueError):  # or Python would complain of it once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return CLOSED
    return stop(f"the output cannot be written: {error}.", REFUSED)


def open_streams() -> None:
    """Streams that were closed before the start lead nowhere, instead of being None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (until the end of the program)


def stop(sentence: str, code: int) -> int:
    """The exit code, once the sentence is said."""
    print(f"jaxsamp: {sentence}", file=sys.stderr)
    return code
