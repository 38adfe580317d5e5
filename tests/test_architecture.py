"""Imports run one way, and importing the package stays cheap."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxsamp as js

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxsamp"
# A room may import from those on lines before its own; rooms on one line do not know each other.
LINES = [
    ["core"],
    ["devices", "datasets", "plots"],
    ["schedules"],
    ["grids"],
    ["corruptions"],
    ["calibration"],
    ["denoisers"],
    ["losses", "models"],
    ["targets"],
    ["mcmc"],
    ["samplers"],
    ["running"],
    ["density"],
    ["discrete"],
    ["metrics", "training"],
    ["learning"],
    ["theory"],
    ["quantum", "supervised", "sparameters"],
    ["recipes"],
    ["cli"],
]
RANK = {room: rank for rank, line in enumerate(LINES) for room in line}
ABOVE_THE_DOORS = ("recipes", "cli")  # which use the public names as a user does
# The only places that may import these, so that the others need none of them.
HOMES = {
    "flax": ("models/", "learning/"),
    "optax": ("training/", "learning/", "supervised/", "sparameters/"),
    "orbax": ("training/checkpoint.py",),
    "grain": ("training/lazy.py", "datasets/lazy.py"),
    "blackjax": ("mcmc/",),
}
# Of JAX: how arrays lie on devices.
SHARDING = ("shard_map", "PartitionSpec", "NamedSharding", "axis_index", "all_gather", "psum", "pmean", "ppermute")
KNOW_DEVICES = ("devices", "running", "training")


def imported(path):
    """The dotted names that a file imports, at any depth, relative ones made absolute; and what else could import."""
    parts = ("jaxsamp", *path.relative_to(PACKAGE).with_suffix("").parts) if path.is_relative_to(PACKAGE) else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name if alias.asname else alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in ("import_module", "__import__"):
                yield "importlib.import_module"
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "sys.modules":
            yield "importlib.import_module"


def violations(path):
    """What a file of a room imports and must not."""
    place = path.relative_to(PACKAGE)
    own = place.parts[0].removesuffix(".py")
    for name in imported(path):
        package, room, *_ = (*name.split("."), "")
        if package == "jaxsamp" and (own not in ABOVE_THE_DOORS or room in RANK):
            if room not in RANK:
                yield f"{name}: the package itself, or a lazy public name"
            elif room != own and RANK[room] >= RANK[own]:
                yield f"{name}: a room that is not above"
        if name == "importlib.import_module" and own not in ABOVE_THE_DOORS:
            yield "imports by name"
        homes = HOMES.get(package)
        if homes is not None and not str(place).startswith(homes):
            yield f"{name}: only in {', '.join(homes)}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no place in the order of imports"
    assert not [*violations(path)]
    if own not in KNOW_DEVICES:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        names |= {name.split(".")[-1] for name in imported(path)}
        assert not names & set(SHARDING), f"{own} must leave devices to jaxsamp.devices"


@pytest.mark.parametrize(
    "line",
    [
        "import jaxsamp",
        "import jaxsamp as js",
        "from jaxsamp import sample",
        "from jaxsamp import (grids, sample)",
        "import jaxsamp.core.checks",
        "import importlib; importlib.import_module('jaxsamp.running')",
        "from importlib import import_module",
        "__import__('jaxsamp.running')",
        "import sys; sys.modules['jaxsamp'].sample",
        "from jaxsamp import running",
        "from jaxsamp.running.sampling import sample",
        "from ..running import sample",
        "from .. import running",
        "import jaxsamp.running.engine",
        "def later():\n    from jaxsamp import sample",
        "import flax.linen",
    ],
)
def test_no_way_around_the_order_of_imports(line, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "denoisers" / "mine.py"
    path.parent.mkdir()
    path.write_text(line)
    assert [*violations(path)]
    path.write_text("from jaxsamp.core import checks\nfrom jaxsamp import grids\nfrom . import base\nimport jax")
    assert not [*violations(path)]


def test_only_schedules_and_grids_stand_outside_of_rooms():
    loose = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert loose == {"schedules.py", "grids.py"}


def test_files_are_short():
    lengths = [
        len(path.read_text().splitlines()) for path in (*PACKAGE.rglob("*.py"), *(ROOT / "kernels").rglob("*.py"))
    ]
    assert max(lengths) <= 320
    assert sorted(lengths)[len(lengths) // 2] <= 150


@pytest.mark.parametrize("path", sorted((ROOT / "kernels").rglob("*.py")), ids=lambda p: p.name)
def test_kernels_import_jax_alone(path):
    allowed = {"jax", "jaxsamp_kernels", "numpy", "math", "typing", "collections", "functools"}
    assert {name.split(".")[0] for name in imported(path)} <= allowed
    assert not re.search(r"jax\.random|import random", path.read_text()), "kernels take random numbers, not keys"


def test_kernels_folder_is_not_a_package():
    assert not (ROOT / "kernels" / "__init__.py").exists()


def test_import_is_lazy_and_touches_no_device():
    code = (
        "import sys, jaxsamp; heavy = {'jax', 'matplotlib', 'sklearn', 'orbax', 'flax', 'rich'} & set(sys.modules); "
        "assert not heavy, heavy; jaxsamp.sample; import jax._src.xla_bridge as b; assert not b._backends; "
        "heavy = {'matplotlib', 'sklearn', 'orbax', 'flax'} & set(sys.modules); assert not heavy, heavy"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_every_public_name_loads_and_is_documented():
    for name in js.__all__:
        assert getattr(js, name).__doc__, name
    assert "sample" in dir(js)
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        js.smaple  # noqa: B018
