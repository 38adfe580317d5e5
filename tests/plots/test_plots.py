"""Pictures: the right pixels in the right place, and no global state."""

import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from jaxsamp import plots
from jaxsamp.plots.style import MISSING


@pytest.fixture
def pixels(tmp_path):
    """What a figure looks like once saved."""

    def read(figure) -> np.ndarray:
        plots.save(figure, tmp_path / "figure.png")
        return np.asarray(Image.open(tmp_path / "figure.png").convert("RGB"))

    return read


def test_no_window_no_pyplot_and_no_changed_settings():
    code = "import sys, jaxsamp.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    before = dict(matplotlib.rcParams)
    plots.marginals(np.zeros((9, 3)), np.ones((9, 3)))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("inline", [False, True])
def test_a_figure_is_shown_once_as_the_last_line_of_a_cell_and_left_nowhere(inline):
    """As IPython itself asks for it; "inline" after the notebook has taken over pyplot, as an import of it does."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.pylabtools import select_figure_formats
    from matplotlib._pylab_helpers import Gcf

    shell = InteractiveShell()
    shell.display_formatter.active_types = shell.display_formatter.format_types
    if inline:
        select_figure_formats(shell, {"png"})
    for figure in (plots.marginals(np.zeros((9, 1)), np.ones((9, 1))), plots.losses([])):
        shown, _ = shell.display_formatter.format(figure)
        assert shown.keys() == {"text/plain", "image/png"} and shown["text/plain"].startswith("<Figure size")
        with Image.open(BytesIO(b64decode(shown["image/png"]) if inline else shown["image/png"])) as picture:
            assert picture.size[0] >= 600
    assert not Gcf.figs  # where the notebook would find it at the end of the cell, and show it again


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_a_sheet_shows_every_image_once_in_reading_order(channels):
    shades = np.linspace(0, 0.9, 5)
    batch = np.ones((5, 4, 6, *channels)) * shades.reshape(5, *[1] * (2 + len(channels)))
    sheet = plots.sheet(batch, columns=3, limits=(0, 1))
    assert sheet.shape == (2 * 5 - 1, 3 * 7 - 1, 3)
    np.testing.assert_array_equal(plots.sheet(2 * batch - 3, 3, 2, limits=(-3, -1)).round(12), sheet.round(12))
    for i, shade in enumerate(shades):
        tile = sheet[5 * (i // 3) : 5 * (i // 3) + 4, 7 * (i % 3) : 7 * (i % 3) + 6]
        np.testing.assert_array_equal(tile, np.full(tile.shape, shade))
    assert (sheet[5:, 14:] == 1).all()


def test_a_grid_shows_the_first_samples_and_nothing_else_each_pixel_equally_large(pixels):
    shown = pixels(plots.grid(np.random.default_rng(0).uniform(size=(500, 8, 8))))
    assert shown.shape[:2] == (908, 908)  # 89 pixels of 10 dots, and two margins of 9
    inside = shown[9:-9, 9:-9].reshape(89, 10, 89, 10, 3)
    np.testing.assert_array_equal(inside, np.broadcast_to(inside[:, :1, :, :1], inside.shape))
    expected = 255 * plots.sheet(np.random.default_rng(0).uniform(size=(500, 8, 8))[:100])
    assert np.abs(inside[:, 0, :, 0] - expected).max() <= 1
    assert (shown[:9] == 255).all() and (shown[:, :9] == 255).all()


def test_a_grid_with_labels_has_a_row_per_class_in_increasing_order(pixels):
    labels = np.array([30, 7, 7, 30, 7, 30, 7, 12])
    samples = np.ones((8, 4, 4)) * np.arange(8).reshape(8, 1, 1)
    figure = plots.grid(samples, labels=labels, columns=3, limits=(0, 10))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["7", "12", "30"]
    middles = axes.images[0].get_array()[2::5, 2::5, 0]
    np.testing.assert_allclose(middles, [[0.1, 0.2, 0.4], [0.7, 1, 1], [0, 0.3, 0.5]])  # missing ones are white
    np.testing.assert_allclose(axes.get_yticks(), [1.5, 1.5 + 14 / 3, 1.5 + 28 / 3], atol=0.4)
    assert pixels(figure).std() > 0
    assert len(plots.grid(samples, labels=labels, rows=2).axes[0].get_yticklabels()) == 2


def test_grids_take_their_grays_from_the_real_images(pixels):
    real = np.stack([np.full((8, 8), -1.0), np.full((8, 8), 1.0)] * 5)
    shown = pixels(plots.images(np.zeros((10, 8, 8)), real, title="grays"))
    assert shown.shape[1] == 1350
    left, right = shown[:, :660].reshape(-1, 3), shown[:, 690:].reshape(-1, 3)
    assert np.mean((left == 127).all(1) | (left == 128).all(1)) > 0.2  # halfway between black and white
    assert np.mean((right == 0).all(1)) > 0.1


def test_regions_hold_the_density_also_where_it_is_flat_or_zero(pixels):
    true = np.random.default_rng(0).uniform(-1, 1, (500, 2))

    def box(x):
        with np.errstate(divide="ignore"):
            return np.log((np.abs(x) < 1).all(1) / 4)

    shown = pixels(plots.scatter(true[:50], true, log_prob=box))
    darkest = np.array([0xC9, 0xC1, 0xB1])
    assert 0.4 < np.mean((shown == darkest).all(-1)) < 0.6  # one square half as wide as its panel is seen twice


@pytest.mark.parametrize("outside", [0.1, 1.0])
def test_regions_are_drawn_where_true_points_have_density_zero(outside):
    """For a density that is cut off, or that overflows; if it is zero everywhere, there is no region."""
    true = np.random.default_rng(0).normal(size=(500, 2))
    limit = np.quantile(true[:, 0], 1 - outside)

    def cut(x):
        return np.where(x[:, 0] < limit if outside < 1 else False, -0.5 * np.sum(x**2, 1), -np.inf)

    left, _ = plots.scatter(true, true, log_prob=cut).axes
    levels = [one.levels for one in left.collections if hasattr(one, "levels")]
    assert len(levels) == (outside < 1) and all(np.isfinite(one).all() for one in levels)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e17, -1e17, 1e-30])
def test_a_coordinate_that_is_constant_up_to_rounding_is_one_bar_in_the_middle(value):
    true = np.full((400, 1), value) + np.spacing(value) * np.random.default_rng(0).integers(-2, 3, (400, 1))
    (axes,) = plots.marginals(true, true).axes
    filled = [patch.get_height() for patch in axes.patches if hasattr(patch, "get_height")]
    np.testing.assert_allclose(filled, np.arange(21) == 10, rtol=1e-9)


def test_pictures_of_any_number_of_points_and_coordinates_are_drawn(pixels):
    rng = np.random.default_rng(0)
    for d in (1, 5, 20):
        assert pixels(plots.marginals(rng.normal(size=(30, d)), rng.normal(size=(40, d)))).std() > 0
    assert pixels(plots.scatter(rng.normal(size=(1, 2)), rng.normal(size=(2, 2)))).std() > 0


def test_losses_are_drawn_smoothed_and_on_a_logarithmic_axis_where_they_fall_far(pixels):
    def drawn(values):
        entries = [{"step": 10 * i, "loss": v, "grad_norm": 1.0} for i, v in enumerate(values)]
        return plots.losses(entries, title="a run")

    far, near = drawn(0.9 ** np.arange(100)), drawn(np.linspace(2, 1, 100))
    assert [figure.axes[0].get_yscale() for figure in (far, near)] == ["log", "linear"]
    noisy = np.linspace(2, 1, 100) + 0.3 * (-1) ** np.arange(100)
    line = drawn(noisy).axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(line[[0, -1]], noisy[[0, -1]])  # at the ends there is nothing to average
    assert np.abs(line - np.linspace(2, 1, 100))[5:-5].max() < 0.07
    for figure in (far, drawn([]), drawn([1.0])):
        assert pixels(figure).std() > 0


@pytest.mark.parametrize("error", [1e-4, 0.3, 0.0])
def test_a_comparison_shades_what_its_reference_does_not_know(pixels, error):
    row = {"evaluations": 8, "rounds": 8, "energy": 0.01, "energy_null": [-0.02, 0.03]}
    rows = [
        row | {"sampler": name, "distance_to_flow": d} for name, d in (("ddim", 0.2), ("heun", 0.1), ("ddpm", None))
    ]
    figure = plots.comparison(rows, flow={"steps": 1024, "distance_to_half_as_many": error})
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ddim", "heun", "ddpm", "error of the flow itself, 1,024 against 512 steps"][: 4 if error else 3]
    for axes in figure.axes[:2]:
        low = axes.get_ylim()[0]
        assert low < 0.1 and (not error or low < error)
        for patch in axes.patches:
            assert (patch.get_y(), patch.get_y() + patch.get_height()) == pytest.approx((low, error))
        assert len(axes.patches) == bool(error)
    assert pixels(figure).std() > 0


def test_errors_by_level_have_bars_of_two_standard_errors_that_stay_above_zero(pixels):
    rows = [{"level": 10.0**-k, "relative": 0.1, "stderr": s} for k, s in enumerate((0.01, 0.04, 0.2))]
    figure = plots.score_errors(rows, title="errors")
    ends = np.array([path.vertices[:, 1] for path in figure.axes[0].containers[0].lines[2][0].get_paths()])
    np.testing.assert_allclose(ends, [[0.08, 0.12], [0.02, 0.18], [0.01, 0.5]], rtol=1e-6)
    assert pixels(figure).std() > 0


def test_arrays_that_do_not_fit_are_sentences():
    with pytest.raises(ValueError, match=r"images of one shape.*\(5, 4\)"):
        plots.images(np.zeros((5, 4)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match="images of one shape"):
        plots.images(np.zeros((5, 4, 4)), np.zeros((5, 4, 5)))
    with pytest.raises(ValueError, match=r"images must be .*\(5, 4\)"):
        plots.grid(np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"images must be .*\(0, 4, 4\)"):
        plots.grid(np.zeros((0, 4, 4)), labels=[])
    with pytest.raises(ValueError, match="labels must be one for each of the 5 samples"):
        plots.grid(np.zeros((5, 4, 4)), labels=[1, 2])
    with pytest.raises(ValueError, match="rows must be at least 1"):
        plots.grid(np.zeros((5, 4, 4)), rows=0)
    with pytest.raises(ValueError, match=r"points \(n, 2\)"):
        plots.scatter(np.zeros((5, 3)), np.zeros((5, 2)))


def test_pixels_that_nobody_has_seen_have_a_color_of_their_own(pixels):
    """And do not count for what is black and what is white."""
    seen = np.where(np.arange(16).reshape(4, 4) % 2, np.nan, np.linspace(0, 1, 16).reshape(4, 4))
    shown = pixels(plots.panels([seen[None], np.ones((1, 4, 4))], ["seen", "white"]))
    blue = (shown == np.round(255 * np.array(MISSING))).all(-1)
    left = shown[:, : shown.shape[1] // 2]
    assert blue[:, : left.shape[1]].sum() > 1000 and not blue[:, left.shape[1] :].any()
    assert (left.reshape(-1, 3) == 0).all(-1).any()  # the darkest pixel is black


def test_levels_have_a_bar_and_a_name_each():
    rows = [{"low": 0.0, "high": 0.0, "count": 8}, {"low": 1.0, "high": 1.5, "count": 2}]
    rows.append({"low": None, "high": None, "count": 3})
    (axes,) = plots.levels(rows).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0, clean", "1 to 1.5", "never"]
    assert [bar.get_width() for bar in axes.patches] == [8, 2, 3]


def decided(after, before, times=(0.1, 0.5, 2.0, 20.0)):
    """A window as `jaxsamp.critical_windows` gives it, as far as pictures look at it."""
    stay = SimpleNamespace(mean=np.linspace(1, 0, 4), low=np.linspace(0.9, 0, 4), high=np.ones(4))
    ends = [SimpleNamespace(point=end, low=0.9 * end, high=1.1 * end) for end in (after, before)]
    return SimpleNamespace(times=np.array(times), stay=stay, T_after=ends[0], T_before=ends[1])


def test_windows_are_bars_on_one_axis_of_time(pixels):
    """With whiskers; an arrow where an end is not known, and a line of text where none is."""
    found = [decided(0.5, 2.0), decided(np.nan, 5.0), decided(np.nan, np.nan)]
    figure = plots.timeline(found, ["one", "two", "three"], time="level", log=True)
    curves, bars = figure.axes
    assert len(curves.lines) == 3 and bars.get_xscale() == "log" and bars.get_xlim() == (0.1, 20.0)
    assert [label.get_text() for label in bars.get_yticklabels()] == ["one", "two", "three"]
    spans = [tuple(line.get_xdata()) for line in bars.lines if line.get_linewidth() == 7]
    assert spans == [(0.5, 2.0), (0.1, 5.0)]
    assert [line.get_marker() for line in bars.lines if line.get_marker() in "<>"] == ["<"]
    assert [text.get_text() for text in bars.texts] == [" not decided between these times"]
    assert pixels(figure).std() > 0
    with pytest.raises(ValueError, match="names must be one for each of the windows, at least one; got 0 and 3"):
        plots.timeline(found, [])


def test_a_merge_tree_has_a_line_for_each_node_and_a_joint_for_each_merge(pixels):
    def node(components, time, *children):
        return SimpleNamespace(components=components, time=time, children=children)

    a, b, c = (node((k,), 0.0) for k in range(3))
    for times, scale in (((0.5, 100.0), "log"), ((1.0, 2.0), "linear")):
        figure = plots.merge_tree(
            node((0, 1, 2), times[1], node((0, 2), times[0], a, c), b), ["x", "y", "z"], log=scale == "log"
        )
        (axes,) = figure.axes
        assert axes.get_xscale() == scale and len(axes.lines) == 5 + 2
        assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "z", "y"]
        joints = [tuple(line.get_ydata()) for line in axes.lines if len({*line.get_xdata()}) == 1]
        assert joints == [(0, 1), (0.5, 2)]
    assert pixels(figure).std() > 0


def test_a_missing_pixel_of_a_strip_is_alone_in_being_white():
    start = np.linspace(0, 1, 48).reshape(3, 4, 4)
    known = np.asarray(plots.strips(start, start[None], ["t"]).axes[0].images[0].get_array())
    start[1, 2, 2] = np.nan
    shown = np.asarray(plots.strips(start, start[None], ["t"]).axes[0].images[0].get_array())
    known[5 + 2, [2, 5 + 2]] = 1.0
    np.testing.assert_array_equal(shown, known)


def test_strips_have_a_row_for_each_sample_and_a_column_for_each_time():
    start = np.ones((5, 4, 4)) * np.arange(5).reshape(5, 1, 1)
    after = np.stack([start[:3] / 2, start[:3] / 4])
    (axes,) = plots.strips(start, after, ["low", "high"], rows=2).axes
    middles = np.asarray(axes.images[0].get_array())[2::5, 2::5, 0]
    np.testing.assert_allclose(middles, [[0, 0, 0], [0.25, 0.125, 0.0625]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["start", "low", "high"]
    for given, sentence in (((start, after[..., 0], ["a", "b"]), "returned must be"), ((start, after, ["a"]), "got 1")):
        with pytest.raises(ValueError, match=sentence):
            plots.strips(*given)
