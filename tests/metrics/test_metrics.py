"""Metrics: right on closed forms, calibrated on true samples, and awake to each kind of failure.

Keys are fixed. A calibration test counts rejections of true samples and compares the count with its binomial law at
a false-alarm rate of 1e-4; a power test asks for a value outside the 99 % band.
"""

import inspect
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, stats
from scipy.spatial.distance import cdist

from jaxsamp import metrics
from jaxsamp.core.types import Level
from jaxsamp.metrics.null import judged
from jaxsamp.metrics.null_bank import NullBank
from jaxsamp.metrics.pairs import row_sums
from jaxsamp.metrics.truth import NULL, REFERENCE, Truth, prepared
from jaxsamp.targets import Empirical, GaussianMixture, UniformBoxes
from tests.cases import quick

rng = np.random.default_rng(0)
DIM, N = 4, 400
LAW = GaussianMixture(
    np.array([0.5, 0.3, 0.2]),
    3 * rng.normal(size=(3, DIM)),
    np.stack([np.diag(v) for v in rng.uniform(0.3, 1, (3, DIM))]),
)
NOISY = Level(0.5, 0.8)
UNIFORM = UniformBoxes(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))
CLEAN_TRUTH, NOISY_TRUTH = Truth(LAW, None), Truth(LAW, NOISY)  # shared, so that draws compile once
CLEAN_BANK, NOISY_BANK = NullBank(LAW, N, jax.random.key(0)), NullBank(LAW, N, jax.random.key(0), NOISY)
TRUE = LAW.sample(jax.random.key(100), N)
TRAINING = np.asarray(LAW.sample(jax.random.key(102), N))


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def binomial_band(trials, rate, false_alarm=1e-4):
    return stats.binom.ppf([false_alarm / 2, 1 - false_alarm / 2], trials, rate)


# Closed forms


def test_energy_distance_is_the_sum_over_pairs_whatever_the_chunk():
    x, y = normal(0, 53, 3), 1.5 * normal(1, 38, 3) + 1
    xx, xy, yy = cdist(x, x), cdist(x, y), cdist(y, y)
    exact = 2 * xy.mean() - xx.sum() / (53 * 52) - yy.sum() / (38 * 37)
    for chunk in (7, 512):
        assert metrics.energy_distance(x, y, chunk) == pytest.approx(exact, abs=1e-5)
    far = metrics.energy_distance(x + 1000, y + 1000)
    assert far == pytest.approx(exact, abs=1e-3)


def test_energy_distance_of_few_far_points_leaves_out_the_rounding_of_a_point_with_itself():
    x, y = 100 * normal(0, 3, 64), 100 * normal(1, 2, 64)
    exact = 2 * cdist(x, y).mean() - cdist(x, x).sum() / 6 - cdist(y, y).sum() / 2
    assert metrics.energy_distance(x, y) == pytest.approx(exact, abs=0.01)


def test_energy_distance_of_gaussians_is_unbiased():
    shift, scale = 0.7, np.sqrt(2)
    folded = scale * np.sqrt(2 / np.pi) * np.exp(-((shift / scale) ** 2) / 2) + shift * (
        1 - 2 * stats.norm.cdf(-shift / scale)
    )
    exact = 2 * folded - 4 / np.sqrt(np.pi)
    draws = [metrics.energy_distance(normal(i, 50, 1), normal(i + 1000, 50, 1) + shift) for i in range(200)]
    assert abs(np.mean(draws) - exact) < 4 * np.std(draws) / np.sqrt(200)


def test_energy_distance_never_holds_all_pairs():
    points = jnp.zeros((4096, 2))
    compiled = row_sums.lower(jnp.sqrt, points, points, 128, True).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 4096 * 4096


def test_sliced_wasserstein_of_a_shift_is_the_mean_squared_projection():
    x, theta = normal(0, 101, 5), normal(1, 16, 5)
    mu = np.arange(5, dtype=np.float32)
    exact = float(np.mean((theta @ mu) ** 2))
    assert metrics.sliced_wasserstein(x, x + mu, theta) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("n, m", [(6, 4), (5, 7), (12, 4), (1, 9)])
