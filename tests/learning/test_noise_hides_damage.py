"""Why damaged samples may train under noise, in one dimension, where every distance between laws is an integral."""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.core.types import Level
from jaxsamp.targets import Empirical, UniformBoxes

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import noise_hides_damage as five_bumps  # noqa: E402

LOWS = np.arange(11)[:, None] / 11
MASSES = np.where(np.arange(11) % 2, 0.01, 0.95 / 6)  # six bumps
CLEAN = UniformBoxes(MASSES, LOWS, LOWS + 1 / 11)
DAMAGED = UniformBoxes([1.0], [[0.0]], [[1.0]])  # the same without its structure
LEVELS = (0.02, 0.05, 0.1, 0.4)


def total_variation(one, other, s):
    grid = jnp.linspace(-6 * s, 1 + 6 * s, 3001)[:, None]
    p, q = (jnp.exp(law.log_prob(grid, Level(1.0, s))) for law in (one, other))
    return float(jnp.abs(p - q).sum() * (grid[1, 0] - grid[0, 0]) / 2)


def test_noise_contracts_the_distance_of_two_laws():
    """At most D / 2s times what it was, where D = 1 is the diameter of the support; and falling in s."""
    before = 0.5 * np.abs(MASSES - 1 / 11).sum()
    found = [total_variation(CLEAN, DAMAGED, s) for s in LEVELS]
    assert all(after < before * min(1, 1 / (2 * s)) for after, s in zip(found, LEVELS, strict=True))
    assert found == sorted(found, reverse=True) and found[0] > 0.25 > 0.02 > found[-1]


def test_many_damaged_samples_help_where_there_is_noise_and_harm_where_there_is_little():
    """The law of the noised samples themselves, as a network that interpolates them would learn it: 100 and 2,000."""
    rng = np.random.default_rng(0)
    clean = (rng.choice(LOWS[:, 0], 100, p=MASSES) + rng.random(100) / 11)[:, None]
    both = np.concatenate([clean, rng.random((2000, 1))])
    alone, mixed = ([total_variation(CLEAN, Empirical(x), s) for s in (0.02, 0.2)] for x in (clean, both))
    assert alone[0] < mixed[0] and mixed[1] < alone[1]


def test_five_bumps_are_hidden_by_noise_as_in_the_table():
    """By quadrature: (level, total variation) of the bumps and of the uniform law; at most TV_0 / 2s."""
    before = 0.5 * np.abs(five_bumps.clean(five_bumps.PLACES) - 1).mean()
    np.testing.assert_allclose(before, 0.419, atol=5e-4)
    for s, distance in ((0.02, 0.338), (0.05, 0.1265), (0.1, 0.0126), (0.4, 0.0024)):
        at = five_bumps.Noised(s)
        np.testing.assert_allclose(np.trapezoid(at.densities, at.grid, axis=0), 1, atol=1e-6)
        np.testing.assert_allclose(at.between(), distance, atol=5e-5 if s > 0.02 else 5e-4)
        assert at.between() < before / (2 * s)


@pytest.mark.parametrize(
    "clean, damaged, level, equal",
    [(20, 2000, 0.05, 0.0357), (100, 2000, 0.1, 0.0597), (1000, 2000, 0.1, 0.0826), (1000, 10_000, 0.1, 0.0859)],
)
def test_the_level_from_which_damaged_samples_help_rises_with_the_number_of_clean_ones(clean, damaged, level, equal):
    found, where = five_bumps.crossover(clean, damaged)
    assert found == level
    np.testing.assert_allclose(where, equal, atol=5e-4)


def test_the_variance_of_an_estimate_is_that_of_its_gaussians():
    """Var phi_s(x - X) = p_r / (2 s sqrt(pi)) - p_s^2 with r = s / sqrt(2): phi_s^2 is a Gaussian of width r."""
    s = 0.05
    at, narrow = five_bumps.Noised(s), five_bumps.Noised(s / 2**0.5)
    squares = np.interp(at.grid, narrow.grid, narrow.densities[:, 0]) / (2 * s * np.pi**0.5)
    np.testing.assert_allclose(at.variances[:, 0], squares - at.densities[:, 0] ** 2, atol=2e-4 * squares.max())
    z = np.random.default_rng(0).normal(size=100_000)
    for mean, std in ((0.0, 1.0), (-0.7, 0.5), (2.0, 1.0)):
        np.testing.assert_allclose(five_bumps.mean_absolute(mean, std), np.abs(mean + std * z).mean(), atol=0.013)
