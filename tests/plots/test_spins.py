"""Pictures of spins show the numbers that they are given."""

import numpy as np
import pytest

from jaxsamp import plots


def test_square_states_are_images_and_others_are_rows():
    rng = np.random.default_rng(0)
    x = rng.choice([-1, 1], (10, 16)).astype(np.int8)
    figure = plots.spin_chains(x, np.arange(20.0).reshape(10, 2), exact=3.0, title="chains")
    states, trace, pairs = figure.axes
    sheet = states.images[0].get_array()
    assert sheet.shape == (3 * 5 - 1, 4 * 5 - 1)
    np.testing.assert_array_equal(sheet[5:9, 0:4], x[4].reshape(4, 4))
    median = [line for line in trace.lines if line.get_label() == "median"][0]
    np.testing.assert_array_equal(median.get_ydata(), [9, 10])
    assert [line.get_label() for line in trace.lines] == ["median", "exact mean"]
    overlap = np.sum(x[:5].astype(float) * x[5:], 1) / 16
    heights = [patch.get_height() for patch in pairs.patches]
    np.testing.assert_allclose(heights, np.histogram(overlap, np.linspace(-17 / 16, 17 / 16, 18), density=True)[0])
    rows = plots.spin_chains(x[:, :7]).axes[0].images[0].get_array()
    np.testing.assert_array_equal(rows, x[:, :7])


@pytest.mark.parametrize("n", [7, 16, 40, 41, 49, 64, 81, 100, 255, 256, 1000])
def test_no_bar_of_overlaps_is_high_because_it_holds_more_of_the_values_that_overlaps_have(n):
    """Each of the n + 1 values once; bars at the ends may reach beyond -1 and +1."""
    few = np.where(np.arange(n) < np.arange(n + 1)[:, None], -1, 1)
    patches = plots.spin_chains(np.concatenate([np.ones_like(few), few])).axes[2].patches
    heights, edges = (np.array([getattr(one, name)() for one in patches]) for name in ("get_height", "get_x"))
    np.testing.assert_allclose(heights[1:-1], heights[1])
    assert 0 < heights[0] <= heights[1] * (1 + 1e-9)
    np.testing.assert_allclose(heights, heights[::-1])
    np.testing.assert_allclose(edges[1:], -edges[:0:-1], atol=1e-12)
    assert min(n + 1, 14) <= len(patches) <= 42


@pytest.mark.parametrize("shape", [(4, 4), (4, 2), (1, 1)])
def test_square_weights_of_hidden_units_are_not_called_couplings(shape):
    x = np.random.default_rng(0).choice([-1, 1], (50, shape[0]))
    weights = np.random.default_rng(1).normal(size=shape)
    matrix = plots.spin_fit(weights, x, x).axes[0]
    assert (matrix.get_title(), matrix.get_xlabel()) == ("weights of hidden units", "hidden unit")
    couplings = (weights @ weights.T) * (1 - np.eye(shape[0]))
    couplings[0, 1:] *= 1 + 1e-7  # up to the rounding of single precision
    matrix = plots.spin_fit(couplings, x, x).axes[0]
    assert (matrix.get_title(), matrix.get_xlabel()) == ("couplings", "spin")


def test_what_was_learned_is_compared_with_held_out_samples():
    rng = np.random.default_rng(0)
    real, own, j = rng.choice([-1, 1], (50, 4)), rng.choice([-1, 1], (60, 4)), rng.normal(size=(4, 4))
    matrix, means, pairs, _ = plots.spin_fit(j, real, own).axes
    np.testing.assert_array_equal(matrix.images[0].get_array(), j)
    np.testing.assert_allclose(np.stack(means.lines[1].get_data()), [real.mean(0), own.mean(0)])
    products = np.stack(pairs.lines[1].get_data())
    assert products.shape == (2, 6)
    np.testing.assert_allclose(products[:, 3], [(x[:, 1] * x[:, 2]).mean() for x in (real, own)])


def test_a_selection_has_a_bar_for_each_coordinate_in_the_order_of_the_search():
    axes = plots.selection(["3", "1", "7"], [9.0, 5.0, 2.0], [4.0, 4.1, 4.2]).axes[0]
    assert [patch.get_width() for patch in axes.patches] == [9, 5, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3", "1", "7"]
    colors = [patch.get_facecolor() for patch in axes.patches]
    assert colors[0] == colors[1] != colors[2]
