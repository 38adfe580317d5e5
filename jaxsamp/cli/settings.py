"""The settings of a run as JSON: what was asked for, so that it can be asked for again."""

import json
import types
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jaxsamp.cli.errors import BadArgument
from jaxsamp.core import checks


def write(command: Any, path: Path, leave_out: frozenset[str]) -> None:
    """Write the fields of a command, but for those that concern one call of it alone."""
    kept = {name: value for name, value in asdict(command).items() if name not in leave_out}
    path.write_text(json.dumps(kept, indent=2, default=str) + "\n")


def read(kind: type, path: Path, flag: str) -> Any:
    """The command of type `kind` whose fields `write` has written; fields that are missing take their defaults.

    Raises:
        BadArgument: no such file, or a setting that the command does not have or of the wrong type.
    """
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadArgument(
            f"{flag} must be a file of settings that `jaxsamp train` wrote; got {path} ({error})."
        ) from error
    return _made(kind, stored, f"{flag} {path}")


def _made(kind: type, stored: Any, where: str) -> Any:
    if not isinstance(stored, dict):
        raise BadArgument(f"{where} must hold settings by name; got {stored!r}.")
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for name in stored:
        checks.one_of(f"{where}: every setting", name, names)
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in stored.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type of a field, which is one of those that the commands use."""
    if is_dataclass(hint):
        return _made(hint, value, where)  # type: ignore[arg-type]
    options = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if type(value) is option:  # True is no number
            return value
        if option is float and type(value) is int:
            return float(value)
        if option is Path and isinstance(value, str):
            return Path(value)
        if get_origin(option) is tuple and isinstance(value, list):
            return tuple(_value(get_args(option)[0], item, where) for item in value)
    told = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise BadArgument(f"{where} must be {told}; got {value!r}.")
