"""The benchmark for accelerators: what it needs, and that nothing measured is lost."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))
import on_gpu  # noqa: E402
from gpu import networks, precision  # noqa: E402

# What a machine with jax, flax, optax, numpy, scipy, rich and jaxtyping may not have.
ABSENT = ("tyro", "matplotlib", "sklearn", "chex", "orbax", "grain", "PIL", "beartype", "arviz_stats", "safetensors")


class Section:
    TITLE, SECONDS = "a section", 10.0

    def __init__(self, *steps):
        self.steps = steps

    def rows(self, options, clock):
        for step in self.steps:
            yield {"row": step(clock)}


def run(section, seconds=10.0):
    found, saved = {"section": "it"}, []
    on_gpu.run(section, argparse.Namespace(), seconds, lambda: saved.append(json.dumps(found)), found)
    assert json.loads(saved[-1]) == found
    return found, saved


def fails(clock):
    raise MemoryError("There is no room.\nAnd more about it.")


def test_a_section_that_fails_keeps_its_rows_and_a_sentence():
    found, saved = run(Section(lambda clock: 1, lambda clock: 2, fails))
    assert found["rows"] == [{"row": 1}, {"row": 2}]
    assert found["error"] == "MemoryError: There is no room."
    assert [len(json.loads(one)["rows"]) for one in saved] == [1, 2, 2], "a row must be on the disk before the next one"


def test_a_section_out_of_time_keeps_its_rows_and_a_sentence():
    def late(clock):
        clock.start -= 20
        return 1

    found, _ = run(Section(late, lambda clock: 2))
    assert found["rows"] == [{"row": 1}]
    assert found["error"] == "OutOfTime: The section may take 10 s and stopped after 20 s."
    found, _ = run(Section(lambda clock: 1), seconds=0.0)
    assert found["rows"] == [] and found["error"] == "OutOfTime: The sections before it left no time."


def test_images_have_the_standard_deviation_that_the_networks_are_scaled_for():
    for small, event in ((True, (8, 8, 1)), (False, (32, 32, 3))):
        x = networks.images(64, small)
        assert x.shape == (64, *event) and x.dtype == np.float32
        np.testing.assert_allclose(x.std(), 0.5, rtol=1e-3)


@pytest.mark.parametrize(("bits", "verdict"), [(24, "yes"), (11, "NO")])
def test_a_product_of_rounded_factors_does_not_pass(bits, verdict):
    a = np.random.default_rng(0).standard_normal((32, 64))
    mantissa, exponent = np.frexp(a)
    rounded = np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent)
    row = precision.judged("it", a @ a.T, rounded @ rounded.T, (a @ a.T).astype(np.float32))
    assert row["passes"] == verdict and row["bound"] == 1e-5


@pytest.mark.parametrize(
    "sections",
    [["exact_scores"], pytest.param(["memory", "precision", "same_samples"], marks=pytest.mark.slow)],
    ids=lambda sections: "-".join(sections),
)
def test_it_runs_with_what_a_bare_machine_has(tmp_path, sections):
    """Everything but what trains a network, which `test_benchmark_runs` has."""
    block = f"import sys; sys.modules.update(dict.fromkeys({ABSENT}))"
    main = f"import runpy; sys.path.insert(0, {str(BENCHMARKS)!r}); sys.argv[0] = 'on_gpu.py'"
    code = f"{block}; {main}; runpy.run_path({str(BENCHMARKS / 'on_gpu.py')!r}, run_name='__main__')"
    command = [sys.executable, "-c", code, "--small", "--sections", *sections, "--results", str(tmp_path)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (written,) = tmp_path.glob("on_gpu_*.json")
    content = json.loads(written.read_text())
    assert [one["section"] for one in content["rows"]] == sections
    for one in content["rows"]:
        assert one["error"] is None and one["rows"] and one["title"] in shown, one
    rows = {one["section"]: one["rows"] for one in content["rows"]}
    if "precision" in rows:
        verdicts = {row["value"]: row["passes"] for row in rows["precision"]}
        assert len(verdicts) > 30 and "NO" not in verdicts.values()
        assert all(row["most"] == 0 for row in rows["same_samples"]), "a CPU against itself"
