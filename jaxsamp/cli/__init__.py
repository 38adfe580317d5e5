"""The command line, `jaxsamp <command>`; each command is one file beside this one.

A command parses its flags, calls `jaxsamp.recipes`, and prints; see `jaxsamp.cli.command`.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

# Nothing here loads JAX, so that Ctrl-C is looked after while it is loaded.
from jaxsamp.cli import streams
from jaxsamp.cli.errors import (
    DONE,
    INTERRUPTED,
    OF_THE_DISK,
    REFUSED,
    BadArgument,
    Stopped,
    Unprinted,
    about_file,
    missing_package,
)  # fmt: skip
from jaxsamp.core.version import VERSION

HALTED = "interrupted; nothing was written."

COMMANDS = {  # module, class and summary of each
    "train": ("train", "Train", "Train a network to denoise."),
    "sample": ("sample", "Sample", "Draw samples by an exact score or a trained network, and test their law."),
    "compare": ("compare", "Compare", "Compare samplers at several numbers of steps."),
    "evaluate": ("evaluate", "Evaluate", "Compare existing samples with the truth."),
    "score-error": ("score_error", "ScoreErrorCommand", "Compare a network with the exact denoiser of a known law."),
    "corrupt": ("corrupt", "Corrupt", "Measure data by a law of corruptions, and keep what was measured alone."),
    "restore": ("restore", "Restore", "Restore measured data by a network that has learned from such data."),
    "annotate": ("annotate", "Annotate", "Find the noise levels at which damaged data may train."),
    "mixture": ("mixture", "Mixture", "Mixtures of Gaussians; see jaxsamp mixture --help."),
    "spins": ("spins", "Spins", "Laws of spins, +1 and -1; see jaxsamp spins --help."),
    "sparameters": ("sparameters", "SParametersCommands", "S-parameters; see jaxsamp sparameters --help."),
    "quantum": ("quantum", "Quantum", "Quantum learning, simulated; see jaxsamp quantum --help."),
    "verify": ("verify", "Verify", "Compare the files of a big job with their checksums."),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after `jaxsamp`; by default the arguments of the program.

    Returns:
        The exit code: 0 for success. After one sentence on stderr: 2 for arguments that cannot be used, and for files
        or output that cannot be written, because the disk is full or for another reason of the system; 1 for training
        that diverged, and for shards that are damaged or missing; 130 for Ctrl-C and 143 for SIGTERM. In the last two
        cases training saves, and finished shards are kept. Without a sentence, 141 if the reader of the output has
        closed it.
    """
    program = argv is None
    if program:
        streams.open_streams()
    pressed: list[int] = []
    try:
        with _on_interrupt(program, _end):
            command = streams.printing(lambda: _parse(argv))
            _keep_compilations()
        with _on_interrupt(program, lambda *_: _interrupt(pressed)):
            command.run()
    except SystemExit as stop:  # --help, or an unknown command
        return streams.flushed(stop.code if isinstance(stop.code, int) else DONE)
    except BadArgument as refused:
        return streams.stop(str(refused), REFUSED)
    except Stopped as stopped:
        return _leave(argv, streams.stop(str(stopped), stopped.code))
    except KeyboardInterrupt:
        return _leave(argv, streams.stop(HALTED, INTERRUPTED))
    except Exception as error:
        if pressed:  # a module that was being imported turns KeyboardInterrupt into an error of its own
            return _leave(argv, streams.stop(HALTED, INTERRUPTED))
        code = _explained(error)
        if code is None:
            raise
        return code
    return streams.flushed(DONE)


def _explained(error: Exception) -> int | None:
    """The exit code after a sentence, for what is not a bug; None for a bug."""
    if isinstance(error, ModuleNotFoundError) and (sentence := missing_package(error)):
        return streams.stop(sentence, REFUSED)
    if type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error):
        return streams.stop("out of memory; give --microbatch, or a smaller one.", REFUSED)
    if isinstance(error, BrokenPipeError | Unprinted):
        return streams.closed(error)
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        return streams.stop(about_file(error), REFUSED)
    return None


@contextmanager
def _on_interrupt(program: bool, handler: Callable[..., None]) -> Iterator[None]:
    """Ctrl-C calls this handler, if this is the program itself."""
    if not program or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    """At once: an exception in the middle of an import may be lost, or become another one."""
    os.write(2, f"jaxsamp: {HALTED}\n".encode())
    os._exit(INTERRUPTED)


def _interrupt(pressed: list[int]) -> None:
    pressed.append(1)
    raise KeyboardInterrupt


def _leave(argv: Sequence[str] | None, code: int) -> int:
    """End the process at once if this is the program itself: interrupted JAX can crash at exit and lose the code."""
    if argv is None:
        code = streams.flushed(code)
        os._exit(code)
    return code


def _parse(argv: Sequence[str] | None) -> Any:
    words = sys.argv[1:] if argv is None else argv
    if list(words) == ["--version"]:
        print(f"jaxsamp {VERSION}")
        raise SystemExit(DONE)
    return chosen(words, COMMANDS, "Sampling with diffusion models in JAX.")


def chosen(words: Sequence[str], commands: Mapping[str, tuple[str, str, str]], about: str, group: str = "") -> Any:
    """The command, or the command of a group, with which the words begin.

    Only its own module is imported, so a package that another command needs may be missing.
    """
    if words and words[0] in commands:
        module, kind, _ = commands[words[0]]
        named = f"{group} {words[0]}".strip()
        return getattr(import_module(f"jaxsamp.cli.{module}"), kind).parsed(words[1:], named)
    import tyro

    from jaxsamp.cli.words import HELP, no_command

    if not HELP & {*words}:
        raise no_command(words, commands, group)
    return tyro.extras.subcommand_cli_from_dict(
        {name: _named(summary) for name, (*_, summary) in commands.items()},
        prog=f"jaxsamp {group}".strip(),
        description=about,
        args=words,
    )


def _named(summary: str) -> Callable[[], None]:
    def command() -> None: ...

    command.__doc__ = summary
    return command


def _keep_compilations() -> None:
    """Keep compiled programs between runs; JAX reads JAX_COMPILATION_CACHE_DIR itself."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "jaxsamp"
        with suppress(OSError):  # without a writable folder, compile in each run
            folder.mkdir(parents=True, exist_ok=True)
            import jax

            jax.config.update("jax_compilation_cache_dir", str(folder))
