"""Polynomial classifiers: the smoothing operator in closed form, the losses, and how near they come to concepts."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

import jaxsamp as js
from jaxsamp.supervised.polynomial import PolynomialClassifier, best_threshold, fit_polynomial

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from smoothed_learning import quadrant, wedge  # noqa: E402

fit_smooth = js.supervised.fit_smooth


def wrong(classifier, x, y):
    return float(np.mean(np.where(np.asarray(classifier(x)) > 0, 1, -1) != y))


def random_polynomial(degree=4, spins=False):
    rng = np.random.default_rng(0)
    center, scale = (np.zeros(5), np.ones(5)) if spins else (rng.normal(size=3), rng.uniform(0.5, 2, 3))
    q = None if spins else jnp.asarray(np.linalg.qr(rng.normal(size=(5, 3)))[0])
    made = PolynomialClassifier(
        jnp.zeros(1), jnp.asarray(0.3), jnp.asarray(center), jnp.asarray(scale), q, degree, spins
    )
    coefficients = jnp.asarray(rng.normal(size=len(made.products)))
    return PolynomialClassifier(coefficients, made.threshold, made.center, made.scale, q, degree, spins)


def test_the_smoothing_operator_is_an_integral_over_the_noise(x64):
    p, x, sigma = random_polynomial(), np.random.default_rng(1).normal(size=(4, 5)), 0.7
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)  # exact up to degree 9, in each of three directions
    z = np.stack(np.meshgrid(*[nodes] * 3, indexing="ij"), -1).reshape(-1, 3)
    w = np.prod(np.stack(np.meshgrid(*[weights] * 3, indexing="ij"), -1).reshape(-1, 3), 1) / (2 * np.pi) ** 1.5
    noisy = x[:, None] + sigma * z @ np.asarray(p.projection).T  # noise across the three directions changes nothing
    np.testing.assert_allclose(p.smoothed(sigma)(x), np.asarray(p(noisy)) @ w, rtol=1e-10)


def test_smoothing_twice_is_smoothing_by_both(x64):
    p, x = random_polynomial(), np.random.default_rng(1).normal(size=(6, 5))
    np.testing.assert_allclose(p.smoothed(0.3).smoothed(0.4)(x), p.smoothed(0.5)(x), rtol=1e-10)
    np.testing.assert_allclose(p.smoothed(0.0)(x), p(x), rtol=1e-12)
    of_spins, states = random_polynomial(spins=True), js.discrete.states(5)
    twice = of_spins.smoothed(rho=0.5).smoothed(rho=0.6)
    np.testing.assert_allclose(twice(states), of_spins.smoothed(rho=0.3)(states), atol=1e-12)
    with pytest.raises(ValueError, match="^rho must be given for a polynomial of spins"):
        of_spins.smoothed(0.5)


def test_smoothed_spins_are_a_mean_over_all_flips(x64):
    p, states = random_polynomial(spins=True), np.asarray(js.discrete.states(5))
    distance = (states[:, None] != states[None]).sum(-1)
    law = 0.2**distance * 0.8 ** (5 - distance)
    np.testing.assert_allclose(p.smoothed(rho=0.6)(states), law @ np.asarray(p(states)), atol=1e-12)


def test_least_deviations_are_those_of_the_linear_program(x64):
    x, _, y = quadrant(5, 300)
    found, loss = fit_polynomial(x, y, 2, "l1", None, False)
    features = np.stack([np.ones(300), *x.T, *(x[:, i] * x[:, j] for i in range(6) for j in range(i, 6))], 1)
    eye = np.eye(300)
    program = linprog(
        np.append(np.zeros(28), np.full(300, 1 / 300)),
        A_ub=np.block([[features, -eye], [-features, -eye]]),
        b_ub=np.append(y, -y),
        bounds=[(None, None)] * 28 + [(0, None)] * 300,
    )
    np.testing.assert_allclose(np.mean(abs(y - np.asarray(found(x)))), loss, rtol=1e-10)
    assert program.fun - 1e-9 < loss < 1.002 * program.fun


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(30):
        scores = rng.integers(-4, 5, 20) / 2  # with ties
        y = np.where(rng.random(20) < 0.3, -1, 1) * np.where(scores > 0.3, 1, -1)
        errors = [np.sum(np.where(scores > t, 1, -1) != y) for t in np.arange(-3.25, 3.5, 0.25)]
        assert np.sum(np.where(scores > best_threshold(scores, y), 1, -1) != y) == min(errors)
    assert best_threshold(np.array([-1.0, 2.0]), np.array([-1, 1])) == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_degree_three_comes_near_to_the_concept(seed):
    """8.75 % of the labels are flipped by an adversary; measured excess .013 to .018; logistic .032 to .039."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import PolynomialFeatures

    x, _, y = quadrant(seed, 6000)
    fresh, concept, labels = quadrant(seed + 100, 20_000)
    least_deviations = fit_smooth(x, y, 0.2, 3, "l1")
    assert wrong(least_deviations.classifier, fresh, labels) <= np.mean(concept != labels) + 0.02
    found = fit_smooth(x, y, 0.2)
    features = PolynomialFeatures(3)
    peer = LogisticRegression(max_iter=5000).fit(features.fit_transform(x), y)
    of_peer = np.mean(peer.predict(features.transform(fresh)) != labels)
    assert wrong(found.classifier, fresh, labels) <= of_peer + 0.005
    assert found.error.low <= wrong(found.classifier, fresh, labels) <= found.error.high  # 95 %; these seeds do
    assert found.smoothed.error > found.error.error + 0.03  # noise is the worse for the flipped half-space


