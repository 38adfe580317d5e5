"""Guidance in an interval, of a scale that depends on the level, by a classifier, and kept in range."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.denoisers import classifier_guide
from jaxsamp.targets import GaussianMixture
from tests.cases import SCHEDULES, small_mixture

VE = SCHEDULES["ve"]
LABELS = jnp.array([0, 1, 1, 0])
X = jax.random.normal(jax.random.key(7), (4, 3))


def by_label(params, x, t, cond):
    """D = weight x / (1 + t^2), the weights being those of labels 0 and 1, and of "no label"."""
    return params[cond][:, None] * x / (1 + t[:, None] ** 2)


CONDITIONAL = js.denoiser(by_label, jnp.array([0.5, 0.9, 0.2]), VE, "x0")


def level_of(noise):
    return VE.level(-jnp.log(jnp.asarray(noise, jnp.float32)))


def test_outside_of_the_interval_it_is_the_conditional_denoiser_and_inside_the_guided_one():
    held, everywhere = js.guide(CONDITIONAL, 3.0, 2, interval=(0.3, 2.0)), js.guide(CONDITIONAL, 3.0, 2)
    inside = np.array([False, True, True, False])
    levels = level_of([0.2, 0.4, 1.9, 2.1])
    found, alone, guided = (d(X, levels, LABELS) for d in (held, CONDITIONAL, everywhere))
    assert np.abs(guided - alone).min() > 1e-3
    np.testing.assert_allclose(found, np.where(inside[:, None], guided, alone), rtol=1e-6)
    for noise, same in ((0.2, CONDITIONAL), (1.0, everywhere), (3.0, CONDITIONAL)):  # one level for all
        level = level_of(noise)
        np.testing.assert_allclose(held(X, level, LABELS), same(X, level, LABELS), rtol=1e-6)
        jitted = jax.jit(lambda x, level: held(x, level, LABELS))
        np.testing.assert_allclose(jitted(X, level), same(X, level, LABELS), rtol=1e-6)


@pytest.mark.parametrize(
    ("sampler", "drawn"), [(js.samplers.DDIM(), 0), (js.samplers.RandomizedMidpoint(reuse=False), 8)], ids=["0", "8"]
)
def test_the_second_evaluation_is_left_out_where_all_samples_share_the_level(sampler, drawn):
    """Of 8 levels of the grid two are inside, 3.16 and 1.78; at `drawn` levels of each sample both are computed."""
    rows = []

    def counted(params, x, t, cond):
        jax.debug.callback(lambda x: rows.append(len(x)), x)
        return by_label(params, x, t, cond)

    inner = js.denoiser(counted, CONDITIONAL.params, VE, "x0")
    grid = np.geomspace(10, 0.1, 9)
    held = js.guide(inner, 3.0, 2, interval=(1.5, 4.0))
    out = js.sample(jax.random.key(0), held, (4, 3), sampler, grid=grid, cond=LABELS, final_denoise=False)
    jax.effects_barrier()
    assert int(out.stats["evaluations"].sum()) == 4 * 2 * (8 + drawn)
    assert sum(rows) == 4 * (6 + 2 * 2 + 2 * drawn)


def test_a_scale_follows_its_table_or_function_of_the_level():
    noises = jnp.array([0.05, 0.1, jnp.sqrt(0.1), 20.0])
    expected = [1.0, 1.0, 2.5, 4.0]  # constant beyond the ends, and in the middle of the logarithms the mean
    table = (np.array([0.1, 1.0]), [1.0, 4.0])
    falls = jax.tree_util.Partial(lambda most, noise: most / (1 + noise), 4.0)
    for scale, values in ((table, expected), (falls, 4 / (1 + noises)), (lambda noise: 2 * noise, 2 * noises)):
        held = js.guide(CONDITIONAL, scale, 2)
        found = jax.jit(lambda held, x: held(x, level_of(noises), LABELS))(held, X)  # as a pytree, functions too
        for i, (number, noise) in enumerate(zip(values, noises, strict=True)):
            one = X[i : i + 1], level_of(noise), LABELS[i : i + 1]
            exact = js.guide(CONDITIONAL, float(number), 2)(*one)
            np.testing.assert_allclose(found[i], exact[0], rtol=2e-5, atol=1e-6)
            np.testing.assert_allclose(held(*one), exact, rtol=2e-5, atol=1e-6)  # a level without an axis


def of_component(law, params, x, level, label):
    """log p(label | x_t) of the components of a mixture."""
    return params * jnp.take_along_axis(law.log_responsibilities(x, level), label[:, None], 1)[:, 0]


def test_new_numbers_of_all_wrappers_do_not_recompile():
    law = small_mixture()

    def scaled(most, noise):
        return most / (1 + noise)

    def weighed(weight, x, level, label):
        return of_component(law, weight, x, level, label)

    def go(a):
        partial = jax.tree_util.Partial
        held = js.guide(CONDITIONAL, partial(scaled, a), 2, interval=(0.1 * a, 2.0 * a), rescale=0.1 * a)
        tabled = js.guide(held.denoiser, (np.array([0.1, a]), [1.0, a]), 2)
        classified = classifier_guide(law.denoiser(VE), partial(weighed, a), a)
        drawn = []
        for denoiser, d in ((held, 3), (tabled, 3), (classified, 2)):
            clipped = js.clip(denoiser, -a, a, percentile=30.0 * a)
            drawn.append(js.sample(jax.random.key(0), clipped, (4, d), js.samplers.DDIM(), 5, cond=LABELS).x)
        return [np.asarray(x) for x in drawn]

    first = go(1.0)
    with jax.no_tracing(True):
        second = go(2.0)
    assert not any(np.allclose(a, b) for a, b in zip(first, second, strict=True))


def test_rescaling_gives_the_guided_numbers_the_spread_of_the_conditional_ones():
    level = level_of(0.5)
    alone, guided = (np.asarray(d(X, level, LABELS)) for d in (CONDITIONAL, js.guide(CONDITIONAL, 4.0, 2)))
    whole, part = (np.asarray(js.guide(CONDITIONAL, 4.0, 2, rescale=phi)(X, level, LABELS)) for phi in (1.0, 0.3))
    np.testing.assert_allclose(whole.std(1), alone.std(1), rtol=1e-5)
    np.testing.assert_allclose(part, 0.3 * whole + 0.7 * guided, rtol=1e-5)
    one_number = js.guide(CONDITIONAL, 4.0, 2, rescale=1.0)(X[:, :1], level, LABELS)  # which has no spread
    np.testing.assert_allclose(one_number, guided[:, :1], rtol=1e-6)


@pytest.mark.parametrize("schedule", ["vp", "ve", "flow"])
def test_the_exact_classifier_of_a_mixture_makes_the_denoiser_of_each_component(x64, schedule):
    """The gradient of log p(k | x_t) by differentiation of Bayes' rule, against the denoiser of one Gaussian."""
    law, schedule = small_mixture(), SCHEDULES[schedule]
    covariances = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.05, 0.0], [0.0, 0.4]]])
    alone = [GaussianMixture([1.0], law.means[k : k + 1], covariances[k : k + 1]) for k in range(2)]

    def log_prob(x, level, label):
        return of_component(law, 1.0, x, level, label)

    guided = classifier_guide(law.denoiser(schedule), log_prob)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(4, 2)))
    for noise in (0.05, 1.0, 40.0):
        level = schedule.level(jnp.asarray(-np.log(noise)))
        exact = jnp.stack([one.posterior_mean(level.alpha * x, level) for one in alone], 1)[jnp.arange(4), LABELS]
        found = guided(level.alpha * x, level, LABELS)
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-10)
        assert np.abs(found - law.posterior_mean(level.alpha * x, level)).max() > 1e-4
    doubled = classifier_guide(law.denoiser(schedule), log_prob, 2.0)(x, level, LABELS)
    plain = law.posterior_mean(x, level)
    np.testing.assert_allclose(doubled - plain, 2 * (guided(x, level, LABELS) - plain), rtol=1e-8)


