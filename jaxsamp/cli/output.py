"""The folder that a command writes: all of its files or none, and never over earlier results without --force."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jaxsamp.cli.errors import BadArgument
from jaxsamp.core import disk


def check_free(out: Path, names: tuple[str, ...], force: bool) -> None:
    """Raise BadArgument if files called `names` in the folder `out` would be overwritten without `force`."""
    held = [name for name in names if (out / name).exists()]
    if held and not force:
        raise BadArgument(f"--out must be a folder without earlier results, or add --force; {out} holds {held[0]}.")


def write_json(facts: dict[str, Any], path: Path) -> None:
    """Write a report or settings as JSON: all of it or nothing."""
    text, unfinished = json.dumps(facts, indent=2, allow_nan=False, default=str) + "\n", path.with_name(f".{path.name}")
    try:
        with disk.writing(path):
            unfinished.write_text(text)
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def held(folder: Path) -> list[str]:
    """The names of all files in a folder and in folders in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@contextmanager
def folder(out: Path, names: tuple[str, ...], force: bool, replaced: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield a hidden folder to write `names` in; they move to `out` when the block ends, and vanish if it fails.

    So do files that have other names. With `force`, those in `out` that match a pattern of `replaced` are removed then.

    `out` is created at once, so that a folder that cannot be written is noticed before the work, not after it.

    Raises:
        BadArgument: `out` cannot be written, or already holds files called `names`; or the system refuses to write one
            of them, for instance because the disk is full.
    """
    check_free(out, names, force)
    with made(out):
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out) as unfinished:
            try:
                yield Path(unfinished)
            except OSError as error:  # the user knows the files there by the names that they would have had
                path = Path(error.filename or out)
                if not path.is_relative_to(unfinished):
                    raise
                raise BadArgument(f"{out / path.relative_to(unfinished)}: {error.strerror}.") from error
            every = tuple(dict.fromkeys((*names, *held(Path(unfinished)))))
            check_free(out, every, force)
            for path in [path for pattern in replaced if force for path in out.glob(pattern)]:
                path.unlink()
            for name in every:
                (out / name).parent.mkdir(exist_ok=True)
                os.replace(Path(unfinished) / name, out / name)


@contextmanager
def made(out: Path) -> Iterator[None]:
    """Create the folder `out` and its parents; when the block ends, remove those that are new and still empty.

    Raises:
        BadArgument: `out` cannot be written.
    """
    new = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise BadArgument(f"--out must be a folder that can be written; got {out} ({error.strerror}).") from error
    try:
        yield
    finally:
        with suppress(OSError):
            for path in new:
                path.rmdir()
