"""Smoothed errors and certificates: against closed forms, enumeration and linear programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.optimize import linprog
from scipy.stats import binom, binomtest, norm

import jaxsamp as js
from jaxsamp.running.rows import _compiled
from jaxsamp.supervised.noise import BitFlips
from jaxsamp.supervised.votes import clopper_pearson

smoothed_error, certify = js.supervised.smoothed_error, js.supervised.certify


def halfspace(x):
    return x[:, 0]


def slab(x):
    return 1 - abs(x[:, 0])


@pytest.mark.parametrize(
    ("f", "at", "sigma", "wrong"),
    [(halfspace, 0.3, 0.4, 0.22662735), (slab, 0.4, 0.5, (1 - 0.76475040) / 2)],
    ids=["halfspace", "slab"],
)
def test_closed_forms(f, at, sigma, wrong, key):
    """Five standard errors: a false alarm in 2e6."""
    exact = {
        "halfspace": norm.cdf(-at / sigma),
        "slab": 1 - norm.cdf((1 - at) / sigma) + norm.cdf((-1 - at) / sigma),
    }[f.__name__]
    assert abs(exact - wrong) < 1e-8
    x = np.full((100, 2), at)
    found = smoothed_error(key, f, x, np.ones(100), sigma, 2000, limits="rows")
    error = np.sqrt(wrong * (1 - wrong) / 200_000)
    assert abs(found.error - wrong) < 5 * error
    assert found.low < found.error < found.high < found.low + 4.1 * error
    flipped = smoothed_error(key, f, x, -np.ones(100), sigma, 2000, limits="rows")
    assert abs(flipped.error + found.error - 1) < 1e-12


@pytest.mark.parametrize("noise", [{"sigma": 0.0}, {"rho": 1.0}], ids=["sigma", "rho"])
def test_without_noise_it_is_the_error(noise, key):
    x = np.random.default_rng(0).choice([-1, 1], (9, 2))
    y = np.where(np.arange(9) == 2, -x[:, 0], x[:, 0])
    limits = binomtest(1, 9).proportion_ci(0.95, "exact")
    np.testing.assert_allclose(smoothed_error(key, halfspace, x, y, **noise), (1 / 9, limits.low, limits.high))


def test_limits_are_those_of_clopper_and_pearson():
    for count, trials in ((0, 7), (3, 7), (7, 7), (1, 5000), (2100, 5000)):
        expected = binomtest(count, trials).proportion_ci(0.9, "exact")
        np.testing.assert_allclose(clopper_pearson(count, trials, 0.9), (expected.low, expected.high), atol=1e-12)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_limits_cover_the_mean_of_unequal_probabilities(confidence):
    """Exactly, by the law of the count: what they are used for where all copies of given rows are counted."""
    rng = np.random.default_rng(0)
    cases = [rng.beta(a, b, 40) for a, b in ((1, 9), (0.1, 0.3), (5, 5), (0.05, 2)) for _ in range(5)]
    cases += [np.r_[p, np.zeros(39)] for p in (0.01, 0.025, 0.0252, 0.1, 0.9)] + [np.full(40, 0.3)]
    low, high = clopper_pearson(np.arange(41), 40, confidence)
    for probabilities in cases:
        law = np.ones(1)
        for p in probabilities:
            law = np.convolve(law, [1 - p, p])
        assert law[(low <= probabilities.mean()) & (probabilities.mean() <= high)].sum() >= confidence


def test_limits_cover_the_law_and_those_of_all_copies_do_not():
    """Limits of 95 % hold in 270 of 300 sets or more; a false alarm in 4,000, had they 95 % exactly.

    With y = sign(x) and 15 % of the labels flipped, the error is .15 + .7 arctan(sigma) / pi.
    """
    rng, truth, sigma = np.random.default_rng(0), 0.15 + 0.7 * np.arctan(0.1) / np.pi, 0.1
    held = {"law": 0, "rows": 0}
    own = 0
    for i in range(300):
        x = rng.standard_normal((40, 1))
        y = np.where(x[:, 0] > 0, 1, -1) * rng.choice([1, -1], 40, p=[0.85, 0.15])
        for limits in held:
            found = smoothed_error(jax.random.key(i), halfspace, x, y, sigma, 16, limits=limits)
            held[limits] += found.low <= truth <= found.high
        own += found.low <= norm.cdf(-x[:, 0] * y / sigma).mean() <= found.high
    assert held["law"] >= 270 and own >= 270
    assert held["rows"] < 150  # of a law the copies of few rows tell less than their number says


def test_a_row_has_its_own_draws_whatever_is_beside_it(key):
    x = np.random.default_rng(0).standard_normal((100, 3))
    alone = certify(key, halfspace, x[:7], 1.0, 50, confidence=0.5)
    among = certify(key, halfspace, x, 1.0, 50, confidence=0.5, microbatch=9)
    np.testing.assert_array_equal(alone.likely, among.likely[:7])
    assert len(set(among.likely)) > 10


def test_new_weights_and_noise_compile_nothing_anew(key):
    def linear(w, x):
        return x @ w

    first = certify(key, Partial(linear, jnp.ones(2)), np.ones((4, 2)), 0.5, 200)
    before = _compiled._cache_size()
    second = certify(key, Partial(linear, -jnp.ones(2)), np.ones((4, 2)), 0.7, 200)
    assert (first.label == 1).all() and (second.label == -1).all()
    assert _compiled._cache_size() == before


def test_certified_radii_are_below_the_true_ones(key):
    """The noisy label of a half-space changes at its plane, and the radius comes near to that; false alarms 2e-4."""
    x = np.random.default_rng(1).standard_normal((300, 2))
    found = certify(key, halfspace, x, 0.5, 4000, confidence=1 - 1e-6)
    told = found.label != 0
    assert (found.label[told] == np.sign(x[told, 0])).all() and (found.radius <= abs(x[:, 0])).all()
    near = told & (abs(x[:, 0]) < 1)
    assert (found.radius[near] > abs(x[near, 0]) - 0.15).all() and near.sum() > 100
    assert (found.radius[~told] == 0).all() and (abs(x[~told, 0]) < 0.1).all()
    # Of the slab, whose two sides both matter: the nearest point at which half of the copies are outside.
    at = np.linspace(0, 1.2, 4000)
    edge = at[np.argmin(abs(norm.cdf((1 - at) / 0.5) - norm.cdf((-1 - at) / 0.5) - 0.5))]
    found = certify(key, slab, x, 0.5, 4000, confidence=1 - 1e-6)
    assert (found.radius <= abs(abs(x[:, 0]) - edge) + 1e-3).all() and found.radius.max() > 0.5


def test_certificates_of_spins_hold_for_all_flips(key):
    """Any function of six spins: whatever is flipped within the radius, the exact likelier label stays."""
    states = np.asarray(js.discrete.states(6))
    values = jnp.asarray(np.where(np.random.default_rng(3).random(64) < 0.25, -1.0, 1.0))

    def f(x):
        return values[jnp.sum((x > 0) * 2 ** jnp.arange(6), -1)]

    rho = 0.7
    distance = (states[:, None] != states[None]).sum(-1)
    q = (1 - rho) / 2
    positive = (q**distance * (1 - q) ** (6 - distance)) @ (np.asarray(f(states)) > 0)
    found = certify(key, f, states, rho=rho, draws=4000)
    label = np.where(positive > 0.5, 1, -1)
    for i in np.flatnonzero(found.label):
        assert (label[distance[i] <= found.radius[i]] == found.label[i]).all()
    assert found.radius.max() >= 1 and (found.label == label).mean() > 0.9
    # The most likely randomized functions around x that are no likelier than 1/2 around x' are linear programs.
    for r in (1, 2, 3):
        near, far = (binom.pmf(np.arange(r + 1), r, p) for p in (q, 1 - q))
        most = -linprog(-near, A_ub=far[None], b_ub=[0.5], bounds=(0, 1)).fun
        below, above = BitFlips(rho).radius(np.array([most - 1e-7, most + 1e-7]), 6)
        assert below < r <= above


def test_flips_have_their_probability(key):
    x = np.ones((200, 3))
    found = smoothed_error(key, halfspace, x, np.ones(200), rho=0.6, draws=500, limits="rows")
    assert abs(found.error - 0.2) < 5 * np.sqrt(0.16 / 100_000)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"y": np.array([0, 1, 1])}, "^y must be labels -1 or \\+1; got 0"),
        ({"y": np.ones(2)}, "^y must have shape \\(3,\\)"),
        ({"x": np.ones(3)}, "^x must be rows of numbers, \\(n, d\\); got shape \\(3,\\)"),
        ({"x": np.full((3, 2), np.nan)}, "^x must be finite"),
        ({"sigma": -1.0}, "^sigma must be a finite number of at least 0; got -1"),
        ({"sigma": None, "rho": 1.5}, "^rho must be from 0 to 1; got 1.5"),
        ({"sigma": None, "rho": 0.5, "x": np.full((3, 2), 2.0)}, "^x must be spins, -1 or \\+1, with rho; got 2"),
        ({"draws": 0}, "^draws must be at least 1; got 0"),
        ({"confidence": 1.0}, "^confidence must be between 0 and 1; got 1"),
        ({"limits": "low"}, "^limits must be one of 'law', 'rows'; got 'low'"),
        ({"f": lambda x: x}, "^f must return one number per row, \\(m,\\) of \\(m, d\\); got \\(1, 2\\)"),
    ],
    ids=["labels", "shape", "rows", "nan", "sigma", "rho", "spins", "draws", "confidence", "limits", "f"],
)
def test_what_has_no_smoothed_error_is_a_sentence(changed, sentence, key):
    given = {"key": key, "f": halfspace, "x": np.ones((3, 2)), "y": np.ones(3), "sigma": 0.5}
    with pytest.raises(ValueError, match=sentence):
        smoothed_error(**(given | changed))


@pytest.mark.parametrize("noise", [{"sigma": np.array([0.1, 0.2])}, {"sigma": "0.1"}, {"rho": [0.5]}, {"rho": 1j}])
def test_noise_is_one_number(noise, key):
    with pytest.raises(TypeError, match=f"^{next(iter(noise))} must be one real number; got "):
        certify(key, halfspace, np.ones((3, 2)), **noise)


def test_values_that_are_no_numbers_are_no_votes(key):
    x = np.array([[1.0], [2.0], [-3.0], [4.0]])
    with pytest.raises(ValueError, match="^f must return numbers; got NaN in row 2.$"):
        certify(key, lambda x: jnp.log(x[:, 0]), x, 1e-3)


def test_one_kind_of_noise_is_given(key):
    for noise in ({}, {"sigma": 0.1, "rho": 0.5}):
        with pytest.raises(
            TypeError, match="^either sigma, for normal noise, or rho, for spins that flip, must be given"
        ):
            certify(key, halfspace, np.ones((3, 2)), **noise)
