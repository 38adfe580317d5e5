"""Pictures of estimates show what their docstrings say: bands, the truth, and a legend of all marks."""

from types import SimpleNamespace

import numpy as np

from jaxsamp import plots
from jaxsamp.plots.sparameters import BAND


def interpolation(s, error=None, every=10):
    """As `jaxsamp.sparameters.interpolate` gives it, as far as the picture looks at it."""
    f = np.linspace(1e9, 2e9, len(s))
    samples = SimpleNamespace(frequencies=f[::every], s=s[::every])
    return SimpleNamespace(frequencies=f, s=s, standard_error=error, samples=samples)


def test_phases_have_bands_and_a_dashed_truth_without_jumps_of_whole_turns():
    turns = np.linspace(0, 3, 101)
    s = np.exp(-2j * np.pi * turns).reshape(-1, 1, 1)
    truth = s * np.exp(0.2j)
    error = np.full(s.shape, 0.1)
    error[50] = 9.0  # a phase of which nothing is known
    _, phase, _ = plots.sparameters(interpolation(s, error), truth=truth).axes
    own = -360 * turns
    fit, dashed, dots = phase.lines
    np.testing.assert_allclose(fit.get_ydata(), own, atol=1e-9)
    assert dashed.get_linestyle() == "--"
    np.testing.assert_allclose(dashed.get_ydata(), own + np.degrees(0.2), atol=1e-9)
    np.testing.assert_allclose(dots.get_ydata(), own[::10], atol=1e-9)
    (band,) = phase.collections
    width = np.full(101, np.degrees(BAND * 0.1 / np.sqrt(2)))
    width[50] = 180
    corners = band.get_paths()[0].vertices
    for edge in (own - width, own + width):
        expected = np.stack([np.linspace(1, 2, 101), edge], 1)
        assert np.abs(corners[:, None] - expected).max(-1).min(0).max() < 1e-9


def test_a_phase_of_nothing_is_unknown_and_without_errors_there_are_no_bands():
    s = np.linspace(-0.5, 0.5, 21).reshape(-1, 1, 1) + 0j
    _, phase, _ = plots.sparameters(interpolation(s, np.full(s.shape, 0.01))).axes
    corners = phase.collections[0].get_paths()[0].vertices
    assert np.isfinite(corners).all() and np.ptp(corners[corners[:, 0] == 1.5, 1]) == 360
    size, phase, _ = plots.sparameters(interpolation(s)).axes
    assert not size.collections and not phase.collections


def test_a_legend_explains_marks_of_all_panels():
    row = {"label": "X", "value": 0.5, "low": 0.4, "high": 0.6, "exact": None}
    known = row | {"exact": 0.55}
    for panels, names in (
        ({"a": [row], "b": [known]}, ["interval", "estimate", "true"]),
        ({"a": [known], "b": [row]}, ["interval", "estimate", "true"]),
        ({"a": [row], "b": [row]}, ["interval", "estimate"]),
    ):
        (legend,) = plots.intervals(panels).legends
        assert [text.get_text() for text in legend.get_texts()] == names
