"""Levels of damaged samples by a number, by rank, by a table and between Gaussians are those of the definition."""

import inspect
import json

import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage
import scipy.stats

import jaxsamp as js
from jaxsamp.learning.annotate_gaussian import first_below, gaussian_bound

X = np.random.default_rng(0).normal(size=(10, 2))


def test_kinds_of_damage_have_levels_of_their_own():
    kinds = np.array([0, 1, 2, 0, 1, 0, 0, 0, 2, 2])
    notes = js.learning.annotate_fixed(X, kinds, [0.5, 2.0], [0.0, 0.1])
    np.testing.assert_array_equal(notes.sigma_min, np.array([0.0, 0.5, 2.0])[kinds])
    np.testing.assert_array_equal(notes.sigma_max, np.array([0.0, 0.0, 0.1])[kinds])
    notes.check(X)
    np.testing.assert_array_equal(js.learning.annotate_fixed(X, kinds > 0, 3.0).sigma_min, np.where(kinds, 3.0, 0.0))


def test_the_lowest_share_by_quality_is_annotated_and_not_another_one():
    """argsort(quality) < share * n is the published mistake: it takes positions for ranks, here 5 of 8 wrongly."""
    quality = np.array([0.3, 0.9, 0.1, 0.8, 0.2, 0.7, 0.6, 0.4, 0.5, 0.0])
    found = js.learning.annotate_percentile(X, quality, 0.2, 0.8).sigma_min
    np.testing.assert_array_equal(found, np.where(quality < 0.75, 0.2, 0.0))
    mistaken = np.where(np.argsort(quality) < 8, 0.2, 0.0)
    assert (mistaken != found).any()
    many = np.random.default_rng(1).normal(size=(1000,))
    notes = js.learning.annotate_percentile(np.ones((1000, 1)) * many[:, None], many, 0.2, 0.9)
    assert many[notes.sigma_min == 0].mean() == pytest.approx(1.75, abs=0.15)  # -0.01 where ranks are positions


def test_scores_have_the_level_of_the_highest_step_that_they_reach(tmp_path):
    scores, table = np.array([95, 90, 89.9, 80, 70, 69, 100, 85, 10, 75]), {90: 0.0, 80: 0.5, 70: 2.0}
    expected = [0, 0, 0.5, 0.5, 2, np.inf, 0, 0.5, np.inf, 2]
    (tmp_path / "table.json").write_text(json.dumps(table))
    for given in (table, tmp_path / "table.json"):
        np.testing.assert_array_equal(js.learning.annotate_scores(X, scores, given).sigma_min, expected)


def test_the_bound_on_total_variation_is_pinskers_and_above_the_true_one():
    """Against integrals of one coordinate, and the sum of divergences of two."""
    s = np.array([0.1, 0.7, 3.0])
    found = gaussian_bound(np.array([0.0]), np.array([1.0]), np.array([0.4]), np.array([0.3]), s)
    for level, bound in zip(s, found, strict=True):
        laws = [scipy.stats.norm(0, np.hypot(1, level)), scipy.stats.norm(0.4, np.sqrt(0.3 + level**2))]
        grid = np.linspace(-20, 20, 20_001)
        p, q = (law.pdf(grid) for law in laws)
        p, q = np.maximum(p, 1e-300), np.maximum(q, 1e-300)
        divergences = [scipy.integrate.simpson(a * np.log(a / b), x=grid) for a, b in ((p, q), (q, p))]
        np.testing.assert_allclose(bound, np.sqrt(min(divergences) / 2), rtol=1e-5)
        assert scipy.integrate.simpson(np.abs(p - q), x=grid) / 2 < bound
    twice = gaussian_bound(*(np.array([v, v]) for v in (0.0, 1.0, 0.4, 0.3)), s)
    np.testing.assert_allclose(twice, np.sqrt(2) * found)


def test_gaussians_that_differ_have_the_level_of_the_formula_and_equal_ones_none():
    """A variance of 1 is 1/2 when damaged; in a basis in which neither has a diagonal covariance."""
    rng = np.random.default_rng(0)
    clean, damaged, same = rng.normal(size=(3, 20_000, 2))
    damaged[:, 0] *= np.sqrt(0.5)
    damaged = damaged @ np.array([[0.6, 0.8], [-0.8, 0.6]])
    data, kinds = np.concatenate([clean, damaged, same]), np.repeat([0, 1, 2], 20_000)
    notes = js.learning.annotate_gaussian(data, kinds, eps=0.05)
    s = np.geomspace(0.01, 100, 4000)
    exact = first_below(s, gaussian_bound(*(np.array([v]) for v in (0.0, 1.0, 0.0, 0.5)), s), 0.05)
    assert notes.sigma_min[20_000] == pytest.approx(exact, rel=0.05)
    assert notes.sigma_min[0] == notes.sigma_min[-1] == 0


