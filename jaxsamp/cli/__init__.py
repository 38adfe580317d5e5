"""The command line, `jaxsamp <command>`; each command is one file beside this one.

A command parses its flags, calls `jaxsamp.recipes`, and prints; see `jaxsamp.cli.command`.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import jax

from jaxsamp.cli.errors import (
    DONE,
    INTERRUPTED,
    OF_THE_DISK,
    REFUSED,
    BadArgument,
    Stopped,
    about_file,
    missing_package,
)

COMMANDS = {  # module, class and summary of each
    "train": ("train", "Train", "Train a network to denoise."),
    "sample": ("sample", "Sample", "Draw samples by an exact score or a trained network, and test their law."),
    "compare": ("compare", "Compare", "Compare samplers at several numbers of steps."),
    "evaluate": ("evaluate", "Evaluate", "Compare existing samples with the truth."),
    "score-error": ("score_error", "ScoreErrorCommand", "Compare a network with the exact denoiser of a known law."),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the words after `jaxsamp`; by default the arguments of the program.

    Returns:
        The exit code: 0 for success. After one sentence on stderr: 2 for arguments that cannot be used, or files that
        cannot be written, because the disk is full or for another reason of the system; 1 for training
        that diverged, 130 for Ctrl-C and 143 for SIGTERM. In the last two cases training saves, and finished shards are
        kept.
    """
    try:
        command = _parse(argv)
        _keep_compilations()
        command.run()
    except SystemExit as stop:  # --help, or an unknown command
        return stop.code if isinstance(stop.code, int) else DONE
    except BadArgument as refused:
        return _stop(str(refused), REFUSED)
    except Stopped as stopped:
        return _leave(argv, _stop(str(stopped), stopped.code))
    except ModuleNotFoundError as error:
        sentence = missing_package(error)
        if sentence is None:
            raise
        return _stop(sentence, REFUSED)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _stop("out of memory; give --microbatch, or a smaller one.", REFUSED)
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        return _stop(about_file(error), REFUSED)
    except KeyboardInterrupt:
        return _leave(argv, _stop("interrupted; nothing was written.", INTERRUPTED))
    return DONE


def _leave(argv: Sequence[str] | None, code: int) -> int:
    """End the process at once if this is the program itself: interrupted JAX can crash at exit and lose the code."""
    if argv is None:
        sys.stdout.flush()
        os._exit(code)
    return code


def _parse(argv: Sequence[str] | None) -> Any:
    """The command. Only its own module is imported, so a package that another command needs may be missing."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        module, kind, _ = COMMANDS[words[0]]
        return getattr(import_module(f"jaxsamp.cli.{module}"), kind).parsed(words[1:], words[0])
    import tyro

    from jaxsamp.cli.words import HELP, no_command

    if not HELP & {*words}:
        raise no_command(words, COMMANDS)
    commands = {name: _named(summary) for name, (*_, summary) in COMMANDS.items()}
    return tyro.extras.subcommand_cli_from_dict(
        commands, prog="jaxsamp", description="Sampling with diffusion models in JAX.", args=words
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
            jax.config.update("jax_compilation_cache_dir", str(folder))


def _stop(sentence: str, code: int) -> int:
    print(f"jaxsamp: {sentence}", file=sys.stderr)
    return code
