"""MMD and the classifier test: closed forms, and what a classifier can prove.

Keys are fixed. Means of many draws are held to four standard errors, a false alarm once in 16,000.
"""

import inspect

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from jaxsamp import metrics
from jaxsamp.metrics.truth import Truth
from jaxsamp.targets import GaussianMixture

KEY = jax.random.key(0)
LAW = Truth(GaussianMixture.spherical([1.0], np.zeros((1, 2)), 1.0), None)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_mmd_is_the_sum_over_pairs_whatever_the_chunk():
    x, y = normal(0, 53, 3), 1.5 * normal(1, 38, 3) + 1
    kernel = lambda a, b: np.exp(-cdist(a, b, "sqeuclidean") / (2 * 0.8**2))  # noqa: E731
    exact = (kernel(x, x).sum() - 53) / (53 * 52) + (kernel(y, y).sum() - 38) / (38 * 37) - 2 * kernel(x, y).mean()
    for chunk in (7, 512):
        assert metrics.mmd_distance(x, y, 0.8, chunk) == pytest.approx(exact, abs=1e-6)
    far = metrics.mmd_distance(x + 1000, y + 1000, 0.8)
    assert far == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("distance", [inspect.unwrap(metrics.energy_distance), inspect.unwrap(metrics.mmd_distance)])
def test_distances_take_numbers_of_any_precision(distance):
    x, y = np.round(20 * normal(0, 60, 3)), np.round(20 * normal(1, 50, 3) + 5)
    exact = distance(x, y)
    for types in ((int, int), (np.float16, np.float32), (np.float16, np.float16)):
        assert distance(x.astype(types[0]), y.astype(types[1])) == pytest.approx(exact, rel=1e-5)
    same = jax.numpy.asarray(x)
    assert distance(same, same) == pytest.approx(distance(x, x), rel=1e-6) and distance(same, same) < 0
    with jax.enable_x64(True):  # single precision against the double precision of a law
        assert distance(x, y.astype(float)) == pytest.approx(exact, rel=1e-5)
        found = metrics.memorization(x, y.astype(float), held_out=y[::-1].astype(float))
        assert np.isfinite(found.value)


def test_width_of_the_kernel_is_the_median_distance_of_the_reference_alone():
    x, y = 5 * normal(0, 30, 2), normal(1, 40, 2)
    width = float(np.median(pdist(y)))
    assert metrics.mmd_distance(x, y) == pytest.approx(metrics.mmd_distance(x, y, width), abs=1e-7)
    assert metrics.mmd_distance(y, y) == pytest.approx(metrics.mmd_distance(y, y, width), abs=1e-7)
    assert np.isfinite(metrics.mmd_distance(x, np.zeros((5, 2), np.float32)))


def test_mmd_of_gaussians_is_unbiased():
    """E k(X, Y) = (h^2 / (h^2 + v))^(d/2) exp(-|m|^2 / (2 (h^2 + v))) for X - Y of law N(m, v I)."""
    h, d, shift, scale = 1.3, 3, 0.6, 1.5

    def expected(square, v):
        return (h**2 / (h**2 + v)) ** (d / 2) * np.exp(-square / (2 * (h**2 + v)))

    exact = expected(0, 2) + expected(0, 2 * scale**2) - 2 * expected(d * shift**2, 1 + scale**2)
    draws = [
        metrics.mmd_distance(normal(i, 40, d), scale * normal(i + 1000, 50, d) + np.float32(shift), h)
        for i in range(200)
    ]
    assert abs(np.mean(draws) - exact) < 4 * np.std(draws) / np.sqrt(200) < 0.2 * exact


@pytest.mark.parametrize("reference", [LAW, normal(1, 300, 2)], ids=["law", "array"])
def test_mmd_sees_a_shift_and_keeps_quiet_without_one(reference):
    still, moved = (
        metrics.mmd(normal(0, 200, 2) + np.float32(s), reference, KEY, null_sets=39, max_points=250) for s in (0, 0.5)
    )
    assert still.inside and abs(still.z) < 3
    assert not moved.inside and moved.p_value == 2 / 40 and moved.z > 5


@pytest.mark.parametrize("shift, scale", [(0.8, 1.0), (0.0, 1.6)])
def test_a_classifier_is_as_good_as_the_likelihood_ratio(shift, scale):
    """Between two Gaussians the best accuracy is (1 + TV) / 2, and the classifier's form is that of the best one."""
    x = scale * normal(0, 8000, 2)
    x[:, 0] += shift
    true = metrics.c2st(x, LAW, KEY)
    if shift:
        tv = 2 * stats.norm.cdf(shift / 2) - 1
    else:
        edge = 2 * 2 * np.log(scale) / (1 - scale**-2)  # squared radius where the densities cross
        tv = stats.chi2.cdf(edge, 2) - stats.chi2.cdf(edge / scale**2, 2)
    assert true.stderr == pytest.approx(0.5 / np.sqrt(8000))
    assert abs(true.value - (1 + tv) / 2) < 4 * true.stderr
    assert tv - 8 * true.stderr < metrics.tv_bound(true) < tv
    assert true.p_value < 1e-6 and true.z == pytest.approx((true.value - 0.5) / true.stderr, rel=0.1)


def test_a_classifier_sees_correlations_and_takes_unequal_sizes_and_images():
    z = normal(0, 3000, 2)
    z[:, 1] = 0.6 * z[:, 0] + 0.8 * z[:, 1]
    found = metrics.c2st(z.reshape(-1, 2, 1), normal(1, 1000, 2, 1), KEY)
    assert found.value > found.null_high > 0.5 > found.null_low
    assert found.stderr == pytest.approx(0.25 * np.sqrt(1 / 1500 + 1 / 500))


def test_sets_that_do_not_meet_are_told_apart_and_few_points_prove_little():
    found = metrics.c2st(normal(0, 40, 1) + 100, normal(1, 40, 1), KEY)
    assert found.value == 1 and metrics.tv_bound(found) == pytest.approx(1 - 1.96 / np.sqrt(40))
    assert metrics.tv_bound(metrics.c2st(normal(0, 40, 1), normal(1, 40, 1), KEY)) == 0


def test_the_most_points_that_are_compared_are_chosen_at_random():
    x, y = np.sort(normal(0, 4000, 1), axis=0), np.sort(normal(1, 4000, 1), axis=0)
    found = metrics.c2st(x, y, KEY, max_points=400)
    assert found.stderr == pytest.approx(0.5 / np.sqrt(400)) and found.inside


def test_bad_arguments_are_named():
    for call, words in [
        (lambda: metrics.mmd(normal(0, 9, 2), LAW, KEY, max_points=1), "max_points must be at least 2"),
        (lambda: metrics.mmd(normal(0, 9, 2), LAW, KEY, null_sets=3), "null_sets must be at least 20"),
        (lambda: metrics.c2st(normal(0, 9, 65), normal(1, 9, 65), KEY), "x must have at most 64 numbers .* got 65"),
        (lambda: metrics.c2st(normal(0, 3, 2), LAW, KEY), "at least 4 samples for c2st; got 3 and 3"),
        (lambda: metrics.c2st(normal(0, 9, 2), LAW, KEY, max_points=3), "max_points must be at least 4"),
        (lambda: metrics.evaluate(normal(0, 9, 65), normal(1, 9, 65), KEY, metrics="c2st"), "at most 64 numbers"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
