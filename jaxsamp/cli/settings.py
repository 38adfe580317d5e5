"""Settings as flags: those of a command, and those of the objects that it knows by name, such as samplers.

A choice is a flag that takes the name of an object, `--sampler unipc`; the object's settings are further flags,
`--sampler.order 3`. They are read from the object's own dataclass, so a new sampler needs no code here.
"""

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, make_dataclass, replace
from typing import Annotated, Any, get_type_hints

from tyro.conf import arg

SETTINGS = "_settings"  # the ending of the field with the settings of a choice


def flags(command: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The names of all flags of a command, without dashes, and their values; groups of flags add no prefix."""
    for field in fields(command):
        value, name = getattr(command, field.name), field.name
        if is_dataclass(value):
            choice = name.removesuffix(SETTINGS)
            yield from flags(value, f"{choice}." if choice != name else prefix and f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def plain(command: Any) -> dict[str, Any]:
    """The flags of a command as values for JSON, which has no infinity and no NaN."""
    return {name: _finite(value) for name, value in flags(command)}


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_finite, value))
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def flag(name: str) -> str:
    """The flag of that name, as the user types it."""
    return f"--{name.replace('_', '-')}"


def words_of(stored: Mapping[str, Any]) -> list[str]:
    """The words that set flags to stored values; None stands for a default."""
    words = []
    for name, value in stored.items():
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(name).replace("--", "--no-", 1))
        elif value is not None:
            words += [flag(name), *map(str, value if isinstance(value, list | tuple) else [value])]
    return words


def with_settings(kind: type, words: Sequence[str]) -> tuple[type, list[str]]:
    """The command with fields for the settings of the chosen objects, and the words that are left to parse."""
    added, words = [], [part for word in words for part in _parts(word)]
    for choice, (named, nested) in kind.choices.items():  # type: ignore[attr-defined]
        default = next(field.default for field in fields(kind) if field.name == choice)
        value, words = _chosen(choice, named, nested, named.get(default), words)
        if is_dataclass(value) and fields(value):
            made = proxy(value)
            added.append((f"{choice}{SETTINGS}", Annotated[type(made), arg(name=choice)], made))
    if not added:
        return kind, words
    return make_dataclass(kind.__name__, added, bases=(kind,), frozen=True, namespace={"__doc__": kind.__doc__}), words


def value_of(command: Any, choice: str) -> Any:
    """The object that a choice names, with its settings; the name must be known."""
    settings = getattr(command, f"{choice}{SETTINGS}", None)
    return command.choices[choice][0].get(getattr(command, choice)) if settings is None else settings.made()


def proxy(thing: Any) -> Any:
    """A plain dataclass object with the same settings as `thing`, whose field types can be parsed."""
    docs, added = described(type(thing)), []
    hints = get_type_hints(type(thing))
    for field in fields(thing):
        value, hint = getattr(thing, field.name), hints[field.name]
        if is_dataclass(value):
            value = proxy(value)
            hint = type(value)
        about: dict[str, Any] = {"help": docs.get(field.name, "")}
        if hint is Any and value is None:
            hint, about = int | float | None, about | {"metavar": "FLOAT|None"}
        elif hint is Any:
            hint = float | str if isinstance(value, str) else type(value)
        added.append((field.name, Annotated[hint, arg(**about)], value))

    def made(self: Any) -> Any:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(thing)(**{name: v.made() if hasattr(v, "made") else v for name, v in values.items()})

    summary = (inspect.getdoc(type(thing)) or "").split("\n\n")[0]
    return make_dataclass(
        type(thing).__name__, added, frozen=True, namespace={"__doc__": summary, "made": made, "__module__": __name__}
    )()


def described(kind: type) -> dict[str, str]:
    """The description of each field in the docstring of a dataclass."""
    texts = {}
    for names, text in re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", inspect.getdoc(kind) or "", re.MULTILINE):
        text = " ".join(text.split())
        texts |= dict.fromkeys(names.split(", "), text[:1].upper() + text[1:] if text[1:2].isalpha() else text)
    return texts


def _parts(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, value] if equals and name.startswith("--") else [word]


def _chosen(
    choice: str, named: Mapping[str, Any], nested: Mapping[str, Any], value: Any, words: list[str]
) -> tuple[Any, list[str]]:
    """The object that `--choice NAME` and `--choice.field NAME` choose, and the words without the latter."""
    pairs = list(zip(words, [*words, ""][1:], strict=True))
    for word, name in pairs:
        if word == flag(choice):
            value = named.get(name)
    taken: set[int] = set()
    for i, (word, name) in enumerate(pairs):
        path = word.replace("-", "_").removeprefix(f"__{choice}").split(".")
        if not path[0] and len(path) > 1 and word.startswith(flag(choice)) and name in nested:
            placed = _placed(value, path[1:], nested[name])
            if placed is not None:
                value = placed
                taken |= {i, i + 1}
    return value, [word for i, word in enumerate(words) if i not in taken]


def _placed(thing: Any, path: list[str], value: Any) -> Any:
    """`thing` with a field, or a field of a field, set to `value`; None if there is no such field."""
    if not is_dataclass(thing) or path[0] not in {field.name for field in fields(thing)}:
        return None
    inner = value if len(path) == 1 else _placed(getattr(thing, path[0]), path[1:], value)
    return None if inner is None else replace(thing, **{path[0]: inner})  # type: ignore[type-var]
