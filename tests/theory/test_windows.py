"""Critical windows: closed forms, bands that cover them, bounds that hold, and a hierarchy of eight components."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, xlogy
from scipy.stats import norm

import jaxsamp as js
from jaxsamp.theory import critical_windows, merge_tree, windows
from jaxsamp.theory.windows.bounds import Overlaps
from jaxsamp.theory.windows.times import levels_at
from jaxsamp_kernels import mixture as kernel

KEY, EPS = jax.random.key(0), 0.1
TIMES = np.linspace(0.5, 5.0, 60)
LINE = js.targets.GaussianMixture([0.5, 0.5], [[10.0], [-10.0]], np.ones((2, 1, 1)))
SIGNS = np.array([[a, b, c] for a in (1, -1) for b in (1, -1) for c in (1, -1)])
NESTED = [[0], [0, 1], [0, 1, 2, 3]]


def hierarchy(*scales, dim=16):
    """Eight components at (+-scales, 0, ...), with identity covariances."""
    means = np.zeros((8, dim))
    means[:, :3] = SIGNS * np.array(scales)
    return js.targets.GaussianMixture(np.full(8, 1 / 8), means, [np.eye(dim)] * 8)


def on_a_line(key, n=4096):
    """The window of two Gaussians ten standard deviations from zero."""
    return critical_windows(jax.random.key(key), LINE, [[0]], times=TIMES, n=n)[0]


def coverage(keys):
    """How many keys' bands hold the two times, and the curves at the time where they do so least often."""
    m, exact = 10 * np.exp(-TIMES), windows.two_gaussians(10.0, EPS)
    truth = (2 * norm.cdf(m) - 1, norm.cdf(m) - 0.5, windows.stay_probability(m), windows.class_entropy(m))
    held = np.zeros(6)
    for key in range(keys):
        got = on_a_line(key)
        held[:2] += [c.low <= t <= c.high for c, t in zip((got.T_after, got.T_before), exact, strict=True)]
        for i, (curve, true) in enumerate(
            zip((got.tv_after, got.tv_before, got.stay, got.entropy), truth, strict=True)
        ):
            held[2 + i] += ((curve.low <= true + 1e-6) & (true <= curve.high + 1e-6)).mean()
    return held / keys


def test_times_of_two_gaussians_have_the_total_variation_that_defines_them():
    for radius, eps in ((10.0, 0.1), (5.0, 0.05), (50.0, 0.3)):
        after, before = windows.two_gaussians(radius, eps)
        tv = [
            windows.pair_total_variation([2 * radius], [[1.0]], *levels_at(np.array([t]))[0]) for t in (after, before)
        ]
        np.testing.assert_allclose([tv[0], tv[1] / 2], [1 - eps**2, eps], atol=1e-9)
    widths = [np.subtract(*windows.two_gaussians(7.0, eps)[::-1]) for eps in (0.05, 0.1, 0.2)]
    np.testing.assert_allclose(widths, [3.181, 2.319, 1.365], atol=5e-4)


def test_stay_and_entropy_in_closed_form_are_integrals():
    """And the published T_after of two Gaussians, ln R - ln ln(1 / (2 eps^2)), is too late for eps = 0.35."""
    x = np.linspace(-14, 14, 20_001)
    for m in (3.0, 1.49261, 0.92241, 0.5, 0.1):
        p, density = expit(2 * m * (x + m)), norm.pdf(x)
        np.testing.assert_allclose(windows.stay_probability(m), np.trapezoid(density * p, x), atol=1e-6)
        entropy = np.trapezoid(density * (xlogy(-p, p) + xlogy(p - 1, 1 - p)), x)
        np.testing.assert_allclose(windows.class_entropy(m), entropy, atol=1e-6)
    np.testing.assert_allclose(windows.stay_probability([1.49261, 0.92241, 0.49399]), [0.9, 0.75, 0.6], atol=1e-5)
    np.testing.assert_allclose(windows.stay_probability(1.0, reverse="ode"), norm.cdf(1.0))
    published = np.log(10) - np.log(np.log(1 / (2 * 0.35**2)))
    assert 2 * norm.cdf(10 * np.exp(-published)) - 1 < 1 - 0.35**2


