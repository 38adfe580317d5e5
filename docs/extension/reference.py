"""One page of the reference for each room, from the rooms' own lists of public names."""

import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jaxsamp

INDEX = """API reference
=============

Every public name, from its docstring. `jaxsamp` itself has those that most programs need; the others are in rooms.

.. toctree::
   :maxdepth: 1

   {pages}
"""


CORE = ("jaxsamp.core.protocols", "jaxsamp.core.pytrees", "jaxsamp.core.types")
WITHIN = ("jaxsamp.models.diffusers", "jaxsamp.running.shards", "jaxsamp.theory.windows")


def rooms() -> list[str]:
    """The modules that have public names: the package itself, its rooms, packages within, and parts of the core."""
    of_package = (f"jaxsamp.{room}" for room in jaxsamp._MODULES if room != "core")
    return [*sorted(["jaxsamp", *of_package, *WITHIN]), *CORE]


def names(room: str) -> list[str]:
    """The public names of a room, without those that are rooms themselves; of a loose module, what it defines."""
    module = import_module(room)
    listed = getattr(module, "__all__", None)
    if listed is None:
        made = {name for name, value in vars(module).items() if inspect.isclass(value) or inspect.isroutine(value)}
        listed = sorted(name for name in made if name[0] != "_" and getattr(module, name).__module__ == room)
    return [name for name in listed if not isinstance(getattr(module, name), ModuleType)]


def entries() -> dict[str, dict[str, str]]:
    """For each room, its public names, and the full name under which each is described.

    It is that of the package itself if there is one, else that of the room in which the object was made.
    """
    found: dict[int, str] = {}
    every = {room: {name: getattr(import_module(room), name) for name in names(room)} for room in rooms()}
    for room, values in every.items():
        for name, value in values.items():
            home = room == "jaxsamp" or str(getattr(value, "__module__", "")).startswith(room)
            if id(value) not in found or (home and found[id(value)].count(".") > 1):
                found[id(value)] = f"{room}.{name}"
    return {room: {name: found[id(value)] for name, value in values.items()} for room, values in every.items()}


def page(room: str, described: dict[str, str]) -> str:
    """The page of a room in reStructuredText."""
    module = import_module(room)
    parts = [f"{room}\n{'=' * len(room)}", f".. automodule:: {room}\n   :no-members:"]
    parts += [entry(f"{room}.{name}", full, getattr(module, name)) for name, full in described.items()]
    return "\n\n".join(parts) + "\n"


def entry(name: str, full: str, value: Any) -> str:
    """A heading, and the directive that describes a name or a link to another name of the same object."""
    short = name.rpartition(".")[2]
    return f"{short}\n{'-' * len(short)}\n\n{description(name, full, value)}"


def description(name: str, full: str, value: Any) -> str:
    """The directive that describes a name, or a link to where another name of the same object is described."""
    if name != full:
        return f"``{name.rpartition('.')[2]}`` is :py:obj:`{full}`."
    if inspect.isclass(value) and not value.__module__.startswith("jaxsamp"):
        return f".. py:data:: {name}\n\n   ``{value.__module__}.{value.__qualname__}``."
    if inspect.isclass(value):
        return f".. autoclass:: {name}\n   :members:"
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return f".. autofunction:: {name}"
    return f".. py:data:: {name}\n   :type: {type(value).__name__}\n\n   {contents(value)}"


def contents(value: Any) -> str:
    """What a constant holds, in code: the keys of a dictionary, or the value."""
    if isinstance(value, dict):
        return "Keys: " + ", ".join(f"``{key!r}``" for key in value) + "."
    shown = [getattr(one, "__name__", repr(one)) for one in (value if isinstance(value, tuple) else [value])]
    return ", ".join(f"``{one}``" for one in shown) + "."


def write(folder: Path) -> None:
    """Write the pages that changed, and remove those of rooms that are gone."""
    folder.mkdir(exist_ok=True)
    pages = {room.removeprefix("jaxsamp.").replace(".", "-"): page(room, of) for room, of in entries().items()}
    pages["index"] = INDEX.format(pages="\n   ".join(pages))
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
