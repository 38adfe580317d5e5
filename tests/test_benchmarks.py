"""Every benchmark runs, at sizes too small to say anything, and writes its table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FAKE = """
import jax.numpy as jnp
from harness import Entry, Run, main
from of_jaxsamp import ENTRIES

ours = ENTRIES[0]


def changed(change):
    def make(law, steps):
        run = ours.make(law, steps)
        return run._replace(call=lambda key, z, first: change(run.call(key, z, first)))

    return make


def broken(law, steps):
    raise ValueError("no such schedule")


main("fake", "no-such-package", [
    Entry("right", "", ours.make),
    Entry("scaled", "", changed(lambda x: 0.8 * x)),
    Entry("coupled", "", changed(lambda x: x + 0.1 * x.mean(0))),
    Entry("broken", "", broken),
])
"""
TINY = ["--samples", "4", "--target", "10", "--repeats", "1", "--dtypes", "float32", "--memory-samples"]
SHARED = {"ambient_arms", "common", "peers"}
SMALL = {
    "ambient_em": [
        *("--seeds", "1", "--laps", "2", "--steps", "2", "--ambient-steps", "2", "--data", "100", "--width", "16"),
        *("--depth", "1", "--samples", "80", "--sampling-steps", "4"),
    ],
    "ambient_mixture": ["--seeds", "1", "--steps", "2", "--data", "300", "--only", "ambient", "raw matrix"],
    "ambient_fine_tuning": ["--seeds", "1", "--clean-steps", "2", "--steps", "2", "--channels", "8"],
    "ambient_unet": [
        *("--steps", "2", "--batch", "2", "--channels", "8", "--images", "60", "--clean", "20", "--samples", "4"),
        *("--arms", "ambient", "Omni"),
    ],
    "ambient_digits": ["--seeds", "1", "--steps", "6", "--width", "16", "--samples", "80"],
    "memorization": ["--seeds", "1", "--steps", "2", "--width", "16", "--samples", "80", "--missing", "0.5"],
    "noise_hides_damage": ["--draws", "1"],
    "omni_patches": [
        *("--seeds", "1", "--steps", "2", "--checks", "1", "--classifier-steps", "2", "--samples", "80"),
        *("--cases", "digits, JPEG 10", "--only", "naive", "Omni from 0.4"),
    ],
    "piecewise_score": [
        *("--cases", "2x3", "--data", "300", "--samples", "20", "--only", "default", "iterated", "k-means"),
    ],
    "spins_learning": [
        *("--seeds", "1", "--models", "1", "--most", "300", "--only", "ten spins, 5,000", "triples, beta 1"),
    ],
    "sparameters": [
        *("--cases", "ladder, 21 of 401", "--only", "causal", "spline", "--draw-keys", "1", "--draws", "2"),
        *("--steps", "8"),
    ],
    "attention": ["--teachers", "1", "--restarts", "2", "--steps", "3", "--cases", "1 head"],
    "relu_networks": ["--sets", "1", "--most", "3000", "--cases", "close pair, k = 3, d = 10"],
    "juntas": ["--sets", "1", "--most", "2000", "--cases", "3, random"],
    "spins_by_diffusion": [
        *("--samples", "20", "--few-betas", "1", "--spins", "16", "--chains", "4", "--sweeps", "10", "--betas", "0.3"),
        *("--levels", "2", "--only", "UniPC, 32 steps", "SlidingWindow, 16 steps"),
    ],
    "adaptive_chains": ["--chains", "4", "--steps", "8", "--warmup", "8", "--seeds", "1"],
    "accuracy_vs_evaluations": ["--starts", "4", "--draws", "2", "--seeds", "1"],
    "annotation_levels": ["--seeds", "1", "--steps", "2", "--stride", "8"],
    "compile_time": ["--samples", "4", "--repeats", "1"],
    "dimension_scaling": [
        *("--dims", "4", "9", "--starts", "4", "--error", "0.5", "--only", "DDIM", "ParallelMidpoint()"),
    ],
    "device_scaling": ["--samples", "4", "--width", "16", "--only", "UniPC2", "training"],
    "digits_training": [
        *("--seeds", "1", "--steps", "5", "--width", "16", "--samples", "20", "--sampling-steps", "3", "--sets", "2"),
    ],
    "exact_scores": ["--small", "--repeats", "1"],
    "image_networks": [
        *("--train-steps", "2", "--batch", "2", "--starts", "2", "--without", "2", "--rounds", "2", "--drafts", "4"),
        *("--distill", "4", "--basis", "dct"),
    ],
    "nonlinear_observations": [
        *("--samples", "30", "--observations", "1", "--evaluations", "24", "--operators", "saturated"),
    ],
    "inverse_problems": ["--samples", "40", "--observations", "1", "--noise", "0.5"],
    "published_schemes": ["--samples", "8", "--seeds", "1", "--epsilon", "0.9"],
    "randomized_draws": ["--draws", "4", "--starts", "2", "--ripple-draws", "1", "--evaluations", "8", "16"],
    "rbm": [
        *("--seeds", "0", "--temperatures", "3", "--chains", "8", "--unlabeled", "300", "--labels", "100", "--steps"),
        *("3", "--fit-chains", "8", "--hidden", "3", "--updates", "2", "--batch", "32", "--sweeps", "1", "--rates"),
        *("0.01", "--epochs", "1"),
    ],
    "rounds_vs_accuracy": [
        *("--cases", "network", "instance", "--starts", "2", "--seeds", "1", "--train-steps", "5", "--width", "16"),
        *("--rounds", "5", "--only", "ParallelMidpoint, data frame", "parareal"),
    ],
    "pauli_channels": [
        *("--qubits", "1", "--uses", "400", "40000", "--sets", "1", "--draws", "5000", "--repeats", "1"),
    ],
    "load_pretrained": ["--width", "32", "--repeats", "1"],
    "safe_default": ["--cases", "instance", "--starts", "4"],
    "stopping_rules": [*("--cases", "instance", "--samples", "4", "--runs", "1", "--reference", "8")],
    "stopping": [*("--cases", "g64", "--samples", "4", "--runs", "1", "--reference", "8")],
    "grids": ["--starts", "4", "--cases", "plane", "--methods", "UniPC2", "--evaluations", "4", "--placements"],
    "few_evaluations": ["--starts", "4", "--cases", "plane", "--evaluations", "4", "--only", "jaxsamp"],
    "fit_overhead": ["--repeats", "2", "--steps", "2", "--only", "MLP 2 x 128"],
    "learned_score": ["--dims", "3", "--data", "20", "--steps", "2", "--seeds", "1", "--samples", "8"],
    "learn_mixtures": [
        *("--samples", "300", "--radii", "1", "--dims", "4", "--sets", "1", "--large-sets", "1", "--few", "1"),
        *("--starts", "2", "--repeats", "1", "--times", "0.1", "--center-sets", "1", "--separations", "2"),
        *("--components", "2", "3", "--memory", "1000", "4"),
    ],
    "log_concave": [
        *("--dim", "6", "--gradients", "40", "--posterior-gradients", "40", "--chains", "8", "--posterior-chains", "8"),
        *("--kept", "8", "--tuning", "40", "--repeats", "1"),
    ],
    "parallel_langevin": [
        *("--dim", "4", "--divergences", "0.1", "--midpoints", "2", "--iterations", "2", "--steps", "300"),
        *("--step-sizes", "3", "--points", "4"),
    ],
    "windows": [
        *("--components", "5", "--dim", "2", "--times", "3", "--draws", "100", "--repeats", "1", "--returned", "20"),
        *("--steps", "2"),
    ],
    "late_start": [
        *("--seeds", "1", "--sets", "2", "--samples", "80", "--train-steps", "2", "--width", "16", "--levels", "2"),
        *("--starts", "12", "--back", "2", "--steps", "3"),
    ],
    "vs_diffrax": [*TINY, "128", "--only", "UniPC2", "diffrax Tsit5, controlled, batch", "diffrax Heun, fixed steps"],
    "vs_torch": [*TINY, "0", "--only", "UniPC2", "diffusers UniPC2", "diffusers DDIM", "azula Heun", "k-diffusion lms"],
    "vs_jax": [*TINY, "0", "--only", "Midpoint", "diffusionjax DDIM", "diffuse Heun"],
    "vs_jax_laws": [
        *(
            "--offline",
            "--split",
            "0",
            "--folder",
            "TMP/peers",
            "--only",
            "diffuse",
            "jaxsamp",
            "--",
            "--samples",
            "60",
            "--laws",
        ),
        *("plane", "--steps", "4", "--evaluations", "4", "--timed-law", "plane", "--timed-steps", "4", "--batch", "16"),
        *("--repeats", "1", "--only", "UniPC2"),
    ],
    "vs_diffusers_numbers": ["--samples", "4", "--steps", "4"],
    "metric_power": [
        "--samples",
        "60",
        "--flow-samples",
        "40",
        "--sets",
        "1",
        "--null-sets",
        "20",
        "--draws",
        "3000",
        "--components",
        "3",
        "--dims",
        "8",
    ],
    "interrupted_training": ["--kills", "2", "--steps", "60"],
    "on_gpu": ["--small", "--repeats", "1"],
    "spins_sampling": [
        "--size",
        "8",
        "--side",
        "8",
        "--chains",
        "4",
        "--sweeps",
        "8",
        "--shorter",
        "200",
        "--repeats",
        "1",
    ],
    "smoothed_learning": [
        *(
            "--seeds",
            "0",
            "--rows",
            "300",
            "--fresh",
            "200",
            "--degrees",
            "1",
            "--projected",
            "300",
            "--directions",
            "2",
        ),
        *("--only", "l1", "scikit-learn, logistic"),
    ],
    "tomography": [
        *("--states", "(.9, .1)", "--copies", "1", "2", "--measurements", "20", "--budgets", "(.9, .1)", "--budget"),
        *("100", "--budget-copies", "2", "--seeds", "1"),
    ],
    "overhead": ["--samples", "16", "--dim", "4", "--steps", "4", "--repeats", "1"],
}


NAMES = sorted(p.stem for p in BENCHMARKS.glob("*.py") if p.stem not in ("common", "peers", "ambient_arms"))


def test_every_benchmark_has_a_small_run():
    assert sorted(SMALL) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_benchmark_runs(name, tmp_path):
    small = [option.replace("TMP", str(tmp_path)) for option in SMALL[name]]
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--results", str(tmp_path), *small]
    subprocess.run(command, check=True, capture_output=True)
    for written in tmp_path.glob("*.json"):
        assert json.loads(written.read_text())["rows"]
    assert list(tmp_path.glob(f"{name}*.json"))


@pytest.mark.slow
def test_split_runs_are_those_of_the_whole_batch(tmp_path):
    """Beside the numbers: shards that were deleted are drawn again, or the script raises."""
    paths = [str(BENCHMARKS / "peers_jax"), str(BENCHMARKS.parent), str(BENCHMARKS.parent / "kernels")]
    into = tmp_path / "promises.json"
    command = [sys.executable, str(BENCHMARKS / "peers_jax" / "promises.py"), "--into", str(into)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([*command, "--samples", "64", "--steps", "4"], check=True, capture_output=True, env=environment)
    for row in json.loads(into.read_text()):
        assert row.pop("sampler") and len(row) == 5
        assert all(difference < 1e-4 for difference in row.values()) and row["resumed, against not killed"] == 0


@pytest.mark.slow
def test_a_wrong_sampler_of_a_library_is_seen_and_so_is_one_that_couples_the_batch(tmp_path):
    """The harness, run on our own sampler as if a library had it: right, scaled by 0.8, and shifted by the batch."""
    (tmp_path / "of_fake.py").write_text(FAKE)
    paths = [str(BENCHMARKS / "peers_jax"), str(BENCHMARKS.parent), str(BENCHMARKS.parent / "kernels")]
    settings = "--samples 2000 --laws plane --steps 32 --evaluations 32 --timed-law plane --batch 40 --repeats 1"
    command = [sys.executable, str(tmp_path / "of_fake.py"), "--into", str(tmp_path / "fake.json"), *settings.split()]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})
    found = json.loads((tmp_path / "fake.json").read_text())
    rows = {row["sampler"]: row for row in found["rows"]}
    band = 2 * found["null"]["plane"]["variance_percent"]
    right, scaled, coupled, broken = (rows[name] for name in ("right", "scaled", "coupled", "broken"))
    assert abs(right["law"]["plane, 32"]["variance_percent"]) < band
    assert right["flow"]["plane, 32"] < 1e-3 and right["alone"] < 1e-5 and right["compiled_by_second_call"] == 0
    assert scaled["law"]["plane, 32"]["variance_percent"] < -30 and scaled["flow"]["plane, 32"] > 0.03
    assert coupled["alone"] > 1e-3 and "ValueError" in broken["raises"]
