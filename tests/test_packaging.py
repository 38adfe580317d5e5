"""What the package says that it needs is what is tested."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tests.smoke import SMOKE

ROOT = Path(__file__).parents[1]


def test_the_lowest_versions_are_those_that_the_smoke_tests_run_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = project["dependencies"] + [
        one for name in ("cli", "chains", "data", "mcmc", "rf", "train", "test") for one in extras[name]
    ]
    lowest = {}
    for line in needed:
        one = Requirement(line)
        if one.name != "jaxsamp":
            lowest[one.name] = Version(next(iter(one.specifier)).version)
    lines = (ROOT / ".ci" / "lowest.txt").read_text().splitlines()
    tested = {name: Version(version) for name, _, version in (line.partition("==") for line in lines) if version}
    assert tested.pop("jaxlib") == tested["jax"]
    assert tested == lowest


def test_the_citation_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "CITATION.cff").read_text()
    cited = dict(re.findall(r"^(?:  - )?(\w+): (.+)$", text, re.MULTILINE))
    for name in ("version", "license"):
        assert cited[name] == project[name]
    assert cited["name"] == project["authors"][0]["name"]


def test_no_picture_or_link_of_the_description_is_broken_where_the_files_are_not():
    """What hatch-fancy-pypi-readme makes of the README: its substitutions, one after the other."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]
    readme = text = (ROOT / "README.md").read_text()
    for change in settings["fancy-pypi-readme"]["substitutions"]:
        text, count = re.subn(change["pattern"], change["replacement"], text)
        assert count, change
    assert [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("https://")] == []
    assert "On the left" not in text and re.findall("```.*?```", text, re.S) == re.findall("```.*?```", readme, re.S)


def test_every_room_has_a_smoke_test():
    files = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    missing = [name for names in SMOKE.values() for name in names if not any(f"def {bare(name)}" in f for f in files)]
    assert not missing
    assert {path.name for path in (ROOT / "jaxsamp").glob("[a-z]*/")} <= set(SMOKE)


def bare(name):
    return re.sub(r"\[.*", "", name)


def test_the_workflow_runs_what_must_pass_on_the_lowest_and_the_newest_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in project["classifiers"]]
    versions = sorted((found[1] for found in named if found), key=Version)
    assert project["requires-python"] == f">={versions[0]}"
    jobs = workflow["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == [versions[0], versions[-1]]
    assert any(step.get("run") == ".ci/run" for step in jobs["test"]["steps"])
    for job in ("site", "publish"):  # nothing is published that is not tested, and neither from a pull request
        assert jobs[job]["needs"] == ["test", "build"]
        assert jobs[job]["permissions"]["id-token"] == "write" and "github.ref" in jobs[job]["if"]
    assert workflow["permissions"] == {"contents": "read"}
