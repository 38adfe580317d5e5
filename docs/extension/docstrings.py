"""Docstrings, which are plain text with `code`, indented equations and tables, as reStructuredText."""

import re
from typing import Any

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
ARRAY = re.compile(r"(~jax\.)?(?:jaxlib\._jax\.)Array")
ARRAY_LIKE = "~jax.Array | ~numpy.ndarray | ~numpy.bool | ~numpy.number | bool | int | float | complex"


def converted(lines: list[str]) -> list[str]:
    """A docstring in reStructuredText, in which sections are left to napoleon.

    Code stays in its backquotes, and all else that would have a meaning is escaped. A block that is indented outside of
    sections is shown as it stands, and a table of Markdown becomes one of values between bars.
    """
    out: list[str] = []
    inside = None  # "section", "block" or "table"
    for i, line in enumerate(lines):
        before = out[-1] if out else ""
        if SECTION.match(line):
            inside = "section"
            out.append(line)
            continue
        if line and not line.startswith(" "):
            inside = "table" if line.startswith("|") and (inside == "table" or _is_rule(lines, i + 1)) else None
        elif line and not before.strip() and inside != "section" and inside != "block":
            inside = "block"
            out += ["::", ""]
        if inside == "block":
            out.append(line)
        elif inside == "table" and line:
            out += _table_row(line, first=_is_rule(lines, i + 1))
        elif inside == "section":
            name, text = re.fullmatch(r"(    [\w., *]+: )?(.*)", line, re.DOTALL).groups(default="")
            out.append(name + escaped(text))
        else:
            out.append(escaped(line))
    return out


def _is_rule(lines: list[str], i: int) -> bool:
    return i < len(lines) and lines[i].startswith("|---")


def _table_row(line: str, first: bool) -> list[str]:
    """A row of a table of Markdown as one of values between bars; the first begins the table."""
    if line.startswith("|---"):
        return []
    row = "   " + escaped(line.strip("| "), r"[\\*]|_(?!\w)")
    return [".. csv-table::", "   :delim: |", "   :quote: ~", "   :header-rows: 1", "", row] if first else [row]


def escaped(text: str, special: str = r"[\\*|]|_(?!\w)") -> str:
    """One line in which every character outside of code in backquotes stands for itself."""
    parts = re.split(r"(`[^`]+`)", text)
    whole = "".join(part if i % 2 else re.sub(special, r"\\\g<0>", part) for i, part in enumerate(parts))
    return re.sub(r"^( *)(?=[A-Za-z]\.( |$))", r"\1\\", whole)  # "n." alone is not item n of a list


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines)


def _signature(app: Any, what: str, name: str, obj: Any, options: Any, args: str | None, result: str | None) -> Any:
    """Types by the names that they have in the code."""
    return tuple(text and ARRAY.sub(r"\1Array", text).replace(ARRAY_LIKE, "ArrayLike") for text in (args, result))


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what other libraries add to classes, and the fields of named tuples, which have no docstring."""
    foreign = not str(getattr(obj, "__module__", "jaxsamp")).startswith("jaxsamp")
    alias = str(getattr(obj, "__doc__", "")).startswith("Alias for field number")
    return True if foreign or alias or re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Any) -> None:
    """Connect to autodoc, before napoleon."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