def test_samples_guided_by_the_exact_classifier_are_those_of_their_components():
    law, n = small_mixture(), 64
    guided = classifier_guide(law.denoiser(VE), lambda x, level, label: of_component(law, 1.0, x, level, label))
    labels = jnp.arange(n) % 2
    out = js.sample(jax.random.key(0), guided, (n, 2), js.samplers.DDIM(), 40, cond=labels)
    found = np.asarray(law.responsibilities(out.x))[np.arange(n), labels]
    assert found.mean() > 0.97  # that of samples of the components themselves is 0.99
    assert int(out.stats["evaluations"][0]) == 41 * 3
    part = js.sample(jax.random.key(0), guided, (n, 2), js.samplers.DDIM(), 40, cond=labels, microbatch=16)
    np.testing.assert_allclose(part.x, out.x, atol=1e-5)


def test_what_the_inner_denoiser_and_the_classifier_of_a_network_get():
    seen = {}

    def network(params, x, t, cond):
        seen["network"] = (t.shape, cond)
        return x

    def log_prob(x, level, cond):
        seen["classifier"] = level.t, cond
        return -jnp.sum(x * x, 1)

    inner = js.denoiser(network, None, SCHEDULES["vp"], "x0")
    level = SCHEDULES["vp"].level(0.0)
    bare = js.Level(level.alpha, level.sigma)  # as in the levels of a metric
    for conditional in (False, True):
        found = classifier_guide(inner, log_prob, 0.25, conditional)(X, bare, LABELS)
        np.testing.assert_allclose(found, X - 0.5 * X * level.sigma**2 / level.alpha, rtol=1e-5)
        assert found.dtype == X.dtype
        assert seen["network"][1] is (LABELS if conditional else None) and seen["classifier"][1] is LABELS
        np.testing.assert_allclose(seen["classifier"][0], level.t, rtol=1e-5)
    silent = classifier_guide(inner, log_prob)(X, js.Level(0.0, 1.0, 1.0), LABELS)  # pure noise says nothing of a class
    np.testing.assert_array_equal(silent, X)


