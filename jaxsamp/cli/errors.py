"""Bad arguments end a command with one sentence; bugs keep their traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

OPTIONAL = {"tyro": "tyro", "matplotlib": "matplotlib", "sklearn": "scikit-learn", "PIL": "pillow"}


class BadArgument(Exception):
    """An argument that cannot be used; its message is the sentence that the user reads."""


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
    package = OPTIONAL.get((error.name or "").partition(".")[0])
    return package and f'this command needs {package}, which is not installed: pip install "jaxsamp[cli]".'
