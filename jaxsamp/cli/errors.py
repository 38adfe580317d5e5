"""Bad arguments end a command with one sentence; bugs keep their traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

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


def check_seed(seed: int) -> None:
    """Raise unless `--seed` is one that every part of a run can take."""
    if not 0 <= seed < 2**32:
        raise BadArgument(f"--seed must be at least 0 and below 2^32; got {seed}.")


class Stopped(Exception):
    """A run that ended before its time; its message is the sentence that the user reads.

    Attributes:
        code: the exit code.
    """

    def __init__(self, sentence: str, code: int):
        super().__init__(sentence)
        self.code = code


@contextmanager
def complaints() -> Iterator[None]:
    """Turn what the library says about its arguments into `BadArgument`.

    To be put around checks and front doors only, never around code whose ValueError would be a bug.
    """
    try:
        yield
    except ValueError as error:
        raise BadArgument(str(error)) from error
    except OSError as error:
        raise BadArgument(f"{error.filename or 'a file'}: {error.strerror or error}.") from error


def missing_package(error: ModuleNotFoundError) -> str | None:
    """The sentence for an optional package that is not installed; None for any other module."""
    package, install = OPTIONAL.get((error.name or "").partition(".")[0], (None, None))
    return package and f"this command needs {package}, which is not installed: pip install {install}."
