"""A bank gives what its law gives, without drawing or scoring the truth again."""

import jax
import numpy as np
import pytest

from jaxsamp import metrics
from jaxsamp.core.types import Level
from jaxsamp.metrics.null_bank import NullBank
from jaxsamp.metrics.truth import Truth
from jaxsamp.targets import GaussianMixture

LAW = GaussianMixture.spherical([0.4, 0.6], [[-1.0, 0], [1.5, 0]], [0.3, 0.6])
N, NOISY, KEY = 60, Level(0.8, 0.4), jax.random.key(2)
NAMES = ("sliced_w2", "energy", "c2st", "occupancy", "rao_means", "frechet")
TRUTH = Truth(LAW, NOISY)  # where the law stands in for it, draws compile once
SETS = [TRUTH.draw(jax.random.key(9), i, N) for i in range(3)]


class Counting(NullBank):
    """A bank that counts the sets it draws."""

    drawn = 0

    def draw(self, *which):
        self.drawn += 1
        return super().draw(*which)


@pytest.fixture(scope="module")
def bank():
    return Counting(LAW, N, KEY, NOISY)


def evaluated(x, reference, key=None, **options):
    return metrics.evaluate(x, reference, key, np.sin, NAMES, null_sets=20, **options)


def test_a_bank_gives_the_numbers_of_its_law_and_draws_once(bank):
    first = evaluated(SETS[0], bank)
    assert first == evaluated(SETS[0], LAW, KEY, level=NOISY)
    drawn = bank.drawn
    assert drawn > 20
    second, third = (evaluated(x, bank) for x in SETS[1:])
    assert bank.drawn == drawn + 2  # the true samples of the classifier, which may differ from set to set
    assert first != second != third
    for name in ("energy", "frechet", "occupancy"):
        assert (second[name].null_low, second[name].null_high) == (first[name].null_low, first[name].null_high)


def test_a_bank_draws_only_the_null_sets_that_it_lacks(bank):
    metrics.energy(SETS[0], bank, null_sets=20)
    before = bank.drawn
    more = metrics.energy(SETS[0], bank, null_sets=39)
    assert bank.drawn == before + 19 and more == metrics.energy(SETS[0], TRUTH, KEY, null_sets=39)
    assert metrics.energy(SETS[0], bank, null_sets=20) != more and bank.drawn == before + 19


def test_settings_that_change_a_metric_have_null_values_of_their_own(bank):
    found = [metrics.sliced_w2(SETS[0], bank, directions=k, null_sets=20) for k in (5, 9, 5)]
    assert found[0] == found[2] != found[1]
    found = [metrics.frechet(SETS[0], bank, features=f, null_sets=20) for f in (np.sin, np.cos, np.sin)]
    assert found[0] == found[2] != found[1]
    # A function that nobody else holds: the next one may be given its place in memory.
    scaled = [metrics.frechet(SETS[0], bank, features=lambda x, k=k: k * x, null_sets=20) for k in (1.0, 10.0, 100.0)]
    np.testing.assert_allclose([m.null_high / scaled[0].null_high for m in scaled], (1, 1e2, 1e4), rtol=1e-3)
    found = [metrics.energy(SETS[0], bank, max_points=k, null_sets=20) for k in (20, 30, 20)]
    assert found[0] == found[2] and found[1] == metrics.energy(SETS[0], TRUTH, KEY, max_points=30, null_sets=20)


def test_each_set_may_have_true_samples_of_its_own_for_the_classifier(bank):
    """Under one bank the shared ones mislead alike: see `c2st`."""
    assert metrics.c2st(SETS[0], bank) == metrics.c2st(SETS[0], bank, KEY)
    assert metrics.c2st(SETS[0], bank, jax.random.key(5)).value != metrics.c2st(SETS[0], bank).value
    assert metrics.energy(SETS[0], bank, jax.random.key(5)) == metrics.energy(SETS[0], bank)
    fresh = metrics.evaluate(SETS[0], bank, jax.random.key(5), metrics="c2st")["c2st"]
    assert fresh == metrics.c2st(SETS[0], bank, jax.random.key(5))


def test_bad_arguments_are_named(bank):
    for call, error, words in [
        (lambda: metrics.energy(SETS[0][:9], bank), ValueError, "x must hold as many samples .* 60; got 9"),
        (
            lambda: metrics.evaluate(SETS[0], bank, level=Level(1.0, 0.5)),
            ValueError,
            "level must be left out with a NullBank, .* own, alpha 0.8 and sigma 0.4; got alpha 1.0 and sigma 0.5",
        ),
        (
            lambda: metrics.energy(SETS[0], NullBank(LAW, 60, KEY), level=Level(1.0, 0.5)),
            ValueError,
            "alpha 1.0 and sigma 0.0; got alpha 1.0 and sigma 0.5",
        ),
        (lambda: NullBank(np.zeros((9, 2)), 5, KEY), TypeError, "law must have .* got a ndarray"),
        (lambda: NullBank(LAW, 1, KEY), ValueError, "n must be at least 2; got 1"),
        (lambda: NullBank(LAW, 5, KEY, Level(np.ones(2), np.ones(2))), ValueError, "level must be one level"),
        (lambda: metrics.energy(SETS[0], LAW), TypeError, "key must be a typed key"),
        (lambda: metrics.c2st(SETS[0], LAW, None), TypeError, "key must be a typed key"),
    ]:
        with pytest.raises(error, match=words):
            call()
