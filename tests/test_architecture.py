"""Imports run one way, and importing the package stays cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxsamp as js

ROOT = Path(__file__).parents[1]
# Each module may import those on the levels before its own, and its own family.
LEVELS = [
    ["jaxsamp_kernels"],
    ["types", "random", "checks", "progress", "pytrees", "batching", "datasets", "sharding", "collectives", "hosts"],
    ["bases", "linear_part", "configuration"],
    ["schedules", "grids"],
    ["denoisers", "inverse"],
    ["losses", "models", "measuring"],
    ["targets"],
    ["metrics"],
    ["samplers", "langevin"],
    ["trajectories"],
    ["pieces"],
    ["sampling", "chains", "flows", "likelihood"],
    ["shards"],
    ["calibration"],
    ["training"],
    ["published"],
    ["plots"],
    ["recipes"],
    ["cli"],
]
# The only places that may import these, so that the core needs none of them.
HOMES = {
    "flax": ("models/",),
    "optax": ("training/", "learning/"),
    "orbax": ("training/checkpoint.py",),
    "grain": ("training/lazy.py", "datasets/lazy.py"),
}
RANK = {name: rank for rank, level in enumerate(LEVELS) for name in level}


def imported(path):
    """The (package, module) pairs that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" if node.module == "jaxsamp" else node.module for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        for name in names:
            yield (*name.split("."), "")[:2]


@pytest.mark.parametrize("path", sorted((ROOT / "jaxsamp").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path):
    own = path.relative_to(ROOT / "jaxsamp").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no place in the order of imports"
    for package, module in imported(path):
        if package == "jaxsamp_kernels":
            continue
        if package == "jaxsamp" and module in RANK:
            assert module == own or RANK[module] <= RANK[own], f"{own} must not import {module}"
        homes = HOMES.get(package)
        place = str(path.relative_to(ROOT / "jaxsamp"))
        assert homes is None or place.startswith(homes), f"{place} must not import {package}"


@pytest.mark.parametrize("path", sorted((ROOT / "kernels").rglob("*.py")), ids=lambda p: p.name)
def test_kernels_import_jax_alone(path):
    allowed = {"jax", "jaxsamp_kernels", "numpy", "math", "typing", "collections", "functools"}
    assert {package for package, _ in imported(path)} <= allowed
    assert "jax.random" not in path.read_text(), "kernels take random numbers, not keys"


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
