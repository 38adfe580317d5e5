"""Every benchmark runs, at sizes too small to say anything, and writes its table."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "accuracy_vs_evaluations": ["--starts", "4", "--draws", "2", "--seeds", "1"],
    "compile_time": ["--samples", "4", "--repeats", "1"],
    "exact_scores": ["--small", "--repeats", "1"],
    "metric_power": ["--samples", "60", "--flow-samples", "40", "--sets", "1", "--null-sets", "20", "--draws", "3000",
                     "--components", "3", "--dims", "8"],
    "overhead": ["--samples", "16", "--dim", "4", "--steps", "4", "--repeats", "1"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(p.stem for p in BENCHMARKS.glob("*.py") if p.stem != "common"))
def test_benchmark_runs(name, tmp_path):
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--results", str(tmp_path), *SMALL[name]]
    subprocess.run(command, check=True, capture_output=True)
    for written in tmp_path.glob("*.json"):
        assert json.loads(written.read_text())["rows"]
    assert list(tmp_path.glob(f"{name}*.json"))
