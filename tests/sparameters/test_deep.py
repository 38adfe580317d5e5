"""The deep image prior: the shape of what it returns, its dependence on keys, and that it learns."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxsamp.models.dip import Decoder
from jaxsamp.sparameters import channel, compare, deep, interpolate, ladder, spaced

KEY = jax.random.key(0)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(deep, "STEPS", 50)
    monkeypatch.setattr(deep, "SEEDS", 2)
    monkeypatch.setattr(deep, "Decoder", partial(Decoder, channels=8, depth=2))
    monkeypatch.setattr(deep, "ROUGHNESS", (0.0, 1e-5))


@pytest.mark.usefixtures("small")
def test_networks_depend_on_the_key_and_keep_symmetry():
    given, index = ladder(33), spaced(33, 0.5)
    fits = [interpolate(given, index, method="deep", key=jax.random.key(seed)) for seed in (0, 1)]
    assert np.abs(fits[0].s - fits[1].s).max() > 1e-4
    np.testing.assert_array_equal(fits[0].s, fits[0].s.swapaxes(1, 2))
    assert fits[0].standard_error.shape == (33, 2, 2)
    assert fits[0].settings["steps"] == 50
    error = np.linalg.norm(fits[0].s - given.s) / np.linalg.norm(given.s)
    assert error < 0.8  # of fifty steps; 1 for zeros


@pytest.mark.usefixtures("small")
def test_a_part_of_the_band_has_the_fit_of_all_of_it():
    """Samples outside of the grid were fitted as if they were at its ends."""
    given, index = ladder(33), spaced(33, 0.5)
    whole = interpolate(given, index, method="deep", key=KEY)
    for rows in (slice(20, 29), slice(0, 33, 8), slice(7, 8)):  # a part, a coarse grid, one frequency
        part = interpolate(given, index, given.frequencies[rows], "deep", key=KEY)
        if rows == slice(20, 29):
            np.testing.assert_allclose(part.s, whole.s[rows], atol=1e-4)
            np.testing.assert_allclose(part.standard_error, whole.standard_error[rows], atol=1e-4)
        assert np.linalg.norm(part.s - given.s[rows]) < 0.9 * np.linalg.norm(given.s[rows])


@pytest.mark.slow
def test_it_interpolates_both_circuits():
    for given, fraction, least in ((ladder(), 41 / 401, 18), (channel(), 0.1, 10)):
        assert compare(given, fraction, 0.01, KEY, ("deep",))[0]["snr"] > least
