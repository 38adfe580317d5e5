"""The global minimum of a single ReLU: against fine grids of directions, many local searches, and counts of faces."""

import numpy as np
import pytest
from scipy.optimize import minimize

from jaxsamp.supervised import train_single_relu


def loss(w, x, y):
    return np.sum((np.maximum(x @ w, 0) - y) ** 2)


def test_ten_rows_in_the_plane():
    i = np.arange(10)
    x, y = np.stack([np.cos(1 + 2 * i), np.sin(3 * i)], 1), 1 + np.cos(5 * i)
    found = train_single_relu(x, y)
    assert found.loss == pytest.approx(9.24739936, abs=1e-8)
    np.testing.assert_allclose(found.weights, [1.30290774, 0.60085813], atol=1e-7)
    assert found.faces == 40


@pytest.mark.parametrize("seed", range(3))
def test_no_direction_in_the_plane_is_better(seed):
    """Of each of 1e5 directions the best length is known: the loss is quadratic in it."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((12, 2)), random.standard_normal(12)
    found = train_single_relu(x, y)
    angle = np.linspace(0, 2 * np.pi, 100_001)
    active = np.maximum(x @ np.stack([np.cos(angle), np.sin(angle)]), 0)
    length = np.maximum((y @ active) / np.maximum((active**2).sum(0), 1e-300), 0)
    grid = ((length * active - y[:, None]) ** 2).sum(0).min()
    assert found.loss <= grid + 1e-12
    assert found.loss == pytest.approx(grid, abs=1e-3)  # at a kink the loss is linear in the angle
    assert found.loss == pytest.approx(loss(found.weights, x, y), abs=1e-12)


def test_no_search_in_space_is_better_and_faces_are_counted():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((16, 3)), random.standard_normal(16)
    found = train_single_relu(x, y)
    assert found.faces == 962  # 16 * 15 + 2 cells, 16 * 30 faces on one plane, 120 * 2 rays on two
    searched = [minimize(loss, random.standard_normal(3), (x, y), method="L-BFGS-B").fun for _ in range(40)]
    assert found.loss <= min(searched) + 1e-9
    assert max(searched) > found.loss + 0.1  # the landscape has other minima


def test_a_planted_relu_is_found_with_a_bias():
    random = np.random.default_rng(1)
    x = np.column_stack([random.standard_normal((40, 2)), np.ones(40)])
    w = np.array([1.0, -2.0, 0.5])
    found = train_single_relu(x, np.maximum(x @ w, 0))
    assert found.loss < 1e-20
    np.testing.assert_allclose(found.weights, w, atol=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e8])
def test_the_units_of_a_column_do_not_change_the_minimum(unit):
    random = np.random.default_rng(2)
    u = random.random(12)
    y = np.maximum(3 * u - 1.5, 0) + 0.05 * random.standard_normal(12)
    on_lines = random.integers(-2, 3, (12, 3)).astype(float)
    for x, units in ((np.column_stack([u, np.ones(12)]), np.array([unit, 1.0])), (on_lines, np.full(3, unit))):
        found, scaled = train_single_relu(x, y), train_single_relu(x * units, y)
        assert scaled.loss == pytest.approx(found.loss, rel=1e-9)
        np.testing.assert_allclose(scaled.weights * units, found.weights, rtol=1e-6)


@pytest.mark.parametrize("offset", [1e5, 1e8, 1.7e9])
def test_nearly_dependent_columns_do_not_change_the_minimum(offset):
    t = np.linspace(0, 1000, 30)
    y = np.maximum(0.01 * (t - 400), 0) + 0.1 * np.sin(t)
    near, far = (train_single_relu(np.column_stack([t + o, np.ones(30)]), y) for o in (0.0, offset))
    assert far.loss == pytest.approx(near.loss, rel=1e-6) and far.faces == near.faces
    twice = train_single_relu(np.column_stack([t, np.ones(30), t]), y)
    assert twice.loss == pytest.approx(near.loss, rel=1e-9)


@pytest.mark.parametrize("x", [[[1.0, 0], [2, 0], [0, 1]], [[0.0, 0], [1, 1]], [[1.0, 2, 3]], [[3.0], [-1], [2]]])
def test_rows_on_one_line_and_few_rows_are_no_exception(x):
    x = np.array(x)
    y = np.arange(1.0, len(x) + 1)
    random = np.random.default_rng(0)
    found = train_single_relu(x, y)
    tried = min(minimize(loss, random.standard_normal(x.shape[1]), (x, y), method="BFGS").fun for _ in range(30))
    assert found.loss <= tried + 1e-7


def test_labels_that_no_relu_helps_have_weights_of_zero():
    found = train_single_relu(np.eye(3), -np.ones(3))
    np.testing.assert_array_equal(found.weights, np.zeros(3))
    assert found.loss == 3


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (
            np.ones((5, 4)),
            np.ones(5),
            r"x must be \(m, d\) with d from 1 to 3, where all faces can be tried; got \(5, 4\)",
        ),
        (np.ones((201, 2)), np.ones(201), "x must have from 1 to 200 rows; got 201"),
        (np.ones((5, 2)), np.ones(4), r"y must have shape \(5,\), one label per row of x; got \(4,\)"),
        (np.full((5, 2), np.nan), np.ones(5), "x must be finite"),
    ],
    ids=["dimension", "rows", "labels", "nan"],
)
def test_what_cannot_be_trained_is_a_sentence(x, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        train_single_relu(x, y)