def test_hinge_loss_is_between():
    x, _, y = quadrant(0, 6000)
    fresh, _, labels = quadrant(100, 20_000)
    assert wrong(fit_smooth(x, y, 0.2, 3, "hinge").classifier, fresh, labels) < 0.06  # measured .039


def test_few_random_directions_suffice_for_a_large_margin():
    x, y = wedge(0, 1000, 200)
    fresh, labels = wedge(1, 5000, 200)
    found = fit_smooth(x, y, 0.01, 1, project=40).classifier
    np.testing.assert_allclose(found.projection.T @ found.projection, np.eye(40), atol=1e-5)
    assert wrong(found, fresh, labels) < 0.13  # of 24.6 %


def test_spins_are_told_by_their_products():
    rng = np.random.default_rng(0)
    x = rng.choice([-1, 1], (2000, 8))
    y = x[:, 1] * x[:, 5] * np.where(rng.random(2000) < 0.1, -1, 1)
    found = fit_smooth(x, y, rho=0.8, degree=2, loss="l1")
    assert found.classifier.spins and len(found.classifier.coefficients) == 37
    place = found.classifier.products.index((1, 5))
    assert abs(found.classifier.coefficients[place] - 1) < 0.02
    truth = 0.1 + 0.8 * (1 - 0.8**2) / 2  # the product of two spins flips with probability (1 - rho^2) / 2
    assert found.smoothed.low < truth < found.smoothed.high and abs(found.smoothed.error - truth) < 0.05


def test_far_and_unequal_coordinates_change_nothing():
    x, _, y = quadrant(0, 1000)
    moved = x * np.array([1, 10, 100, 1, 1, 1e-3]) + np.array([0, 1e3, 0, 0, -5, 1])
    (made, loss), (same, other) = (fit_polynomial(rows, y, 2, "logistic", None, False) for rows in (x, moved))
    assert abs(loss - other) < 1e-4 and np.mean((np.asarray(made(x)) > 0) == (np.asarray(same(moved)) > 0)) > 0.99