def test_sliced_wasserstein_of_unequal_sizes_is_that_of_repeated_points(n, m):
    x, y, theta = normal(0, n, 3), 1 + normal(1, m, 3), normal(2, 8, 3)
    size = np.lcm(n, m)
    repeated = metrics.sliced_wasserstein(np.repeat(x, size // n, 0), np.repeat(y, size // m, 0), theta)
    assert metrics.sliced_wasserstein(x, y, theta) == pytest.approx(repeated, rel=1e-5)


def test_sliced_w2_of_shifted_gaussians_is_the_squared_shift_over_d():
    found = metrics.sliced_w2(normal(0, 1000, 8) + 0.5, normal(1, 1500, 8), jax.random.key(0), null_sets=20)
    assert found.value == pytest.approx(0.25, rel=0.15) and not found.inside
    assert found.null_low < 0 < found.null_high


def exact_moments(seed, n, mean, cov):
    """Samples whose own mean and covariance are the given ones."""
    z = np.asarray(normal(seed, n, len(mean)), float)
    z -= z.mean(0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(z.T)))).T
    return mean + z @ whiten @ np.linalg.cholesky(cov).T


def test_frechet_distance_is_the_bures_formula():
    a, b = rng.normal(size=(2, 5, 5))
    cov_x, cov_y, mean = a @ a.T, b @ b.T + np.eye(5), np.arange(5.0)
    root = linalg.sqrtm(cov_x @ cov_y).real
    exact = mean @ mean + np.trace(cov_x + cov_y - 2 * root)
    x, y = exact_moments(0, 40, mean, cov_x), exact_moments(1, 60, 0 * mean, cov_y)
    assert metrics.frechet_distance(x, y) == pytest.approx(exact, rel=1e-9)


def test_frechet_uses_one_thread_of_linear_algebra():
    """Two that wait for each other on a busy machine took 140 times as long as one."""
    from threadpoolctl import threadpool_info, threadpool_limits

    seen = set()

    def features(x):
        seen.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return x

    with threadpool_limits(2, "blas"):
        metrics.frechet(TRUE[:50], TRAINING[:100], jax.random.key(0), features, null_sets=20)
    assert seen == {1}


def test_frechet_distance_takes_one_feature_and_fewer_samples_than_features():
    x = exact_moments(0, 50, np.zeros(1), 4 * np.eye(1))
    assert metrics.frechet_distance(x, x / 2 + 3) == pytest.approx(1 + 9)
    few = normal(0, 6, 20)
    assert metrics.frechet_distance(few, few) == pytest.approx(0, abs=1e-4)


def test_memorization_counts_near_copies_and_exact_copies_of_duplicates():
    training = np.array([[0.0], [1.0], [3.0], [3.0]], np.float32)
    x = np.array([[0.1], [0.45], [3.0], [2.9]], np.float32)  # ratios 1/9, 9/11, 0/0, 1
    found = metrics.memorization(x, training)
    assert found.value == 0.5 and found.stderr == 0.25


def test_nearest_neighbors_are_exact_far_from_the_origin():
    training = 3000 + 0.01 * np.asarray(normal(0, 50, 3))
    copies = training[:10] + np.float32(2e-3) * (np.arange(3) == 0)
    distances = np.sort(cdist(copies, training.astype(np.float32)))
    expected = np.mean(distances[:, 0] < 0.5 * distances[:, 1])
    assert metrics.memorization(copies, training).value == pytest.approx(expected) and expected > 0


# Calibration


def test_a_rank_band_has_its_stated_false_alarm_rate_for_a_skewed_law():
    draws = np.random.default_rng(1).chisquare(1, (5000, 200))
    found = [judged(row[0], row[1:]) for row in draws]
    low, high = binomial_band(5000, 0.01)
    outside = sum(not m.inside for m in found)
    assert low <= outside <= high
    assert outside == sum(m.p_value <= 0.01 for m in found)
    low, high = binomial_band(5000, 0.2)
    assert low <= sum(m.p_value <= 0.2 for m in found) <= high


@pytest.mark.parametrize("name, kind", [("energy", "law"), ("sliced_w2", "array"), ("frechet", "law")])
def test_true_samples_leave_the_band_as_often_as_stated(name, kind):
    trials, null_sets, n, m = 30, 20, 40, 30
    found, metric = [], getattr(metrics, name)
    for i in range(trials):
        x = NOISY_TRUTH.draw(jax.random.key(0), i, n)
        reference = NOISY_TRUTH if kind == "law" else CLEAN_TRUTH.draw(jax.random.key(1), i, N)[:m]
        found.append(metric(x, reference, jax.random.key(i), level=NOISY, null_sets=null_sets))
    low, high = binomial_band(trials, 2 / (null_sets + 1))
    assert low <= sum(not m.inside for m in found) <= high
    assert stats.kstest([m.p_value for m in found], "uniform").pvalue > 1e-4


