"""Which files of the repository are pages of the site, their order, and Python files as pages."""

import os
import re
import shutil
from pathlib import Path
from textwrap import indent
from typing import Any

from docstrings import converted, escaped
from example_pages import halves, title
from sphinx.parsers import RSTParser

GALLERY = "docs/gallery/README"
FIRST = ("README", "concepts", "which-sampler", "coming-from-diffusers", "command-line")
LAST = ("extending", "glossary", "bibliography")
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)[^)]*\)")


def markdown(root: Path) -> list[Path]:
    """The pages that are written by hand."""
    loose = [root / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")]
    return [*loose, root / f"{GALLERY}.md", *sorted((root / "docs").glob("*.md"))]


def documents(root: Path) -> list[str]:
    """All pages: those written by hand, examples and notebooks, and the Python files that pages link to."""
    linked = {(page.parent / link).resolve() for page in markdown(root) for link in LINK.findall(page.read_text())}
    files = {path for path in linked if path.suffix == ".py"} | {*(root / "examples").glob("*.py")}
    files |= {*markdown(root), *(root / "examples").glob("*.ipynb")}
    return sorted(path.relative_to(root.resolve()).as_posix() for path in map(Path.resolve, files))


def guides(root: Path) -> list[str]:
    """Pages about one subject, in the order of the overview."""
    listed = re.findall(r"^\| \[[^]]+\]\(([\w-]+)\.md\)", (root / "docs" / "README.md").read_text(), re.MULTILINE)
    return [name for name in listed if name not in (*FIRST, *LAST)]


def contents(root: Path) -> dict[str, list[str]]:
    """The documents under each heading of the table of contents."""
    return {
        "Start": [f"docs/{name}" for name in FIRST],
        "Guides": [f"docs/{name}" for name in guides(root)],
        "Examples": [GALLERY],
        "Reference": ["docs/api/index", *(f"docs/{name}" for name in LAST), "benchmarks/README"],
        "Project": ["CHANGELOG", "CONTRIBUTING"],
    }


def toctree(documents: list[str], caption: str = "", title: str = "") -> str:
    """A directive that puts documents into the table of contents without showing it on the page."""
    lines = [f"{title or ''} </{name}>" if title else f"/{name}" for name in documents]
    return "\n".join(["", "", "```{toctree}", ":hidden:", f":caption: {caption}", "", *lines, "```", ""])


def _add_contents(app: Any, name: str, source: list[str]) -> None:
    """Add the table of contents to the start, and the examples to their gallery; links to folders lead to pages."""
    root = Path(app.srcdir)
    if name == "README":
        source[0] += "".join(toctree(of, caption) for caption, of in contents(root).items())
    elif name == GALLERY:
        for suffix, caption in ((".py", "Examples"), (".ipynb", "Notebooks")):
            of = sorted(f"examples/{path.stem}" for path in (root / "examples").glob(f"*{suffix}"))
            source[0] += toctree(of, caption)
    if Path(app.env.doc2path(name)).suffix == ".md":
        source[0] = re.sub(
            r"\$[^$\n]+\$", lambda math: re.sub(r"\\([*_])", r"\1", math[0]), source[0]
        )  # as GitHub does
    here = os.path.relpath(f"{GALLERY}.md", os.path.dirname(name) or ".")
    source[0] = re.sub(r"\]\((\.\./)?examples\)", f"]({here})", source[0])


class PythonPage(RSTParser):
    """A Python file as a page."""

    supported = ("python-page",)

    def parse(self, inputstring: str, document: Any) -> None:
        """Fill the document."""
        env = document.settings.env
        super().parse(shown(inputstring, env.docname, Path(env.srcdir)), document)


def shown(text: str, name: str, root: Path) -> str:
    """A Python file in reStructuredText: of an example its title, docstring, picture and code, of others the whole."""
    heading, above, below = escaped(f"{name}.py"), [":orphan:", ""], []
    if name.startswith("examples/"):
        stem = name.removeprefix("examples/")
        heading, above = title(stem), []
        doc, text = halves(text)
        below = [*converted(doc.split("\n")), "", f"``{name}.py``", ""]
        if (root / f"docs/gallery/{stem}.png").exists():
            below += [f".. image:: /docs/gallery/{stem}.png", f"   :alt: {heading}", ""]
    head = [*above, heading, "=" * len(heading), "", *below, ".. code-block:: python", ""]
    return "\n".join([*head, indent(text, "   ")])


def _index(app: Any, failure: Exception | None) -> None:
    """The start, under the name that servers look for."""
    if failure is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Any) -> None:
    """Connect to Sphinx."""
    app.add_source_parser(PythonPage)
    app.connect("source-read", _add_contents)
    app.connect("build-finished", _index)