@pytest.mark.parametrize("project", [None, 3])
def test_rows_far_from_zero_keep_their_digits(project):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    y = np.where(x[:, 0] * x[:, 1] > 0, 1, -1)
    near, far = (fit_smooth(x + offset, y, 0.3, 2, project=project) for offset in (0.0, 1.7e9))
    assert far.error.error == near.error.error and abs(far.smoothed.error - near.smoothed.error) < 1e-3
    x = rng.normal(size=(100, 3))
    np.testing.assert_allclose(far.classifier(x + 1.7e9), near.classifier(x), rtol=1e-4, atol=1e-4)
    certified = [
        js.supervised.certify(jax.random.key(0), f.classifier, x + o, 0.3) for f, o in ((near, 0), (far, 1.7e9))
    ]
    assert np.mean(certified[0].label == certified[1].label) > 0.98
    for call in (
        lambda: far.classifier(jnp.asarray(x + 1.7e9)),
        lambda: jax.jit(lambda z: far.classifier(z))(x + 1.7e9),
    ):
        with pytest.warns(UserWarning, match="^x must be a NumPy array of float64 where its mean, .*e.09, is far"):
            call()


def test_rows_of_float32_that_lost_their_digits_are_named():
    x, _, y = quadrant(0, 1000)
    with pytest.warns(UserWarning, match="^x must be a NumPy array of float64 where its mean"):
        fit_smooth(np.float32(x + 1e6), y, 0.2, 1, "l1")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"y": np.arange(20) % 2}, "^y must be labels -1 or \\+1; got 0"),
        ({"y": np.ones(20)}, "^y must have both labels, -1 and \\+1, in the rows of the fit; got one class, 1"),
        ({"loss": "l2"}, "^loss must be one of 'logistic', 'l1', 'hinge'; got 'l2'"),
        ({"degree": 0}, "^degree must be at least 1; got 0"),
        (
            {"degree": 40},
            "^degree must be lower, or project be given: 206,379,406,870 products of up to 40 of 12 coord",
        ),
        ({"project": 13}, "^project must be at most d = 12, and None with rho; got 13"),
        ({"x": np.ones((5, 12)), "y": np.ones(5)}, "^x must have at least 10 rows, for three parts; got 5"),
    ],
    ids=["labels", "one label", "loss", "degree", "memory", "project", "rows"],
)
def test_what_cannot_be_fitted_is_a_sentence(changed, sentence):
    x = np.random.default_rng(0).normal(size=(20, 12))
    given = {"x": x, "y": np.where(np.arange(20) % 2, 1, -1), "sigma": 0.5}
    with pytest.raises(ValueError, match=sentence):
        fit_smooth(**(given | changed))


def test_the_estimator_has_classes_of_any_name():
    x, _, y = quadrant(0, 500)
    names = np.where(y > 0, "yes", "no")
    found = js.supervised.SmoothedPolynomialClassifier(0.1, degree=2, random_state=0).fit(x, names)
    assert found.classes_.tolist() == ["no", "yes"] and found.score(x, names) > 0.85
    assert found.smoothed_error_.low < found.smoothed_error_.error < found.smoothed_error_.high
    np.testing.assert_array_equal(found.predict(x) == "yes", found.decision_function(x) > 0)
    with pytest.raises(ValueError, match="^Only binary classification is supported: y must have two classes; got 3"):
        js.supervised.SmoothedPolynomialClassifier().fit(x, np.arange(500) % 3)


EXCEPTIONS = {
    "check_methods_subset_invariance": "polynomials are float32, whose rounding depends on the size of the batch",
    "check_methods_sample_order_invariance": "the same",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_is_an_estimator_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    learner = js.supervised.SmoothedPolynomialClassifier(degree=2, random_state=0)
    found = check_estimator(learner, on_fail=None, expected_failed_checks=EXCEPTIONS)
    failed = {one["check_name"]: str(one["exception"])[:200] for one in found if one["status"] == "failed"}
    assert not failed
