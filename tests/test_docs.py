"""The documentation is true: its code runs, its links lead somewhere, its options are those of the command line."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page):
    """Each python block, padded so that a traceback names the line of the page."""
    text = page.read_text()
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield "\n" * text[: found.start(1)].count("\n") + found[1]


def anchors(page):
    """GitHub's names for the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


WITH_CODE = [page for page in PAGES if "```python" in page.read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), namespace)  # raises where the page is wrong
    assert "js" in namespace


@pytest.mark.slow
def test_every_metric_of_the_first_block_is_inside_its_band(capsys):
    exec(next(blocks(ROOT / "README.md")), {"__name__": "page"})
    lines = re.findall(r"(\S+), true samples (\S+) to (\S+)", capsys.readouterr().out)
    assert len(lines) > 5 and all(float(low) <= float(value) <= float(high) for value, low, high in lines)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("http"):
            place, _, anchor = link.partition("#")
            target = page.parent / place if place else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_command_line_page_lists_every_option_of_each_command_and_no_other():
    from jaxsamp.cli import COMMANDS
    from jaxsamp.cli.annotate import Annotate
    from jaxsamp.cli.command import Common
    from jaxsamp.cli.compare import Compare
    from jaxsamp.cli.corrupt import Corrupt
    from jaxsamp.cli.evaluate import Evaluate
    from jaxsamp.cli.mixture import COMMANDS as OF_MIXTURES
    from jaxsamp.cli.mixture_learn import MixtureLearn
    from jaxsamp.cli.mixture_windows import MixtureWindows
    from jaxsamp.cli.quantum import COMMANDS as OF_QUANTUM
    from jaxsamp.cli.quantum_pauli import QuantumPauli
    from jaxsamp.cli.quantum_tomography import QuantumTomography
    from jaxsamp.cli.restore import Restore
    from jaxsamp.cli.sample import Sample
    from jaxsamp.cli.score_error import ScoreErrorCommand
    from jaxsamp.cli.sparameters import COMMANDS as OF_SPARAMETERS
    from jaxsamp.cli.sparameters_fit import SParametersFit
    from jaxsamp.cli.spins import COMMANDS as OF_SPINS
    from jaxsamp.cli.spins_learn import SpinsLearn
    from jaxsamp.cli.spins_sample import SpinsSample
    from jaxsamp.cli.spins_select import SpinsSelect
    from jaxsamp.cli.subject import Subject
    from jaxsamp.cli.train import Train
    from jaxsamp.cli.verify import Verify

    page = (ROOT / "docs" / "command-line.md").read_text()
    sections = dict(re.findall(r"^## `jaxsamp ([\w -]+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    shared = {f.name for f in (*fields(Subject), *fields(Common))}  # said once, in the section of `sample`
    for command, section, left_out in (
        (Train, "train", set()),
        (Sample, "sample", set()),
        (Compare, "compare", shared),
        (Evaluate, "evaluate", {"samples"}),
        (ScoreErrorCommand, "score-error", set()),
        (Verify, "verify", {"folder"}),
        (Corrupt, "corrupt", set()),
        (Restore, "restore", set()),
        (Annotate, "annotate", set()),
        (MixtureLearn, "mixture learn", set()),
        (MixtureWindows, "mixture windows", set()),
        (SpinsSample, "spins sample", set()),
        (SpinsLearn, "spins learn", set()),
        (SpinsSelect, "spins select", set()),
        (QuantumPauli, "quantum pauli", set()),
        (SParametersFit, "sparameters fit", {"file"}),
        (QuantumTomography, "quantum tomography", set()),
    ):
        assert set(re.findall(r"^\| `(--[\w-]+)`", sections[section], re.MULTILINE)) == set(options(command, left_out))
    groups = {"mixture": OF_MIXTURES, "spins": OF_SPINS, "quantum": OF_QUANTUM, "sparameters": OF_SPARAMETERS}
    within = {f"{group} {name}" for group, commands in groups.items() for name in commands}
    assert set(sections) == {*COMMANDS} - {*groups} | within


def options(command, left_out):
    """The flags of a command, as its page gives them: those that are on are shown by the flag that turns them off."""
    for field in fields(command):
        if is_dataclass(field.default):
            yield from options(type(field.default), left_out)
        elif field.name not in left_out:
            yield ("--no-" if field.default is True else "--") + field.name.replace("_", "-")


def test_every_sampler_target_and_metric_is_on_its_page():
    import jaxsamp as js
    from jaxsamp.metrics import NAMES

    smooth = {"fit_smooth", "SmoothFit", "SmoothedPolynomialClassifier", "PolynomialClassifier", "SmoothedError"}
    smooth |= {"smoothed_error", "certify", "Certificate"}
    attention = {"AttentionFit", "AttentionLayer", "fit_attention", "sign_matrices"}
    of_relu = {"ReLU", "ReLUFit", "ReLUNetRegressor", "fit_relu"}
    of_spins = {name for name in js.mcmc.__all__ if hasattr(getattr(js.mcmc, name), "prepared")}
    pages = {
        "tomography.md": {
            *("Keyl", "Purified", "Single", "CopyProtocol", "measure", "Outcomes", "estimate_state", "StateEstimate"),
            *("two_stage", "splitting", "Splitting", "random_state", "haar", "nearest_state", "trace_distance"),
            *("schur_weyl", "partitions", "sample_partitions", "linear_response", "keyl_error", "purified_error"),
        },
        "sparameters.md": {*js.sparameters.__all__},
        "smoothed-learning.md": smooth,
        "relu-networks.md": of_relu,
        "hardness.md": {*js.supervised.__all__} - of_relu - smooth - attention,
        "attention.md": attention,
        "samplers.md": {*js.samplers.__all__, *js.samplers.BY_NAME} - {"BY_NAME", "Problem", "Sampler", "State"},
        "targets.md": set(js.targets.__all__) - {"TargetDenoiser"},
        "mcmc.md": {"sample_density", *js.mcmc.__all__, "from_smoothness", "rhat"}
        - {"DensitySampler", "Langevin", "State", "SPIN_SAMPLERS"}
        - of_spins,
        "spins.md": {"sample_spins", *of_spins},
        "metrics.md": {*NAMES, *js.metrics.__all__},
        "command-line.md": {*js.recipes.__all__},
    }
    for page, names in pages.items():
        code = " ".join(re.findall(r"```.*?```|`[^`]+`", (ROOT / "docs" / page).read_text(), re.DOTALL))
        missing = [name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", code)]
        assert not missing, (page, missing)