def test_dynamic_thresholding_is_its_formula_for_each_sample_alone():
    inner = js.denoiser(lambda p, x, t, cond: x, None, VE, "x0")
    x = np.random.default_rng(3).normal(2, 1.5, size=(5, 4, 6)).astype(np.float32)
    x[0] = np.linspace(0.0, 4.0, 24).reshape(4, 6)  # inside of the range
    held, level = js.clip(inner, 0.0, 4.0, percentile=90.0), level_of(1.0)
    found = np.asarray(held(jnp.asarray(x), level))
    u = (x - 2) / 2
    s = np.maximum(1, np.percentile(np.abs(u), 90, axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(found, 2 + 2 * np.clip(u / s, -1, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[0], x[0], rtol=1e-6)
    assert (s[1:] > 1.05).all() and found.min() == 0 and found.max() == 4
    for i in range(5):
        np.testing.assert_array_equal(held(jnp.asarray(x[i : i + 1]), level)[0], found[i])
    assert held(jnp.asarray(x, jnp.bfloat16), level).dtype == jnp.bfloat16


def table(levels, scales):
    return js.guide(CONDITIONAL, (np.array(levels), np.array(scales)), 2)


WRONG = {
    "interval": (lambda: js.guide(CONDITIONAL, 2.0, 2, interval=(2.0, 1.0)), "interval must be .* low < high; got"),
    "negative": (lambda: js.guide(CONDITIONAL, 2.0, 2, interval=(-1.0, 1.0)), "interval must be .* 0 <= low"),
    "rescale": (lambda: js.guide(CONDITIONAL, 2.0, 2, rescale=1.5), r"rescale must be in \[0, 1\]; got 1.5"),
    "samples": (
        lambda: js.guide(CONDITIONAL, jnp.ones(3), 2),
        r"scale must be a number, .* or a tuple .* got shape \(3,\)",
    ),
    "falling": (lambda: table([1.0, 0.5], [1.0, 2.0]), "scale must have levels .* that increase; got"),
    "zero": (lambda: table([0.0, 0.5], [1.0, 2.0]), "scale must have levels sigma / alpha above 0"),
    "sizes": (lambda: table([1.0, 2.0], [1.0]), r"scale must have as many levels as scales, \(k,\); got \(2,\) and"),
    "percentile": (lambda: js.clip(CONDITIONAL, percentile=0.0), "percentile must be above 0 and at most 100; got 0.0"),
    "shape": (
        lambda: js.guide(CONDITIONAL, lambda noise: jnp.ones(3), 2)(X, level_of(1.0), LABELS),
        r"scale must return the shape of the level, \(\); got \(3,\)",
    ),
    "scalar": (
        lambda: classifier_guide(CONDITIONAL, lambda x, level, c: x.sum(), 1.0, True)(X, level_of(1.0), LABELS),
        r"log_prob must return shape \(4,\), one per sample; got \(\)",
    ),
    "no cond": (
        lambda: js.sample(jax.random.key(0), classifier_guide(CONDITIONAL, lambda x, v, c: x[:, 0]), (4, 3)),
        "cond must be given to a denoiser that a classifier guides",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_settings_that_cannot_be_are_refused_in_a_sentence(wrong):
    make, words = WRONG[wrong]
    with pytest.raises(ValueError, match=f"^{words}"):
        make()


def test_what_is_no_function_or_no_interval_is_refused_in_a_sentence(monkeypatch):
    guide, classified = inspect.unwrap(js.guide), inspect.unwrap(classifier_guide)
    with pytest.raises(TypeError, match="^log_prob must be a function .*; got a int"):
        classified(CONDITIONAL, 3)
    with pytest.raises(TypeError, match="^interval must be two noise levels sigma / alpha, .low, high.; got 3.0"):
        guide(CONDITIONAL, 2.0, 2, interval=3.0)
