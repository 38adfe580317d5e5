"""Bad arguments end a command with one sentence; bugs keep their traceback."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxsamp.core import extras

# Exit codes: 128 + SIGINT, SIGPIPE and SIGTERM are what the shell reports of programs that these signals end.
DONE, FAILED, REFUSED, INTERRUPTED, CLOSED, TERMINATED = 0, 1, 2, 130, 141, 143
# Of the disk and not of the program: whatever is being written then, they are no bugs.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class BadArgument(Exception):
    """An argument that cannot be used; its message is the sentence that the user reads."""


class Unprinted(Exception):
    """Output that cannot be written, on a full disk for instance; its message says why."""


class Stopped(Exception):
    """A run that ended early; its message is the sentence that the user reads.

    Attributes:
        code: the exit code.
    """

    def __init__(self, sentence: str, code: int):
        super().__init__(sentence)
        self.code = code


@contextmanager
def complaints(command: Any) -> Iterator[None]:
    """Turn the library's errors about its arguments into `BadArgument` about the flags of a command.

    Use it around checks and front doors only, never around code whose ValueError would be a bug. A TypeError is a bug
    unless its sentence is about a flag, such as one whose file does not hold numbers.
    """
    try:
        yield
    except ValueError as error:
        raise BadArgument(about_flags(str(error), command)) from error
    except TypeError as error:
        if not re.match(r"--[\w.-]+ must ", sentence := about_flags(str(error), command)):  # then it is a bug
            raise
        raise BadArgument(sentence) from error
    except OSError as error:
        raise BadArgument(about_file(error)) from error


def about_file(error: OSError) -> str:
    """The sentence about a file that the system refuses to read or write."""
    return f"{error.filename or 'a file'}: {error.strerror or error}."


def about_flags(sentence: str, command: Any) -> str:
    """The sentence with the argument that it begins with replaced by its flag.

    Other arguments with a value, as in "divisible by accumulate = 3", are replaced too.
    """
    from jaxsamp.cli.settings import flag, flags  # which loads JAX; this module is loaded before it

    names = {name.rpartition(".")[2]: flag(name) for name, _ in reversed(list(flags(command)))} | command.names

    def named(word: re.Match[str]) -> str:
        return names.get(word[0], word[0])

    return re.sub(r"^\w+|\b\w+(?= = )", named, sentence)


def missing_package(error: ModuleNotFoundError) -> str | None:
    """The sentence for an optional package that is not installed; None for any other module."""
    return extras.sentence(error, "this command", "cli")
