"""True sample sets are rejected as often as p-values say, by every metric.

Many independent sets, fixed keys. The number rejected at 1 % and at 5 % lies in its band at a false-alarm rate of
1e-4 on each side of two. Sets judged by one bank share its null values: given m of these, the chance that a
true set is among the k most extreme ranks on either side is a Beta(2k, m + 1 - 2k) variable, so the number is
beta-binomial; that of metrics that know their null law is binomial.
"""

import jax
import numpy as np
import pytest
from scipy import stats

import jaxsamp as js
from jaxsamp import metrics
from jaxsamp.core.types import Level
from jaxsamp.density.flows import SamplesAndLogProb
from jaxsamp.metrics.null import NULL_SETS
from jaxsamp.metrics.null_bank import NullBank
from jaxsamp.targets import GaussianMixture
from tests.cases import quick

FALSE_ALARM = 2e-4
LAW = GaussianMixture([0.5, 0.3, 0.2], [[0, 0, 0], [3, 0, 1], [-1, 2, 2]], np.diag([0.5, 1, 0.7])[None].repeat(3, 0))
LEVEL = Level(0.8, 0.5)
RANKED = {
    "energy": metrics.energy,
    "mmd": metrics.mmd,
    "sliced_w2": lambda x, bank: metrics.sliced_w2(x, bank, directions=32),
    "frechet": metrics.frechet,
}
KNOWN = {"occupancy": metrics.occupancy, "log_density": metrics.log_density}


def p_values(metric, n, trials, seed=0):
    """Of `trials` true sets under one bank."""
    bank = NullBank(LAW, n, jax.random.key(seed), LEVEL)
    sets = bank.draw(jax.random.key(1000 + seed), 0, n * trials).reshape(trials, n, -1)
    return np.array([metric(x, bank).p_value for x in sets])


def rao_p_values(n, trials, true_samples=100_000):
    """Of every block."""
    bank = NullBank(LAW, n, jax.random.key(0), LEVEL)
    sets = bank.draw(jax.random.key(1000), 0, n * trials).reshape(trials, n, -1)
    found = [metrics.rao_score_test(x, bank, true_samples=true_samples) for x in sets]
    return {block: np.array([one[block].p_value for one in found]) for block in found[0]}


def misses(p, law_of_count):
    """The rates, of 1 % and 5 %, at which the number rejected is outside its band, with the share that was."""
    found = {}
    for rate in (0.01, 0.05):
        low, high = law_of_count(rate).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
        if not low <= np.sum(p <= rate + 1e-12) <= high:
            found[rate] = np.mean(p <= rate)
    return found


def ranked(trials):
    def law_of_count(rate):
        extreme = 2 * int(rate * (NULL_SETS + 1) / 2 + 1e-9)
        return stats.betabinom(trials, extreme, NULL_SETS + 1 - extreme)

    return law_of_count


@pytest.mark.parametrize("name", quick(RANKED, "energy"))
def test_ranks_under_a_bank_reject_as_stated(name):
    assert not misses(p_values(RANKED[name], 40, 200), ranked(200))


@pytest.mark.slow
def test_raos_test_rejects_as_stated_with_few_samples_too():
    """Thirty samples, six of them in the rarest component: chi-square would reject 4 % of true sets at 1 %."""
    for p in rao_p_values(30, 400, 20_000).values():
        assert not misses(p, lambda rate: stats.binom(400, rate))


def classified(trials, n):
    bank = NullBank(LAW, n, jax.random.key(0), LEVEL)
    sets = bank.draw(jax.random.key(1000), 0, n * trials).reshape(trials, n, -1)
    return np.array([metrics.c2st(x, bank, jax.random.key(i)).p_value for i, x in enumerate(sets)])


def test_fishers_test_of_the_classifier_rejects_as_stated():
    """A test of counts: it may reject less, by the size of the largest step, and never more."""
    p = classified(40, 100)
    assert not misses(p, lambda rate: stats.binom(40, rate))
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 1e-4


def flows(trials, n):
    """Independent pieces of one flow of the exact denoiser, and one of ten times that size."""
    law = GaussianMixture.diagonal(LAW.weights / LAW.weights.sum(), LAW.means, LAW.mixture.eigenvalues)
    denoiser = law.denoiser(js.schedules.OrnsteinUhlenbeck())
    level = denoiser.schedule.level(-np.log(np.float32(0.02)))
    whole = js.sample_and_log_prob(jax.random.key(0), denoiser, n * (trials + 10), js.samplers.Heun(), 12)
    pieces = [SamplesAndLogProb(whole.x[i : i + n], whole.log_prob[i : i + n], {}) for i in range(0, n * trials, n)]
    return law, level, pieces, SamplesAndLogProb(whole.x[n * trials :], whole.log_prob[n * trials :], {})


@pytest.fixture(scope="module")
def flown():
    return flows(400, 100)


@pytest.mark.parametrize("metric", quick([metrics.flow_tv, metrics.flow_kl], metrics.flow_kl))
def test_flows_of_the_exact_denoiser_reject_as_stated(flown, metric):
    law, level, pieces, null = flown
    truth = metrics.truth.Truth(law, level)
    p = np.array([metric(piece, truth, level, null).p_value for piece in pieces])
    assert not misses(p, lambda rate: stats.binom(400, rate))


@pytest.mark.slow
@pytest.mark.parametrize("name", RANKED)
def test_ranks_under_many_banks_reject_as_stated(name):
    """Ten banks of 200 sets: the same law of the count as that of ten independent beta-binomial ones."""
    for seed in range(10):
        assert not misses(p_values(RANKED[name], 100, 200, seed), ranked(200))


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("n", [100, 2000])
def test_known_null_laws_reject_as_stated_in_the_long_run(name, n):
    assert not misses(p_values(KNOWN[name], n, 2000), lambda rate: stats.binom(2000, rate))


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 400, 2000])
def test_raos_test_rejects_as_stated_in_the_long_run(n):
    for p in rao_p_values(n, 2000).values():
        assert not misses(p, lambda rate: stats.binom(2000, rate))


@pytest.mark.slow
def test_the_classifier_rejects_as_stated_in_the_long_run():
    assert not misses(classified(1000, 400), lambda rate: stats.binom(1000, rate))
