"""Bad arguments end a command with one sentence; bugs keep their traceback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxsamp.cli.settings import flag, flags

DONE, FAILED, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143  # exit codes; 143 is 128 + SIGTERM
OPTIONAL = {  # of modules: the package, and what installs it
    "tyro": ("tyro", '"jaxsamp[cli]"'),
    "matplotlib": ("matplotlib", '"jaxsamp[cli]"'),
    "sklearn": ("scikit-learn", '"jaxsamp[cli]"'),
    "PIL": ("pillow", '"jaxsamp[cli]"'),
    "flax": ("flax", '"jaxsamp[cli,train]"'),
    "optax": ("optax", '"jaxsamp[cli,train]"'),
    "orbax": ("orbax-checkpoint", '"jaxsamp[cli,train]"'),
    "grain": ("grain", '"jaxsamp[cli,data]"'),
    "datasets": ("datasets", "datasets"),
    "tensorflow_datasets": ("tensorflow-datasets", "tensorflow-datasets"),
}


class BadArgument(Exception):
    """An argument that cannot be used; its message is the sentence that the user reads."""


class Stopped(Exception):
    """A run that ended before its time; its message is the sentence that the user reads.

    Attributes:
        code: the exit code.
    """

    def __init__(self, sentence: str, code: int):
        super().__init__(sentence)
        self.code = code


@contextmanager
def complaints(command: Any) -> Iterator[None]:
    """Turn what the library says about its arguments into `BadArgument`, about the flags of a command.

    To be put around checks and front doors only, never around code whose ValueError would be a bug.
    """
    try:
        yield
    except ValueError as error:
        raise BadArgument(about_flags(str(error), command)) from error
    except OSError as error:
        raise BadArgument(f"{error.filename or 'a file'}: {error.strerror or error}.") from error


def about_flags(sentence: str, command: Any) -> str:
    """A sentence about an argument, the word that it begins with, as one about the flag that has given it.

    Where another argument is compared with, as in "divisible by accumulate = 3", that is meant too.
    """
    names = {name.rpartition(".")[2]: flag(name) for name, _ in reversed(list(flags(command)))} | command.names

    def named(word: re.Match[str]) -> str:
        return names.get(word[0], word[0])

    return re.sub(r"^\w+|\b\w+(?= = )", named, sentence)


def missing_package(error: ModuleNotFoundError) -> str | None:
    """The sentence for an optional package that is not installed; None for any other module."""
    package, install = OPTIONAL.get((error.name or "").partition(".")[0], (None, None))
    return package and f"this command needs {package}, which is not installed: pip install {install}."
