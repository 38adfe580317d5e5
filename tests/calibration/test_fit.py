"""A calibration that cannot be, or is of other samples, is refused where it is made or given."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.calibration import bases, from_curve, from_sigma_data
from jaxsamp.samplers import UniPC
from tests.cases import gaussian, network, shrinking

LAM, HALF = np.linspace(-4, 4, 8), np.full(8, 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma_data": 0.0}, "sigma_data must be above 0 and finite; got 0.0"),
        ({"sigma_data": np.inf}, "sigma_data must be above 0 and finite; got inf"),
        ({"sigma_data": np.nan}, "sigma_data must be above 0 and finite; got nan"),
        ({"sigma_min": 0.0}, "sigma_min must be above 0 and finite; got 0.0"),
        ({"sigma_max": -1.0}, "sigma_max must be above 0 and finite; got -1.0"),
        ({"sigma_max": np.inf}, "sigma_max must be above 0 and finite; got inf"),
        ({"sigma_max": 1.0, "sigma_min": 2.0}, "sigma_max must be above sigma_min = 2.0; got 1.0"),
        ({"sigma_data": "1"}, "sigma_data must be a number; got a str"),
        ({"sigma_max": np.ones(2)}, "sigma_max must be a number; got a ndarray"),
        ({"mean": np.array([0, np.inf])}, "mean must be finite; got inf"),
    ],
)
def test_tables_that_would_be_nan_are_refused(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        inspect.unwrap(from_sigma_data)(**{"sigma_data": 1.0} | given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variance": -1.0}, "variance must be at least 0; got -1"),
        ({"variance": np.array([1, np.nan])}, "variance must be finite"),
        ({"mean": np.nan}, "mean must be finite; got nan"),
        ({"mean": np.array("zero")}, "mean must be an array of real numbers"),
        (
            {"mean": np.zeros(3), "variance": np.ones(2)},
            r"one shape; got shapes curve \(\), mean \(3,\), variance \(2,\)",
        ),
        ({"basis": bases.Flat((3,)), "mean": np.zeros(2)}, r"samples of shape \(3,\); its mean has shape \(2,\)"),
    ],
)
def test_moments_that_no_data_have_are_refused(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        inspect.unwrap(from_curve)(LAM, HALF, **given)


def test_moments_may_be_traced():
    made = jax.jit(lambda m, v: (from_curve(LAM, HALF, mean=m, variance=v), from_sigma_data(1.0, mean=m)))(1.0, 2.0)
    assert made[0].mean == made[1].mean == 1 and made[0].variance == 2


def test_a_coordinate_of_the_data_may_be_constant():
    """As the corners of images of digits are."""
    data = jax.random.normal(jax.random.key(0), (16, 3)).at[:, 1].set(0.0)
    found = js.calibrate(jax.random.key(1), shrinking(), data, levels=5, basis="coordinates")
    assert found.variance[1] == 0


def of(d):
    return from_curve(LAM, np.full((8, d), 0.5), variance=1.0, basis=bases.Orthogonal(jnp.eye(d), (d,)))


@pytest.mark.parametrize("made", [of(2), from_curve(LAM, HALF, variance=1.0, basis=bases.Flat((2,)))])
def test_a_calibration_of_other_samples_is_refused_where_it_is_used(made):
    """It was an error of dot_general."""
    with pytest.raises(ValueError, match=r"calibration must be of samples of shape \(3,\); its basis has shape \(2,\)"):
        js.sample(jax.random.key(0), network().with_calibration(made), (4, 3), UniPC(frame="calibrated"), 3)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (of(3), r"its basis has shape \(3,\)"),
        (from_curve(LAM, np.full((8, 3), 0.5)), r"its curve has shape \(3,\)"),
        (from_sigma_data(1.0, mean=np.zeros(3)), r"its mean has shape \(3,\)"),
        (from_sigma_data(1.0, mean=np.zeros((2, 2))), r"its mean has shape \(2, 2\)"),
    ],
)
def test_a_calibration_of_other_samples_is_refused_by_a_denoiser_that_knows_its_own(made, message):
    denoiser = js.clip(gaussian().denoiser(js.schedules.VarianceExploding()))
    assert denoiser.with_calibration(of(2)).calibration is not None
    with pytest.raises(ValueError, match=r"calibration must be of samples of shape \(2,\); " + message):
        denoiser.with_calibration(made)


def test_what_is_no_calibration_is_refused():
    attach = inspect.unwrap(js.denoisers.BaseDenoiser.with_calibration)
    with pytest.raises(TypeError, match=r"calibration must be .*jaxsamp.calibrate.* or None; got a int"):
        attach(network(), 3)
    with pytest.raises(TypeError, match=r"calibration must be .*; got a int"):
        js.targets.ring().denoiser(js.schedules.Cosine()).with_calibration(3)


@pytest.mark.parametrize("cond", [3, [1, 2, 3], "label"])
def test_conditions_that_are_no_arrays_are_one_sentence(cond):
    with pytest.raises(ValueError, match=r"cond must have leaves of shape \(n = 5, \.\.\.\), arrays; got"):
        js.calibrate(jax.random.key(0), shrinking(), jnp.ones((5, 2)), 5, cond=cond)