def test_blur_needs_more_noise_the_stronger_it_is_and_contrast_more_than_there_is_to_find():
    clean = js.datasets.photo_patches()[0][:1500].astype(float)
    blur = [scipy.ndimage.gaussian_filter(clean, (0, sigma, sigma)) for sigma in (0.4, 0.8, 2.0)]
    notes = js.learning.annotate_gaussian(np.concatenate([clean, *blur]), np.repeat(range(4), len(clean)))
    levels = notes.sigma_min[:: len(clean)]
    assert 0 < levels[1] < levels[2] < levels[3] < 10


def test_few_samples_of_one_law_are_refused_and_blurred_ones_have_the_level_of_many():
    """100 clean patches. False alarms are 1 in 20 at a level; of 6 splits at most 2 have one.

    Patches have large outliers, so that a mean over chance is not enough: it left levels from 0.65 to 3.4.
    """
    patches, _ = js.datasets.photo_patches()

    def levels(clean, damage, seeds):
        for seed in seeds:
            order = np.random.default_rng(seed).permutation(len(patches))
            data = np.concatenate([patches[order[:clean]], damage(patches[order[clean:]])])
            yield js.learning.annotate_gaussian(data, np.arange(len(data)) >= clean).sigma_min[-1]

    def blurred(x):
        return scipy.ndimage.gaussian_filter(x, 0.8, axes=(1, 2))

    refused = 0
    for seed in range(6):
        try:
            next(levels(100, lambda x: x, [seed]))
        except ValueError:
            refused += 1
    assert refused >= 4
    (many,) = levels(640, blurred, [0])
    assert 0.5 * many < np.median(list(levels(100, blurred, range(6)))) < 1.5 * many
    with pytest.raises(ValueError, match="enough samples of both kinds to see .* 3 clean and 1278 of kind 1 differ no"):
        next(levels(3, lambda x: x, [0]))


def test_the_first_level_below_a_limit_is_one_from_which_on_all_are():
    s = np.array([1.0, 2.0, 3.0, 4.0])
    assert first_below(s, np.array([0.1, 0.4, 0.2, 0.1]), 0.3) == 3.0
    assert first_below(s, np.array([0.1, 0.1, 0.2, 0.1]), 0.3) == 0.0
    assert first_below(s, np.array([0.1, 0.1, 0.2, 0.3]), 0.3) == np.inf
    assert first_below(s, np.array([0.1, np.nan, 0.2, 0.2]), 0.3) == 3.0


@pytest.mark.parametrize(
    "name, arguments, phrase",
    [
        ("fixed", (np.ones(10, int), 1.0), r"damaged must have clean samples, .* got \[1\]"),
        ("fixed", (np.arange(10) * 2, 1.0), r"every number from 1 to the largest; got \[0, 2, 4"),
        ("fixed", (np.ones(9, bool), 1.0), r"booleans or integers of shape \(10,\); got bool of shape \(9,\)"),
        ("fixed", (np.arange(10) % 3, [1.0]), "sigma_min must be one number, or one for each of 2 kinds"),
        ("percentile", (np.zeros(9), 1.0), r"quality must have one number per sample, \(10,\); got shape \(9,\)"),
        ("percentile", (np.zeros(10), 1.0, 1.0), r"share must be in \(0, 1\); got 1.0"),
        ("scores", (np.zeros(10), {}), "table must be {least score: sigma_min}, both numbers; got {}"),
        (
            "scores",
            (np.zeros(10), {1: 0.5, 2: 0.7}),
            "a higher sigma_min for a higher score, .* 0.5 for 1 and 0.7 for 2",
        ),
        ("scores", (np.zeros(10), "none.json"), "table must be a dict, or a file of one in JSON; got none.json"),
        ("gaussian", (np.arange(10) == 3,), r"2 clean samples and 2 of each kind at least; got \[9, 1\]"),
        ("gaussian", (np.arange(10) % 2, 0.0), r"eps must be in \(0, 1\); got 0.0"),
    ],
)
def test_what_cannot_be_annotated_is_refused_in_a_sentence(name, arguments, phrase):
    with pytest.raises(ValueError, match=phrase):
        inspect.unwrap(getattr(js.learning, f"annotate_{name}"))(X, *arguments)