@pytest.mark.parametrize("name", ["occupancy", "log_density"])
def test_p_values_of_true_samples_are_uniform(name):
    """The moments of the truth, which all sets share under a bank, add 1.6 % to the standard error."""
    found = [getattr(metrics, name)(NOISY_BANK.draw(jax.random.key(1), i, N), NOISY_BANK) for i in range(60)]
    assert stats.kstest([m.p_value for m in found], "uniform").pvalue > 1e-3
    assert sum(not m.inside for m in found) <= binomial_band(60, 0.01)[1]


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("d", quick([1, 3], 3))
def test_real_points_are_copies_as_often_as_real_points(held_out, d):
    outside = 0
    for i in range(60):
        points = normal(i, 400, d)
        found = metrics.memorization(points[:100], points[100:300], points[300:] if held_out else None)
        outside += not found.inside
    assert outside <= binomial_band(60, 0.01)[1]


# Power


def perturbed(name):
    true, modes = np.asarray(TRUE), np.asarray(jax.jit(LAW.responsibilities)(TRUE)).argmax(1)
    return {
        "shifted mean": true + np.float32(0.8),
        "inflated noise": true + np.float32(0.5) * normal(1, N, DIM),
        "dropped mode": np.where((modes == 2)[:, None], true[np.argmin(modes)], true),
        "copied training points": np.asarray(TRAINING) + np.float32(0.01) * normal(2, N, DIM),
    }[name]


SEEN = [
    ("shifted mean", "law", {"sliced_w2", "energy", "frechet"}),
    pytest.param("shifted mean", "array", {"sliced_w2", "energy", "frechet"}, marks=pytest.mark.slow),
    ("inflated noise", "law", {"log_density", "frechet"}),
    ("dropped mode", "law", {"occupancy", "sliced_w2", "energy", "frechet"}),
    pytest.param("dropped mode", "array", {"sliced_w2", "energy", "frechet"}, marks=pytest.mark.slow),
    ("copied training points", "array", {"memorization"}),
]


@pytest.mark.parametrize("how, kind, seen", SEEN)
def test_each_failure_is_seen_by_the_metrics_made_for_it(how, kind, seen):
    reference = CLEAN_BANK if kind == "law" else TRAINING
    found = metrics.evaluate(perturbed(how), reference, jax.random.key(0), jnp.sin, sorted(seen))
    assert {name for name, m in found.items() if not m.inside} == seen
    assert all(m.p_value <= 0.01 for m in found.values())


def test_the_sign_of_log_density_tells_wide_from_narrow():
    truth = Truth(GaussianMixture(np.ones(1), np.zeros((1, DIM)), np.eye(DIM)[None]), None)
    wide, narrow, still = (metrics.log_density(s * normal(0, N, DIM), truth, jax.random.key(0)) for s in (1.2, 0.8, 0))
    assert wide.value < wide.null_low and narrow.value > narrow.null_high
    assert still.value == pytest.approx(DIM / 2, abs=0.05)  # log p(0) - E log p, in nats
    assert still.null_high == pytest.approx(2.576 * np.sqrt(DIM / 2 / N), rel=0.05)


def test_a_uniform_law_tells_samples_outside_its_support():
    inside = metrics.log_density(UNIFORM.sample(jax.random.key(0), 50), UNIFORM, jax.random.key(1))
    outside = metrics.log_density(np.full((50, 2), 9.0, np.float32), UNIFORM, jax.random.key(1))
    assert inside.inside and inside.p_value > 0.5
    assert outside.value == -np.inf and outside.stderr is None and outside.p_value == 0


def test_data_points_have_a_density_only_under_noise():
    points = Empirical(TRAINING[:50])
    assert not Truth(points, None).has_density and Truth(points, NOISY).has_density
    with pytest.raises(ValueError, match="needs a law with `log_prob` at this level"):
        metrics.evaluate(TRUE, points, jax.random.key(0), metrics=("log_density",))


