"""Files of calibrations: whatever does not hold one is refused when it is loaded, in one sentence."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.calibration import bases, from_curve, from_sigma_data, load
from tests.cases import SCHEDULES, small_mixture

LAM = np.linspace(-4, 4, 8)
CURVES = np.full((8, 2), 0.5)


def held(basis=None):
    """The arrays of a calibration of samples (2,)."""
    basis = basis or bases.Orthogonal(jnp.eye(2), (2,))
    made = from_curve(LAM, CURVES, mean=np.zeros(2), variance=np.ones(2), basis=basis)
    return {"mean": made.mean, "variance": made.variance, **made.frame.curves._asdict(), **basis.arrays()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"placement_log_snr": LAM}, "has no 'placement_sizes'"),
        ({"placement_sizes": np.ones((6, 2, 8))}, "has no 'placement_log_snr'"),
        ({"placement_log_snr": LAM, "placement_sizes": np.ones((6, 2, 7))}, r"placement_sizes must be .*\(6, 2, 7\)"),
        ({"placement_log_snr": LAM[::-1], "placement_sizes": np.ones((6, 2, 8))}, "placement_log_snr must increase"),
        ({"slope": 0.5}, r"slope must have .*; got \(\)"),
        ({"slope": np.ones((511, 2))}, r"slope must have the shape of log_scale, \(512, 2\); got \(511, 2\)"),
        ({"slope": np.ones((1, 2)), "log_scale": np.ones((1, 2))}, r"log_scale must .*; got \(1, 2\)"),
        (
            {"slope": np.ones((512, 3)), "log_scale": np.ones((512, 3))},
            r"samples of shape \(2,\); its curve has shape \(3,\)",
        ),
        ({"start": [1.0]}, r"start must be a number; got shape \(1,\)"),
        ({"spacing": 0.0}, "spacing must be above 0; got 0"),
        ({"event": "two"}, "event must be the shape of a sample; got 'two'"),
        ({"event": [2.5]}, r"event must be the shape of a sample; got \[2.5\]"),
        ({"event": [-2]}, r"event must be the shape of a sample; got \[-2\]"),
        ({"kind": "pcb"}, "kind must be one of .*'pca'"),
        ({"kind": "dct"}, r"event must be that of images for 'dct'; got \[2\]"),
        ({"columns": np.eye(3)}, r"columns must be of shape \(2, 2\).*; got \(3, 3\)"),
        ({"columns": np.full((2, 2), np.inf)}, "columns must be finite"),
        ({"mean": np.nan}, "mean must be finite"),
        ({"mean": "zero"}, "mean must be an array of real numbers"),
        ({"mean": np.zeros(3)}, r"samples of shape \(2,\); its mean has shape \(3,\)"),
        ({"variance": [1.0, -1.0]}, "variance must be at least 0; got -1"),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(tmp_path, change, message):
    """Some were other errors than the ValueError that is promised, others were loaded."""
    np.savez(tmp_path / "c.npz", **held() | change)
    with pytest.raises(ValueError, match=f"path must be a file written by Calibration.save; .*c.npz.*{message}"):
        load(tmp_path / "c.npz")


def test_curves_for_a_plain_sample_must_fit_its_mean(tmp_path):
    np.savez(tmp_path / "c.npz", **held(bases.PLAIN) | {"mean": np.zeros(3)})
    with pytest.raises(ValueError, match=r"path must be a file .* curve \(2,\), mean \(3,\), variance \(2,\)"):
        load(tmp_path / "c.npz")


@pytest.mark.parametrize("kind", ["plain", "coordinates", "numbers", "images"])
def test_whatever_was_saved_is_loaded(tmp_path, kind):
    event = {"numbers": (), "images": (2, 1, 1)}.get(kind, (2,))
    curves = CURVES[:, :1] if kind == "numbers" else CURVES
    basis = {"plain": bases.PLAIN, "images": bases.CosineTransform(event)}.get(kind, bases.Flat(event))
    made = from_curve(LAM, curves, basis=basis)
    assert jax.tree.structure(load(made.save(tmp_path / "c"))) == jax.tree.structure(made)


def test_sizes_of_errors_are_loaded(tmp_path):
    target = small_mixture()
    made = js.calibrate(jax.random.key(0), target.denoiser(SCHEDULES["ve"]), target, 5, 16, grid=True)
    again = load(made.save(tmp_path / "c"))
    jax.tree.map(np.testing.assert_array_equal, made, again)


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert from_sigma_data(1.0).save("~/c") == tmp_path / "c.npz"
    assert load("~/c").variance == 1 and not Path("~").exists()
