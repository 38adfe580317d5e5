"""Exact posteriors pass the tests of calibration as often as stated; narrow, wide and biased ones do not."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxsamp as js
from jaxsamp.denoisers import Observed, dps
from jaxsamp.metrics import sbc_ranks, tarp

FALSE_ALARM = 2e-4
NOISE = 0.5


def simulated(seed, n, m, width=1.0, bias=0.0):
    """Parameters N(0, I) in the plane, y = parameter + noise, and draws N(mean + bias sd, (width sd)^2)."""
    random = np.random.default_rng(seed)
    parameters = random.normal(size=(n, 2))
    y = parameters + NOISE * random.normal(size=(n, 2))
    sd = NOISE / np.sqrt(1 + NOISE**2)
    mean = y / (1 + NOISE**2) + bias * sd
    return parameters, mean[:, None] + width * sd * random.normal(size=(n, m, 2)), y


def key(seed):
    return jax.random.key(seed)


@pytest.fixture(scope="module")
def exact():
    """The tests of 400 sets of 100 parameters and 19 exact draws for each."""
    sets = [(*simulated(i, 100, 19)[:2], key(i)) for i in range(400)]
    return [sbc_ranks(*one) for one in sets], [tarp(*one) for one in sets]


def band(rate):
    return stats.binom(400, rate).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])


def test_exact_posteriors_are_rejected_as_stated(exact):
    """The number rejected at 1 % and 5 %, and outside of the central 99 %, is in its band at the stated alarm rate."""
    for metrics in ([found.metrics[0] for found in exact[0]], [found.metric for found in exact[1]]):
        p = np.array([metric.p_value for metric in metrics])
        outside = sum(not metric.inside for metric in metrics)
        for rate, count in ((0.01, np.sum(p <= 0.01)), (0.05, np.sum(p <= 0.05)), (0.01, outside)):
            low, high = band(rate)
            assert low <= count <= high


def test_all_bars_and_the_whole_curve_lie_in_their_bands_as_stated(exact):
    bars = [((found.band[0] <= found.counts[0]) & (found.counts[0] <= found.band[1])).all() for found in exact[0]]
    curves = [np.abs(found.coverage - found.level).max() <= found.metric.null_high for found in exact[1]]
    assert 400 - sum(bars) <= band(0.01)[1] and 400 - sum(curves) <= band(0.005)[1]


WRONG = {"narrow": {"width": 0.7}, "wide": {"width": 1.4}, "biased": {"bias": 1.0}}


@pytest.mark.parametrize("wrong", [*WRONG, None])
def test_posteriors_that_are_narrow_wide_or_biased_are_found(wrong):
    parameters, draws, _ = simulated(3, 1000, 63, **WRONG.get(wrong, {}))
    ranks, curve = sbc_ranks(parameters, draws, key(0)), tarp(parameters, draws, key(0))
    if wrong is None:
        assert ranks.p_value > 0.01 and all(metric.inside for metric in (*ranks.metrics, curve.metric))
        return
    assert ranks.p_value < 1e-6 and curve.metric.p_value < 1e-3
    counts = ranks.counts.mean(0) / ranks.expected
    ends, middle, slope = counts[[0, -1]].mean(), counts[8:12].mean(), counts[-1] - counts[0]
    seen = {"narrow": ends > 1.5 > middle, "wide": ends < 0.7 < 1 < middle, "biased": slope < -1}
    assert seen[wrong]


def test_draws_of_the_prior_pass_unless_the_test_knows_the_observation():
    parameters, _, y = simulated(5, 1000, 2)
    draws = np.random.default_rng(6).normal(size=(1000, 63, 2))
    far = 3 * y / np.linalg.norm(y, axis=1, keepdims=True)
    assert sbc_ranks(parameters, draws, key(0)).p_value > 0.01
    assert tarp(parameters, draws, key(0)).metric.p_value > 0.01
    assert tarp(parameters, draws, key(0), references=far).metric.p_value < 1e-6
    fits = [-np.square(a - b).sum(-1) for a, b in ((parameters, y), (draws, y[:, None]))]
    assert sbc_ranks(*fits, key(0)).p_value < 1e-6
    exact = simulated(5, 1000, 63)  # the same tests pass where the posterior is exact
    y = exact[2]
    far = 3 * y / np.linalg.norm(y, axis=1, keepdims=True)
    assert tarp(*exact[:2], key(0), references=far).metric.p_value > 0.01
    fits = [-np.square(a - b).sum(-1) for a, b in ((exact[0], y), (exact[1], y[:, None]))]
    assert sbc_ranks(*fits, key(0)).p_value > 0.01


def test_numbers_are_those_of_their_definitions():
    parameters, draws, y = simulated(7, 40, 9)
    draws[..., 1] *= 3  # of another scale
    found = sbc_ranks(parameters, draws, key(0), quantities=lambda x: jnp.stack([x[:, 0], (x**2).sum(1)], 1), bins=4)
    for q, f in enumerate((lambda x: x[0], lambda x: (x**2).sum())):
        ranks = [sum(f(draw) < f(true) for draw in own) for true, own in zip(parameters, draws, strict=True)]
        np.testing.assert_array_equal(found.ranks[:, q], ranks)
        counts = [sum(r in range(*ends) for r in ranks) for ends in ((0, 3), (3, 5), (5, 8), (8, 10))]
        np.testing.assert_array_equal(found.counts[q], counts)
        exact = stats.chisquare(counts, found.expected)
        np.testing.assert_allclose((found.metrics[q].value, found.metrics[q].p_value), exact, rtol=1e-12)
    np.testing.assert_allclose(found.expected, [12, 8, 12, 8])
    assert found.draws == 9 and found.p_value == min(1, 2 * min(metric.p_value for metric in found.metrics))

    curve = tarp(parameters, draws, key(0), references=y)
    scale = np.concatenate([parameters[:, None], draws], 1).reshape(-1, 2).std(0)
    for true, own, at, rank in zip(parameters, draws, y, curve.ranks, strict=True):
        distances = [np.linalg.norm((draw - at) / scale) for draw in own]
        assert rank == sum(distance < np.linalg.norm((true - at) / scale) for distance in distances)
    np.testing.assert_array_equal(curve.coverage[:-1:10], [np.mean(curve.ranks < k) for k in range(10)])
    assert 0 <= curve.metric.value - np.abs(curve.coverage - curve.level).max() <= 0.025 + 0.01  # 1 / n, and a level


def test_equal_draws_and_images_are_ranked_by_chance():
    """Two pixels that are always the same, and one of 0 and 1: every rank is uniform still."""
    random = np.random.default_rng(1)
    images = np.zeros((500, 10, 3, 1), np.float32)
    images[..., 2, 0] = random.integers(0, 2, (500, 10))
    ranks = sbc_ranks(images[:, 0], images[:, 1:], key(1))
    assert ranks.ranks.shape == (500, 3) and ranks.ranks.min() == 0 and ranks.ranks.max() == 9
    assert ranks.p_value > 0.01 and tarp(images[:, 0], images[:, 1:], key(1)).metric.p_value > 0.01
    np.testing.assert_array_equal(sbc_ranks(images[:, 0], images[:, 1:], key(1)).ranks, ranks.ranks)


def test_posterior_of_gaussian_data_is_calibrated_and_dps_of_a_wrong_scale_is_not():
    """300 observations of one number of a correlated Gaussian each, and 15 draws given each: the scale of 4 is far too
    narrow, and that of 2 narrow along the number that was seen.
    """
    n, m = 300, 15
    law = js.targets.GaussianMixture([1.0], [[0.5, -1.0]], [[[1.0, 0.6], [0.6, 0.5]]])
    denoiser = law.denoiser(js.schedules.VarianceExploding())
    for_truth, for_noise, for_draws, for_ranks = jax.random.split(key(2), 4)
    truth, seen = law.sample(for_truth, n), jnp.array([True, False])
    y = truth + NOISE * jax.random.normal(for_noise, truth.shape)
    cond = Observed(jnp.repeat(jnp.where(seen, y, 0), m, 0), jnp.broadcast_to(seen, (n * m, 2)))

    def tested(given):
        x = js.sample(for_draws, given, (n * m, 2), steps=24, cond=cond).x.reshape(n, m, 2)
        return sbc_ranks(truth, x, for_ranks).p_value, tarp(truth, x, for_ranks).metric.p_value

    assert min(tested(js.posterior(denoiser, noise=NOISE))) > 0.01
    assert max(tested(dps(denoiser, scale=4.0))) < 1e-2
    assert tested(dps(denoiser, scale=2.0))[0] < 1e-6


PARAMETERS, DRAWS = np.zeros((20, 2)), np.zeros((20, 5, 2))


@pytest.mark.parametrize("test", [sbc_ranks, tarp])
@pytest.mark.parametrize(
    ("parameters", "draws", "words"),
    [
        (PARAMETERS, DRAWS[:9], r"draws must have shape \(20, m, 2\), m for each of the parameters; got \(9, 5, 2\)"),
        (PARAMETERS, DRAWS[..., :1], r"draws must have shape \(20, m, 2\)"),
        (PARAMETERS, DRAWS[:, :0], r"draws must have shape \(20, m, 2\)"),
        (PARAMETERS * np.nan, DRAWS, "parameters must be finite"),
        (PARAMETERS, DRAWS + np.inf, "draws must be finite"),
        (PARAMETERS[:1], DRAWS[:1], "the number of parameters must be at least 2; got 1"),
    ],
)
def test_what_is_no_set_of_draws_is_refused_in_a_sentence(test, parameters, draws, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        inspect.unwrap(test)(parameters, draws, key(0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sbc_ranks(PARAMETERS, DRAWS, key(0), bins=7), r"bins must be at most m \+ 1 = 6, .*; got 7"),
        (lambda: sbc_ranks(PARAMETERS[:8], DRAWS[:8], key(0)), "parameters must hold at least 10 of them, or bins"),
        (
            lambda: sbc_ranks(PARAMETERS, DRAWS, key(0), lambda x: x.sum(1)),
            r"quantities must return \(k, Q\) for k = 20",
        ),
        (
            lambda: tarp(PARAMETERS, DRAWS, key(0), PARAMETERS[:3]),
            r"references must have the shape of parameters, \(20",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        call()
