"""The regressor of few ReLUs: scikit-learn's checks, rows of any Gaussian law, and random states."""

import warnings

import jax
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from jaxsamp.supervised import ReLUNetRegressor


def data(n=6000, d=8):
    """A network of rows with another mean and covariance."""
    rng = np.random.default_rng(0)
    mix, mean = rng.standard_normal((d, d)) + 2 * np.eye(d), rng.standard_normal(d)
    z, w = rng.standard_normal((n, d)), np.linalg.qr(rng.standard_normal((d, d)))[0][:2]
    return z @ mix + mean, np.maximum(z @ w.T, 0) @ np.array([1.0, -0.6]), w @ np.linalg.inv(mix).T


def test_rows_of_any_gaussian_law_are_whitened():
    x, y, weights = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ReLUNetRegressor(2, random_state=0).fit(x, y)
    assert found.score(x, y) > 0.99
    lines = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (found.coef_, weights)]
    assert np.abs(lines[0] @ lines[1].T).max(0).min() > 0.99
    by_hand = np.maximum((x - x.mean(0)) @ found.coef_.T, 0) @ found.fit_.coefficients + found.fit_.constant
    np.testing.assert_allclose(found.predict(x), by_hand, atol=1e-8)
    with pytest.warns(UserWarning, match="x must be standard normal"):
        ReLUNetRegressor(2, whiten=False, random_state=0).fit(x, y)


def test_random_states_repeat_and_cross_validation_runs():
    x, y, _ = data(2000)
    made = [ReLUNetRegressor(2, random_state=s).fit(x, y).predict(x[:5]) for s in (1, 1, jax.random.key(3))]
    np.testing.assert_array_equal(made[0], made[1])
    assert np.isfinite(made[2]).all()
    assert (cross_val_score(ReLUNetRegressor(2, random_state=0), x, y, cv=2) > 0.9).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:x must be standard normal")
def test_it_is_an_estimator_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    found = check_estimator(ReLUNetRegressor(2, random_state=0), on_fail=None)
    failed = {one["check_name"]: str(one["exception"])[:200] for one in found if one["status"] == "failed"}
    assert not failed
