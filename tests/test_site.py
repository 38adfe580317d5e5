"""The site: its reference has every public name, docstrings come through, and pictures are those of examples."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxsamp"
GALLERY = ROOT / "docs" / "gallery"
ROOMS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in PACKAGE.rglob("__init__.py")
    if "\n__all__" in path.read_text()
)


@pytest.fixture(scope="module")
def extension():
    """The modules that make the site, by name; they need no Sphinx."""
    sys.path.insert(0, str(ROOT / "docs" / "extension"))
    try:
        yield {name: import_module(name) for name in ("docstrings", "example_pages", "reference")}
    finally:
        sys.path.remove(str(ROOT / "docs" / "extension"))


def test_the_reference_describes_every_public_name_of_every_room_once(extension):
    entries = extension["reference"].entries()
    assert {*ROOMS, "jaxsamp.grids", "jaxsamp.schedules"} <= set(entries)
    pages = {room: extension["reference"].page(room, of) for room, of in entries.items()}
    described = re.findall(r"^\.\. (?:autoclass|autofunction|py:data):: (\S+)", "".join(pages.values()), re.MULTILINE)
    assert len(described) == len(set(described))
    for room in ROOMS:
        module = import_module(room)
        for name in module.__all__:
            if type(getattr(module, name)) is not type(sys):  # rooms, which have pages of their own
                full = entries[room][name]
                assert full in described and getattr(import_module(full.rpartition(".")[0]), full.split(".")[-1])
                assert f"\n{name}\n{'-' * len(name)}\n" in pages[room]
                assert (f"`{full}`." in pages[room]) is (full != f"{room}.{name}")


def test_a_loose_module_of_the_reference_has_what_it_defines(extension):
    entries = extension["reference"].entries()
    assert {"karras", "log_snr", "diffusers"} <= set(entries["jaxsamp.grids"])
    assert {"EDM", "Cosine", "DiscreteTime"} <= set(entries["jaxsamp.schedules"])
    assert not {"Array", "jnp", "checks"} & set(entries["jaxsamp.schedules"])


DOCSTRING = """|m|^2 of x_ and `a*b` in (n, *event), \\ too.

    y = |x|^2 * x_

| method | of |
|---|---|
| "one" | `x`, n * x |

Args:
    x: n.
    rest_: *event.
"""
SHOWN = """\\|m\\|^2 of x\\_ and `a*b` in (n, \\*event), \\\\ too.

::

    y = |x|^2 * x_

.. csv-table::
   :delim: |
   :quote: ~
   :header-rows: 1

   method | of
   "one" | `x`, n \\* x

Args:
    x: \\n.
    rest_: \\*event.
"""


def test_a_docstring_says_on_the_site_what_it_says_in_the_code(extension):
    assert "\n".join(extension["docstrings"].converted(DOCSTRING.split("\n"))) == SHOWN


def test_every_thumbnail_is_a_small_picture_of_an_example():
    examples = {path.stem for path in (ROOT / "examples").glob("*.py")}
    thumbnails = sorted(GALLERY.glob("*.png"))
    assert thumbnails and {path.stem for path in thumbnails} <= examples
    for path in thumbnails:
        head = path.read_bytes()[:26]
        assert head[:8] == b"\x89PNG\r\n\x1a\n" and head[25] == 3, f"{path.name} has no palette"
        assert path.stat().st_size <= 40_000, path.name
    assert sum(path.stat().st_size for path in thumbnails) < 1_200_000


def test_the_page_of_examples_is_that_of_the_examples_as_they_are(extension):
    page = GALLERY / "README.md"
    assert page.read_text() == extension["example_pages"].gallery(ROOT), "run docs/extension/gallery.py"
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    assert len(links) > 50 and all((GALLERY / link).exists() for link in links)
    assert {path.name for path in (ROOT / "examples").glob("*.[pi][yp]*")} <= {Path(link).name for link in links}
