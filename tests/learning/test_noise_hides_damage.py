"""Why damaged samples may train under noise, in one dimension, where every distance between laws is an integral."""

import jax.numpy as jnp
import numpy as np

from jaxsamp.core.types import Level
from jaxsamp.targets import Empirical, UniformBoxes

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
