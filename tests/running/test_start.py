"""A start that does not drown the data is named, where the law or the calibration knows them."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.calibration import from_sigma_data
from jaxsamp.targets import Empirical, GaussianMixture, UniformBoxes
from tests.cases import SCHEDULES, network, quick, small_mixture

KEY, SCHEDULE = jax.random.key(0), SCHEDULES["ve"]
ROWS = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
LAWS = {
    "far": GaussianMixture.spherical([1.0], [[1000.0]], 1.0),
    "modes": GaussianMixture.diagonal([0.5, 0.5], [[-1e4], [1e4]], [[1.0], [1.0]]),
    "full": GaussianMixture([1.0], [[0.0, 0.0]], [[[400.0, 0.0], [0.0, 1.0]]]),
    "low_rank": GaussianMixture.low_rank([1.0], [[0.0, 0.0]], [[[30.0], [0.0]]], 1.0),
    "empirical": Empirical(255 * np.abs(ROWS)),
    "boxes": UniformBoxes(np.ones(1), np.full((1, 2), 90.0), np.full((1, 2), 91.0)),
}


def drawn(denoiser, n=2, **options):
    return js.sample(KEY, denoiser, (n, *denoiser.event_shape), js.samplers.DDIM(), **({"steps": 2} | options))


@pytest.mark.parametrize("name", quick(LAWS, "full", "low_rank", "empirical"))
def test_a_start_that_does_not_drown_the_law_is_named_once(name):
    with pytest.warns(UserWarning, match=r"grid must start where .* is 80, and the .* sigma_max = ") as caught:
        drawn(LAWS[name].denoiser(SCHEDULE))
    assert len(caught) == 1
    squares = np.square(np.asarray(LAWS[name].sample(KEY, 4000), float)).mean(0).max()
    assert LAWS[name].magnitude == pytest.approx(np.sqrt(squares), rel=0.1)


def test_the_named_start_drowns_the_law():
    """A mean of 1000: by default 987.5, and from the level that the warning names within half a standard deviation."""
    grid = functools.partial(js.grids.log_snr, sigma_max=5500.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = drawn(LAWS["far"].denoiser(SCHEDULE), 400, steps=48, grid=grid).x
    assert float(x.mean()) == pytest.approx(1000, abs=0.5)


@pytest.mark.parametrize("basis", ["coordinates", "pca"])
def test_a_calibration_knows_the_size_of_the_data(basis):
    net = network("ve")
    held = js.calibrate(KEY, net, 300 + ROWS, levels=4, basis=basis)
    assert held.magnitude == pytest.approx(300, rel=0.01)
    for denoiser in (net.with_calibration(held), js.denoisers.clip(net.with_calibration(held), -1e3, 1e3)):
        with pytest.warns(UserWarning, match="is 80, and the data have a root mean square of 300"):
            js.sample(KEY, denoiser, (2, 2), js.samplers.DDIM(), 2)


def test_ordinary_data_and_given_starts_are_not_warned_about():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawn(small_mixture().denoiser(SCHEDULE))
        drawn(GaussianMixture.spherical([1.0], [[10.0]], 100.0).denoiser(SCHEDULE))
        drawn(LAWS["far"].denoiser(SCHEDULE), init=jnp.full((2, 1), 1000.0))
        js.sample(KEY, network("ve").with_calibration(from_sigma_data(0.5)), (2, 2), js.samplers.DDIM(), 2)
        js.sample(KEY, network("ve"), (2, 2), js.samplers.DDIM(), 2)
    assert [str(warning.message) for warning in caught] == []


def test_under_jit_the_values_of_a_law_are_not_looked_at():
    draw = jax.jit(lambda law: js.sample(KEY, law.denoiser(SCHEDULE), (2, 1), js.samplers.DDIM(), 2).x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw(LAWS["far"])
    assert [str(warning.message) for warning in caught] == []
