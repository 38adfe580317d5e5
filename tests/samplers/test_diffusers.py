"""The samplers give the numbers of diffusers' schedulers: same noise, same integer times, same denoiser."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import vs_diffusers_numbers as numbers  # noqa: E402  (the benchmark that prints these differences as a table)

AGREE = [name for name, case in numbers.CASES.items() if case.agrees]
DIFFER = [name for name, case in numbers.CASES.items() if not case.agrees]
LONG = (10, pytest.param(20, marks=pytest.mark.slow), pytest.param(50, marks=pytest.mark.slow))


@pytest.mark.parametrize("steps", LONG)
@pytest.mark.parametrize("name", AGREE)
def test_numbers_of_diffusers(x64, name, steps):
    case = numbers.CASES[name]
    # DPM-Solver++ computes in float32 there, whatever it is given.
    assert numbers.difference(case, steps) < (1e-4 if case.scheduler.startswith("DPM") else 1e-9)
    assert numbers.difference(case, steps, float64=False) < 1e-4


@pytest.mark.parametrize("name", DIFFER)
def test_stated_discrepancies_are_real(x64, name):
    assert numbers.difference(numbers.CASES[name], 10) > 1e-3
