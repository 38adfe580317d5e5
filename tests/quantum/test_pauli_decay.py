"""Fits of decays: against scipy, and how often their intervals hold the true eigenvalue."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from jaxsamp.quantum import DecayShots, pauli_eigenvalues

DEPTHS = np.array([1, 2, 4, 8, 16, 32, 64])


@pytest.mark.parametrize(("amplitude", "value"), [(0.9, 0.97), (0.9, 0.5), (0.8, -0.8), (0.7, 0.999)])
def test_decays_are_fitted_as_scipy_does_and_their_intervals_cover(amplitude, value):
    """1,000 sets of 2,000 shots a depth: coverage 0.95 within 0.03, bias below 0.12 standard errors."""
    rng, shots, sets = np.random.default_rng(0), 2000, 1000
    positives = rng.binomial(shots, (1 + amplitude * value**DEPTHS) / 2, (sets, 7))
    found = pauli_eigenvalues(DecayShots(np.ones(sets, int), DEPTHS, positives, shots, 1)).eigenvalues
    covered = (found.low <= value) & (value <= found.high)
    assert abs(covered.mean() - 0.95) < 0.03
    assert abs(found.values.mean() - value) < 0.12 * found.values.std()
    np.testing.assert_allclose(found.standard_error.mean(), found.values.std(), rtol=0.1)
    for row in range(3):
        means = 2 * positives[row] / shots - 1
        sigma = np.sqrt(np.maximum(1 - means**2, 1 / shots) / shots)
        fit, covariance = curve_fit(lambda m, a, v: a * v**m, DEPTHS, means, (amplitude, value), sigma, True)
        assert abs(fit[1] - found.values[row]) < 0.35 * np.sqrt(covariance[1, 1])
        np.testing.assert_allclose(found.standard_error[row], np.sqrt(covariance[1, 1]), rtol=0.2)


@pytest.mark.parametrize(("value", "shots"), [(0.7, 52), (-0.9, 52), (0.2, 2000), (0.0, 500)])
def test_intervals_of_decays_cover_where_the_signal_is_soon_lost(value, shots):
    """600 sets: 0.91 to 0.99, which is 0.95 within four standard deviations of a share, and what a margin allows."""
    positives = np.random.default_rng(1).binomial(shots, (1 + 0.9 * value**DEPTHS) / 2, (600, 7))
    found = pauli_eigenvalues(DecayShots(np.ones(600, int), DEPTHS, positives, shots, 1)).eigenvalues
    assert 0.91 < ((found.low <= value) & (value <= found.high)).mean() < 0.99
    known = ~np.isnan(found.values)
    assert ((found.low <= found.values) & (found.values <= found.high))[known].all()


@pytest.mark.parametrize(
    ("amplitude", "value", "shots"), [(0.9, 0.9, 52), (0.9, 0.8, 100), (1.0, 0.9, 100), (1.0, 0.9999, 1000)]
)
def test_few_shots_of_a_decay_do_not_make_it_surer_than_it_is(amplitude, value, shots):
    """600 sets; of their errors in units of the standard error, at most 1 % beyond 5, and a deviation of 1.

    Such a deviation has a standard deviation of 0.03 itself, and 0.1 where the tails are heavy, as with 52 shots.
    """
    positives = np.random.default_rng(1).binomial(shots, (1 + amplitude * value**DEPTHS) / 2, (600, 7))
    found = pauli_eigenvalues(DecayShots(np.ones(600, int), DEPTHS, positives, shots, 1)).eigenvalues
    known = ~np.isnan(found.values)
    off = ((found.values - value) / found.standard_error)[known]
    assert known.mean() > 0.99 and (np.abs(off) > 5).mean() <= 0.01 and 0.8 < off.std() < 1.3
    assert 0.91 < ((found.low <= value) & (value <= found.high)).mean() < 0.99


def test_a_start_above_one_does_not_become_a_sure_estimate():
    """Logarithms of these signals lie on a line that is above 1 at depth 1; the likeliest eigenvalue is not."""
    positives = np.array([[47, 48, 36, 36, 26, 29, 25]])
    found = pauli_eigenvalues(DecayShots(np.ones(1, int), DEPTHS, positives, 52, 1)).eigenvalues
    assert 0.85 < found.values[0] < 0.93 and 0.02 < found.standard_error[0] < 0.06 and found.high[0] < 0.97


def test_intervals_of_decays_cover_at_zero():
    """1,500 sets, of which neither eigenvalue nor A is known: at least 0.95, with a margin of three deviations."""
    positives = np.random.default_rng(1).binomial(2000, (1 + 0.9 * (DEPTHS == 0)) / 2, (1500, 7))
    found = pauli_eigenvalues(DecayShots(np.ones(1500, int), DEPTHS, positives, 2000, 1)).eigenvalues
    assert 0.933 < ((found.low <= 0) & (found.high >= 0)).mean() < 0.99


def test_large_depths_tell_apart_eigenvalues_that_are_nearly_one():
    """300 sets; from 0.99 to 1 a signal of 10,000 uses changes from nothing to all: coverage within 4 deviations."""
    depths, value = np.array([1, 100, 10_000]), 1 - 2e-5
    positives = np.random.default_rng(1).binomial(1000, (1 + 0.9 * value**depths) / 2, (300, 3))
    found = pauli_eigenvalues(DecayShots(np.ones(300, int), depths, positives, 1000, 1)).eigenvalues
    assert 0.9 < ((found.low <= value) & (value <= found.high)).mean() < 0.995
    assert 0.8 < ((found.values - value) / found.standard_error).std() < 1.2


def test_a_signal_that_is_lost_at_once_says_nothing():
    data = DecayShots(np.array([1]), DEPTHS, np.full((1, 7), 500), 1000, 1)
    found = pauli_eigenvalues(data).eigenvalues
    assert np.isnan(found.values[0]) and (found.low[0], found.high[0]) == (-1, 1)