def test_times_of_speciation_collapse_and_masking():
    assert windows.speciation_time(np.diag([9.0, 1.0])) == pytest.approx(np.log(3))
    got = [windows.collapse_time(*case) for case in ((1000, 16), (1000, 64), (10_000, 16))]
    np.testing.assert_allclose(got, [0.274, 0.820, 0.190], atol=5e-4)
    after, before = windows.masked_strings(5, EPS)
    np.testing.assert_allclose([1 - after**5, (1 - before**5) / 2], [1 - EPS**2, EPS])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: windows.stay_probability(1.0, 1.0), "weight must be between 0 and 1; got 1.0"),
        (lambda: windows.masked_strings(0, EPS), "hamming must be at least 1; got 0"),
        (lambda: windows.masked_strings(3, 0.7), "eps must be between 0 and 1/2; got 0.7"),
        (lambda: windows.pair_total_variation([2.0], [[0.0]], 1.0, 0.0), "sigma must be above 0 for a covariance"),
    ],
)
def test_closed_forms_refuse_what_they_are_not_of(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_points_on_a_path_have_the_densities_of_the_mixture():
    """For all forms of covariances."""
    key, means = KEY, np.random.default_rng(0).normal(size=(3, 4))
    factors = np.random.default_rng(1).normal(size=(3, 4, 2))

    @jax.jit
    def both(law, x_0, z, level):
        path = kernel.path(law.mixture, x_0, z)
        x = level.alpha * x_0 + level.sigma * z
        return jax.nn.logsumexp(kernel.log_components_on(law.mixture, path, *level[:2])), law.log_prob(x[None], level)[
            0
        ]

    for law in (
        js.targets.GaussianMixture.random(key, 3, 4),
        js.targets.GaussianMixture.spherical(np.full(3, 1 / 3), means, 0.3),
        js.targets.GaussianMixture.low_rank(np.full(3, 1 / 3), means, factors, 0.2),
    ):
        for alpha, sigma in ((0.9, 0.3), (0.1, 2.0)):
            np.testing.assert_allclose(*both(law, *jax.random.normal(key, (2, 4)), js.Level(alpha, sigma)), rtol=1e-5)


def test_bands_cover_the_closed_forms():
    """Of 30 keys, the bands of 95 %: a share below 0.75 has a probability below 1e-4."""
    assert coverage(30).min() >= 0.75


@pytest.mark.slow
def test_bands_cover_the_closed_forms_in_90_of_100_keys():
    assert coverage(100).min() >= 0.9


def test_a_hierarchy_of_eight_has_the_windows_of_its_scales():
    """Neighbors' times are those of two Gaussians; only the last window is one, because scales differ by 4 alone."""
    got = critical_windows(KEY, hierarchy(32.0, 8.0, 2.0, dim=3), NESTED, times=np.linspace(0.1, 5.5, 80))
    assert [w.after for w in got] == [tuple(group) for group in NESTED] and got[-1].before == tuple(range(8))
    for w, scale in zip(got, (2.0, 8.0, 32.0), strict=True):
        exact = windows.two_gaussians(scale, EPS)[1]
        assert w.T_before.point == pytest.approx(exact, abs=0.05) and w.T_end == w.T_before
    assert np.isnan(got[0].T_after.point)  # 1 - eps^2 is never reached
    np.testing.assert_allclose([w.T_after.point for w in got[1:]], [1.22, 2.52], atol=0.04)
    assert [w.valid for w in got] == [False, False, True] and np.isinf(got[2].T_start.point)
    assert got[1].T_start.point == got[2].T_after.point
    stay = [np.interp(t, got[0].times, got[0].stay.mean) for t in (0.5, 1.5, 2.5, 3.5)]
    np.testing.assert_allclose(stay, [0.8371, 0.5518, 0.3349, 0.2024], atol=0.01)  # products of exact ones
    for w in got:
        low, high = w.certified
        assert not low > w.T_after.high and not high < w.T_before.low


def test_bounds_hold_for_well_conditioned_components():
    """Bhattacharyya bounds hold total variation by draws, for groups too."""
    law = js.targets.GaussianMixture.random(jax.random.key(7), 6, 16)
    (first, second) = critical_windows(KEY, law, [[0], [0, 1, 2]], times=TIMES, n=6000)
    overlaps, a, b = Overlaps(law), np.arange(6) < 1, np.arange(6) < 3
    for i in range(0, 60, 12):
        coefficients = overlaps.at(*levels_at(first.times)[i])
        assert overlaps.separation(coefficients, a, ~a) <= first.tv_after.high[i]
        assert overlaps.nearness(coefficients, b, ~b) >= second.tv_after.low[i]
    assert second.certified[1] >= second.T_before.low


def test_samples_that_come_back_are_within_the_refined_bound():
    """On a line: q(x) = p(x) E[p_t^init(y) / p_t(y) given y = alpha x + sigma z], by quadrature, against p^target."""
    law = js.targets.GaussianMixture([0.3, 0.3, 0.4], [[-1.0], [1.0], [12.0]], np.full((3, 1, 1), 0.2))
    w, _ = critical_windows(KEY, law, [[0], [0, 1]], times=np.linspace(0.1, 3.0, 12), n=20000)
    x, (nodes, weights) = np.linspace(-6, 18, 1500), np.polynomial.hermite_e.hermegauss(64)
    density = np.array([0.3, 0.3, 0.4]) * norm.pdf(x[:, None], [-1.0, 1.0, 12.0], np.sqrt(0.2))
    target = density[:, :2].sum(1) / 0.6
    actual = []
    for alpha, sigma in levels_at(w.times):
        y, spread = alpha * x[:, None] + sigma * nodes, np.sqrt(0.2 * alpha**2 + sigma**2)
        noised = np.array([0.3, 0.3, 0.4]) * norm.pdf(y[..., None], alpha * np.array([-1.0, 1.0, 12.0]), spread)
        ratio = noised[..., 0] / 0.3 / np.maximum(noised.sum(-1), 1e-300)
        back = density.sum(1) * (ratio @ (weights / weights.sum()))
        assert np.trapezoid(back, x) == pytest.approx(1, abs=1e-3)
        actual.append(np.trapezoid(np.abs(back - target), x) / 2)
    assert np.all(np.array(actual) <= w.refined_bound + 0.01)
    best = w.refined_bound.argmin()
    assert actual[0] > 0.4 and actual[best] < 0.2  # early: only its own component; later: both


def test_components_merge_as_their_scales_say():
    tree = merge_tree(KEY, hierarchy(3200.0, 64.0, 1.0, dim=3), n=4096)
    assert [child.components for child in tree.children] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    (pair, other), exact = (
        tree.children[0].children,
        [windows.two_gaussians(s, EPS / 2)[1] for s in (1.0, 64.0, 3200.0)],
    )
    assert (pair.components, other.components) == ((0, 1), (2, 3)) and pair.children[0].components == (0,)
    np.testing.assert_allclose([pair.time, tree.children[0].time, tree.time], exact, atol=0.1)
    assert "{0, 1, 2, 3} from" in str(tree)
    with pytest.raises(
        ValueError, match="^schedule must reach the noise at which all components merge; 0 and 2 are still"
    ):
        merge_tree(KEY, hierarchy(3200.0, 64.0, 1.0, dim=3), n=64, schedule=js.schedules.VariancePreserving())
    near = merge_tree(KEY, hierarchy(32.0, 8.0, 2.0, dim=3), n=4096)
    assert [child.components for child in near.children] == [(k,) for k in range(8)]  # no group is ever apart enough


def test_times_are_those_of_the_schedule():
    """sigma / alpha is the same at them; total variation depends on nothing else."""
    schedule = js.schedules.VarianceExploding()
    own, given = (
        on_a_line(0),
        np.asarray(schedule.level(js.schedules.OrnsteinUhlenbeck().at(jnp.array(TIMES)).log_snr).t),
    )
    (got,) = critical_windows(jax.random.key(0), LINE, [[0]], times=given, schedule=schedule, n=4096)
    np.testing.assert_allclose(got.tv_before.mean, own.tv_before.mean, atol=1e-4)
    assert np.sqrt(np.expm1(2 * own.T_before.point)) == pytest.approx(got.T_before.point, rel=2e-2)


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_windows_and_merges_have_the_scale_of_the_law(scale):
    """Modes far below and far above sigma / alpha = 0.2, with the closed forms of two Gaussians."""
    law = js.targets.GaussianMixture([0.5, 0.5], [[5.0 * scale], [-5.0 * scale]], np.full((2, 1, 1), 1e-4 * scale**2))
    schedule = js.schedules.VarianceExploding()
    (window,) = critical_windows(KEY, law, [[0]], schedule=schedule, n=4096)
    exact = 5.0 / norm.isf(0.5 * EPS**2), 5.0 / norm.ppf(0.5 + EPS)
    for found, truth in zip((window.T_after, window.T_before), exact, strict=True):
        assert found.low - 0.03 * truth * scale < truth * scale < found.high + 0.03 * truth * scale
    assert window.certified[0] < exact[0] * scale and exact[1] * scale < window.certified[1]
    merged = merge_tree(KEY, law, schedule=schedule, n=4096).time
    assert merged == pytest.approx(5.0 / norm.ppf((1 + EPS) / 2) * scale, rel=0.05)


def test_a_pair_that_merges_at_a_ten_thousandth_of_the_others_is_a_node():
    means = [[a * 0.1 + b * 1e-5] for a in (1, -1) for b in (1, -1)]
    law = js.targets.GaussianMixture(np.full(4, 0.25), means, np.full((4, 1, 1), 1e-12))
    root = merge_tree(KEY, law, schedule=js.schedules.VarianceExploding(), n=1024)
    assert [child.components for child in root.children] == [(0, 1), (2, 3)]
    assert root.children[0].time == pytest.approx(1e-4 * root.time, rel=0.2)


def test_default_times_of_a_network_with_discrete_times_are_trained_ones_each_once():
    schedule = js.schedules.DiscreteTime(np.cumprod(1 - np.linspace(1e-4, 0.1, 60)))
    (window,) = critical_windows(KEY, LINE, [[0]], schedule=schedule, n=1024)
    assert (np.diff(window.times) >= 1).all() and len(window.times) > 40
    given = critical_windows(KEY, LINE, [[0]], times=window.times.astype(int), schedule=schedule, n=1024)[0]
    np.testing.assert_array_equal(window.tv_before.mean, given.tv_before.mean)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"groups": []}, "groups must be at least one list"),
        ({"groups": [[0, 8]]}, r"from 0 to 7.*got \[0, 8\]"),
        ({"groups": [[]]}, "at least one each"),
        ({"groups": [[0], [1, 2]]}, "groups must grow"),
        ({"groups": [[0], [0]]}, "groups must grow"),
        ({"groups": [list(range(8))]}, "names all 8"),
        ({"groups": [[0.5]]}, "lists of component numbers"),
        ({"eps": 0.5}, "eps must be between 0 and 1/2; got 0.5"),
        ({"confidence": 1.0}, "confidence must be between 0 and 1; got 1.0"),
        ({"n": 1}, "n must be at least 2; got 1"),
        ({"times": [1.0]}, r"times must be at least two, along one axis; got shape \(1,\)"),
        ({"times": [2.0, 1.0]}, "times must be increasing"),
    ],
)
def test_what_cannot_be_looked_for_is_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        inspect.unwrap(critical_windows)(KEY, hierarchy(4.0, 2.0, 1.0), **({"groups": [[0]]} | given))


def test_other_targets_are_refused():
    with pytest.raises(TypeError, match="target must be a jaxsamp.targets.GaussianMixture; got a"):
        inspect.unwrap(critical_windows)(KEY, js.targets.Empirical(np.zeros((3, 2))), [[0]])
    with pytest.raises(ValueError, match="at least two components"):
        merge_tree(KEY, js.targets.GaussianMixture([1.0], [[0.0]], [[[1.0]]]))
    with pytest.raises(TypeError, match="target must be a jaxsamp.targets.GaussianMixture; got a"):
        inspect.unwrap(merge_tree)(KEY, 3)


def test_a_window_has_a_picture():
    figure = on_a_line(0).plot()
    assert [len(axes.lines) for axes in figure.axes] == [4, 2] and figure.get_suptitle() == "{0} among {0, 1}"