def test_occupancy_of_separate_modes_is_that_of_their_counts():
    weights, counts = np.array([0.2, 0.3, 0.5]), np.array([25, 35, 40])
    truth = Truth(GaussianMixture(weights, np.array([[-50.0], [0], [50]]), np.ones((3, 1, 1))), None)
    x = np.repeat(truth.law.means, counts, axis=0)
    found = metrics.occupancy(x, truth, jax.random.key(0))
    assert found.value == pytest.approx(0.1, abs=1e-5)
    assert found.p_value == pytest.approx(stats.chisquare(counts, 100 * weights).pvalue, rel=0.1)
    dropped = metrics.occupancy(x[25:], truth, jax.random.key(0))
    assert dropped.value == pytest.approx(0.2, abs=0.05) and not dropped.inside and dropped.p_value < 1e-4


# The front door


def test_evaluate_runs_what_applies_and_its_numbers_are_plain():
    of_law = metrics.evaluate(TRUE, LAW, jax.random.key(100))  # the key that drew TRUE
    of_array = metrics.evaluate(np.asarray(TRUE), TRAINING, jax.random.key(0), features=np.sin, null_sets=39)
    blocks = ["rao_weights", "rao_means", "rao_cov_diag", "rao_cov_off"]
    assert list(of_law) == ["sliced_w2", "energy", "c2st", "occupancy", "log_density", *blocks]
    assert list(of_array) == ["sliced_w2", "energy", "c2st", "frechet", "memorization"]
    for found in (*of_law.values(), *of_array.values()):
        assert found.inside and found.p_value > 0.01
        assert json.loads(json.dumps(found._asdict())) == found._asdict()


@pytest.mark.slow
def test_evaluate_tests_all_blocks_by_one_name_and_leaves_out_what_would_mislead():
    few, one = GaussianMixture([0.995, 0.005], [[0.0], [9.0]], np.ones((2, 1, 1))), TRUE[:, :1]
    named = metrics.evaluate(one, few, jax.random.key(0), metrics=("log_density", "rao_score_test"))
    assert list(named) == [
        "log_density",
        "rao_weights",
        "rao_means",
        "rao_cov_diag",
    ]  # no correlations in one dimension
    unasked = metrics.evaluate(one, few, jax.random.key(0), null_sets=20)
    assert not any(name.startswith("rao") for name in unasked)  # a weight is too small
    assert set(metrics.evaluate(TRUE[:11], CLEAN_TRUTH, jax.random.key(0), null_sets=20)) >= {"c2st", "rao_weights"}
    assert "rao_means" not in metrics.evaluate(TRUE[:11], CLEAN_TRUTH, jax.random.key(0), null_sets=20)  # 12 of them


def test_evaluate_does_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "c2st" not in metrics.evaluate(TRUE, TRAINING, jax.random.key(0), null_sets=20)


def test_a_metric_does_not_depend_on_the_others_that_run():
    both = metrics.evaluate(TRUE, CLEAN_TRUTH, jax.random.key(0), metrics=("log_density", "energy"), null_sets=20)
    alone = metrics.evaluate(TRUE, CLEAN_TRUTH, jax.random.key(0), metrics="energy", null_sets=20)
    assert alone == {"energy": both["energy"]}
    assert list(both) == ["log_density", "energy"]


@pytest.mark.slow
def test_the_level_is_that_of_the_samples():
    noisy, names = 0.5 * TRUE + 0.8 * normal(3, N, DIM), ("sliced_w2", "log_density")
    for x, inside in ((noisy, True), (TRUE, False)):
        of_law = metrics.evaluate(x, NOISY_BANK, metrics=names)
        of_array = metrics.evaluate(x, TRAINING, jax.random.key(0), level=NOISY, null_sets=39)
        assert list(of_array) == ["sliced_w2", "energy", "c2st"]
        assert all(m.inside == inside for m in (*of_law.values(), of_array["energy"]))
    assert prepared(noisy, LAW, jax.random.key(0), NOISY)[1].level == NOISY


def test_the_key_that_drew_the_samples_may_be_used_again():
    key = jax.random.key(7)
    assert jax.random.split(key, 2)[1] == jax.random.fold_in(key, 1)  # which is why the folds here have large tags
    sets = [LAW.sample(key, N)]
    sets += [CLEAN_TRUTH.draw(jax.random.fold_in(key, tag), i, N) for tag in (REFERENCE, NULL) for i in range(2)]
    sets = [one - one.mean(0) for one in sets]
    for i, one in enumerate(sets):
        for other in sets[:i]:
            assert np.min(cdist(one, other)) > 0
            assert abs(np.corrcoef(np.ravel(one), np.ravel(other))[0, 1]) < 0.15


