"""A run that is stopped from outside keeps its results so far, and ends with a sentence on how to continue."""

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from jaxsamp.cli.errors import FAILED, INTERRUPTED, TERMINATED, BadArgument, Stopped


@contextmanager
def stoppable(out: Path, steps: int) -> Iterator[None]:
    """Around a run of `fit`: the first Ctrl-C acts like SIGTERM, on which `fit` saves and exits; a second one stops at
    once. Before and after the steps of `fit` both stop at once.

    Raises:
        Stopped: instead of the errors that `fit` raises when it is stopped, or when the loss is no longer finite.
        BadArgument: there is not enough memory.
    """
    pressed: list[int] = []

    def interrupt(number: int, _: object) -> None:
        pressed.append(number)
        if len(pressed) > 1 or signal.getsignal(signal.SIGTERM) is _terminate:  # not inside the loop
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGTERM)

    try:
        with _handled(signal.SIGTERM, _terminate), _handled(signal.SIGINT, interrupt):
            yield
    except (SystemExit, KeyboardInterrupt) as stop:
        if isinstance(stop, SystemExit) and stop.code != TERMINATED:
            raise
        code = INTERRUPTED if pressed or isinstance(stop, KeyboardInterrupt) else TERMINATED
        raise Stopped(_sentence(out, steps, "Ctrl-C" if code == INTERRUPTED else "SIGTERM"), code) from stop
    except FloatingPointError as error:
        raise Stopped(str(error), FAILED) from error
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise BadArgument("out of memory; give --accumulate, or a larger one.") from error


@contextmanager
def resumable(sentence: Callable[[str], str]) -> Iterator[None]:
    """Around work that may be stopped anywhere: Ctrl-C and SIGTERM end it with `sentence(cause)`.

    Raises:
        Stopped: instead of KeyboardInterrupt, or on SIGTERM.
    """
    try:
        with _handled(signal.SIGTERM, _terminate):
            yield
    except KeyboardInterrupt as stop:
        raise Stopped(sentence("Ctrl-C"), INTERRUPTED) from stop
    except SystemExit as stop:
        if stop.code != TERMINATED:
            raise
        raise Stopped(sentence("SIGTERM"), TERMINATED) from stop


def _terminate(*_: object) -> None:
    raise SystemExit(TERMINATED)


@contextmanager
def _handled(number: int, handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle a signal; signals reach the main thread alone, so there is nothing to do in others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _sentence(out: Path, steps: int, cause: str) -> str:
    from jaxsamp.training import latest_step
    from jaxsamp.training.folder import DRAFT

    step, draft = latest_step(out), latest_step(out / DRAFT)
    if step is None:
        return f"stopped by {cause} before the first checkpoint; nothing was kept."
    again = f"jaxsamp train --resume --out {shlex.quote(str(out))}"
    beside = "" if draft is None else f", and step {draft} of the draft,"
    return f"stopped by {cause}; step {step} of {steps}{beside} is saved. To continue: {again}"
