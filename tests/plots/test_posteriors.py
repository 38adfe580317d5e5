"""Pictures of the calibration of posteriors show the counts, the curves and their bands."""

import jax
import numpy as np
import pytest

from jaxsamp import metrics, plots

RANDOM = np.random.default_rng(0)
TRUE, DRAWS = RANDOM.normal(size=(200, 6)), RANDOM.normal(size=(200, 9, 6))


def test_steps_are_counts_over_their_expectation_inside_of_the_band():
    found = metrics.sbc_ranks(TRUE, DRAWS, jax.random.key(0), bins=4)
    figure = plots.rank_histogram(found, [f"number {q}" for q in range(6)], title="ranks")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 6 and panels[5].get_title().startswith("number 5: p = ")
    for q, axes in enumerate(panels):
        band, bars = (patch.get_data() for patch in axes.patches)
        np.testing.assert_allclose(bars.values, found.counts[q] / found.expected)
        np.testing.assert_allclose(bars.edges, [-0.5, 2.5, 4.5, 7.5, 9.5])  # of ten ranks, 3, 2, 3 and 2
        np.testing.assert_allclose((band.baseline, band.values), found.band / found.expected)
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > (found.counts / found.expected).max()
    with pytest.raises(ValueError, match="^names must be of all 6 quantities; got 1"):
        plots.rank_histogram(found, ["one"])


def test_a_curve_of_coverage_is_drawn_for_each_posterior():
    exact, narrow = (metrics.tarp(TRUE, scale * DRAWS, jax.random.key(0)) for scale in (1.0, 0.3))
    figure = plots.coverage({"exact": exact, "narrow": narrow})
    (axes,) = figure.axes
    for line, one in zip(axes.lines[1:], (exact, narrow), strict=True):
        np.testing.assert_array_equal(line.get_xydata().T, (one.level, one.coverage))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[1] == f"narrow: p = {narrow.metric.p_value:.2g}" and narrow.metric.p_value < 1e-3
    (band,) = axes.collections
    assert np.isclose(band.get_paths()[0].vertices[:, 1].min(), -exact.metric.null_high)
    assert len(plots.coverage(exact).axes[0].lines) == 2