def test_images_and_scalars_are_samples_too():
    flat = metrics.evaluate(TRUE, TRAINING, jax.random.key(0), features=lambda x: x, null_sets=20)
    images, training = np.asarray(TRUE).reshape(N, 2, 2, 1), TRAINING.reshape(N, 2, 2, 1)
    assert metrics.evaluate(images, training, jax.random.key(0), features=lambda x: x, null_sets=20) == flat
    assert metrics.energy(normal(0, 40), normal(1, 40), jax.random.key(0), null_sets=20).inside


def test_energy_compares_random_subsets_of_large_samples():
    x, y = (np.sort(np.asarray(normal(i, 400, 1)), axis=0) for i in range(2))
    assert metrics.energy(x, y, jax.random.key(0), max_points=40).inside


BAD = [
    (dict(x=np.full((5, DIM), np.nan, np.float32)), ValueError, "^x must be finite; got nan at index"),
    (dict(x=TRUE[:1]), ValueError, r"^x must hold at least 2 samples, .* got shape \(1, 4\)"),
    (dict(x=TRUE[:, :2]), ValueError, r"^x must have the event shape of the reference, \(4,\); got \(2,\)"),
    (dict(x=TRUE[:, :2], reference=TRAINING), ValueError, r"^x must have the event shape of the reference"),
    (dict(reference=TRAINING[:1]), ValueError, "^reference must hold at least 2 samples"),
    (dict(reference=TRAINING * np.inf), ValueError, "^reference must be finite"),
    (dict(reference=[1.0, 2.0]), TypeError, "^reference must be an array of true samples or a law .* got a list"),
    (dict(key=jnp.zeros(2, jnp.uint32)), TypeError, "^key must be a typed key"),
    (dict(metrics=("energi",)), ValueError, "^metrics must be one of .* Did you mean 'energy'"),
    (dict(metrics=("frechet",)), ValueError, "'frechet' does not apply here, because it needs `features`"),
    (dict(metrics=("memorization",)), ValueError, "'memorization' .* needs an array of 3 training samples"),
    (dict(metrics=("occupancy",), reference=TRAINING), ValueError, "'occupancy' .* needs a law with `resp"),
    (dict(metrics=("log_density",), reference=TRAINING), ValueError, "'log_density' .* needs a law with `log_prob`"),
    (dict(level=Level(jnp.ones(3), 0.5)), ValueError, r"^level must be one level.* got shapes \(3,\)"),
    (
        dict(features=lambda x: x[:3], metrics=("frechet",), reference=TRAINING),
        ValueError,
        "^features must give one row per sample",
    ),
    (
        dict(features=lambda x: x * jnp.nan, metrics=("frechet",), reference=TRAINING),
        ValueError,
        r"^features\(x\) must be finite",
    ),
]


@pytest.mark.parametrize("change, error, sentence", BAD)
def test_a_bad_argument_is_named_in_one_sentence(change, error, sentence):
    call = dict(x=TRUE, reference=LAW, key=jax.random.key(0)) | change
    with pytest.raises(error, match=sentence):
        inspect.unwrap(metrics.evaluate)(**call)  # as users call it, without the tests' type checker


def test_single_metrics_name_their_bad_arguments():
    key = jax.random.key(0)
    for call, sentence in [
        (lambda: metrics.energy(TRUE, LAW, key, null_sets=5), "null_sets must be at least 20"),
        (lambda: metrics.energy(TRUE, LAW, key, max_points=1), "max_points must be at least 2"),
        (lambda: metrics.sliced_w2(TRUE, LAW, key, directions=0), "directions must be at least 1"),
        (lambda: metrics.memorization(TRUE, TRAINING, threshold=1.0), "threshold must be in"),
        (lambda: metrics.memorization(TRUE, TRAINING[:2]), "training must hold at least 3"),
        (lambda: metrics.memorization(TRUE, TRAINING, TRAINING[:, :2]), "held_out must have the event shape"),
        (lambda: metrics.occupancy(TRUE, TRAINING, key), "law must be a mixture"),
        (lambda: metrics.log_density(TRUE, TRAINING, key), "law must have"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            call()


def test_a_prepared_truth_passes_as_a_reference():
    x, truth, _ = prepared(TRUE, LAW, jax.random.key(0), NOISY)
    assert prepared(x, truth, jax.random.key(0), None)[1] is truth
