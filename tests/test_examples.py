"""Every example and notebook runs as it stands, from an empty folder, and says something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "examples"
PICTURES = {
    "01_sample_a_mixture": 1,
    "02_your_own_network": 0,
    "03_which_sampler": 1,
    "04_guidance": 1,
    "05_noise_and_denoise": 1,
    "06_empirical": 2,
    "07_log_concave": 0,
    "08_train_a_toy": 1,
    "09_learned_score": 1,
    "10_digits_by_label": 1,
    "11_photo_patches": 1,
    "12_what_was_behind": 1,
    "13_your_own_training": 1,
    "14_parallel_in_time": 1,
    "15_many_devices": 0,
    "16_missing_pixels": 1,
    "17_folder_of_photographs": 2,
    "18_posterior_and_mixture": 1,
    "19_published_schemes": 1,
    "20_from_diffusers": 1,
    "21_hardly_any_pixel": 1,
    "22_few_clean_patches": 1,
    "23_learned_by_heart": 1,
    "24_accelerated_scanner": 1,
    "25_when_digits_are_decided": 3,
    "26_members_and_groups": 1,
    "27_spin_glass": 1,
    "28_couplings_from_samples": 1,
    "30_relevant_coordinates": 1,
    "31_pretrained_folder": 1,
    "29_rbm_digits": 1,
    "36_sparameters": 1,
    "37_four_neurons": 1,
    "38_attention_heads": 1,
    "34_nonlinear_observations": 1,
    "35_is_a_posterior_calibrated": 4,
    "33_pauli_channel": 1,
    "32_several_copies_at_once": 1,
}


# These compile little and run little; the others run for long enough to be worth optimizing.
BRIEF = {
    "01_sample_a_mixture",
    "02_your_own_network",
    "03_which_sampler",
    "04_guidance",
    "05_noise_and_denoise",
    "15_many_devices",
    "18_posterior_and_mixture",
    "19_published_schemes",
    "33_pauli_channel",
    "20_from_diffusers",
    "35_is_a_posterior_calibrated",
    "digits",
    "pauli_channels",
    "windows",
}


def environment(name):
    """The library of this checkout, no window, and compilations that suit the example."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")])
    settings = os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg"}
    return settings | ({"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if name in BRIEF else {"XLA_FLAGS": ""})


def test_every_example_is_tested_and_short():
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert [script.stem for script in scripts] == sorted(PICTURES)
    for script in scripts:
        assert len(script.read_text().splitlines()) < 60, script.name


@pytest.mark.parametrize("name", PICTURES)
def test_example_runs(name, tmp_path):
    command = [sys.executable, EXAMPLES / f"{name}.py"]
    run = subprocess.run(command, cwd=tmp_path, env=environment(name), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) >= 2 and "nan" not in run.stdout
    pictures = list(tmp_path.glob("runs/examples/*.png"))
    assert len(pictures) == PICTURES[name] and all(picture.stat().st_size > 10_000 for picture in pictures)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for name, value in environment(path.stem).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MPLBACKEND")  # the kernel brings its own, which puts figures into the notebook
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < 200_000, "keep the stored outputs small"
