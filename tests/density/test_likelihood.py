"""`log_likelihood`: against exact densities, the density of the sampler's own map, and the exact trace."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxsamp as js
from jaxsamp.density.likelihood import bits_per_dim, log_likelihood
from tests.cases import SCHEDULES, quick, small_mixture

KEY = jax.random.key(7)
SCHEDULE = SCHEDULES["cosine"]
FAR = np.geomspace(1e6, 0.02, 129)  # where the law is the prior up to 1e-6


def affine(schedule, mean, variance):
    """The exact denoiser of N(mean, diag(variance)), without the machinery of a mixture."""

    def apply(params, x, t, cond):
        level = schedule.at(t)
        noise = jnp.square(level.sigma / level.alpha)[:, None]
        return (params[1] * x / level.alpha[:, None] + noise * params[0]) / (params[1] + noise)

    return js.denoiser(apply, (jnp.asarray(mean), jnp.asarray(variance)), schedule, "x0")


@pytest.mark.parametrize("probes", [0, 3])
def test_a_standard_normal_law_takes_one_step(probes, x64):
    """Both the state and the trace stand still: the density is that of x_0 + s_0 z."""
    x = np.random.default_rng(0).normal(size=(5, 3))
    found = log_likelihood(KEY, affine(SCHEDULE, np.zeros(3), np.ones(3)), x, 1, probes=probes)
    variance = 1 + 0.02**2
    np.testing.assert_allclose(found.log_prob, stats.norm(scale=np.sqrt(variance)).logpdf(x).sum(1), rtol=1e-12)
    np.testing.assert_allclose(found.latent, x / np.sqrt(variance), rtol=1e-12)
    np.testing.assert_allclose(found.stderr, 0, atol=1e-12)


@pytest.fixture(scope="module")
def gaussian():
    """Means, variances, points, and the density of x_0 + 0.02 z, for a Gaussian."""
    mean, variance = np.array([0.5, -1.0, 2.0]), np.array([4.0, 0.25, 0.01])
    x = mean + np.sqrt(variance) * np.random.default_rng(1).normal(size=(20, 3))
    return mean, variance, x, stats.norm(mean, np.sqrt(variance + 0.02**2)).logpdf(x).sum(1)


def test_the_error_is_of_fourth_order_in_the_step(gaussian, x64):
    """From 16 to 64 steps; to rounding it ends at the density of the law."""
    mean, variance, x, exact = gaussian
    denoiser = affine(SCHEDULE, mean, variance)
    steps = np.array([16, 32, 64])
    errors = [np.abs(np.asarray(log_likelihood(KEY, denoiser, x, int(n)).log_prob) - exact).mean() for n in steps]
    assert -np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(4, abs=0.25)
    assert errors[-1] < 1e-5


@pytest.mark.parametrize("name", ["flow", pytest.param("ve", marks=pytest.mark.slow)])
def test_the_schedule_does_not_matter(name, gaussian, x64):
    mean, variance, x, _ = gaussian
    denoisers = [affine(SCHEDULES[schedule], mean, variance) for schedule in ("cosine", name)]
    here, there = (log_likelihood(KEY, denoiser, x, 8, probes=2) for denoiser in denoisers)
    np.testing.assert_allclose(here.log_prob, there.log_prob, rtol=1e-9)
    np.testing.assert_allclose(here.latent, there.latent, atol=1e-9)


@pytest.mark.parametrize("mean", [(3.0, -2.0), (30.0, -20.0), (1000.0, 0.0)])
@pytest.mark.parametrize("name", quick(["cosine", "vp", "flow"], "cosine"))
def test_no_mean_leaves_a_floor_under_the_error(mean, name, x64):
    """The law ends at its own mean, not at the origin: twice the steps, a sixteenth of the error."""
    variance = np.array([1.5, 0.5])
    x = mean + np.sqrt(variance) * np.random.default_rng(3).normal(size=(12, 2))
    exact = stats.norm(mean, np.sqrt(variance + 0.02**2)).logpdf(x).sum(1)
    denoiser = affine(SCHEDULES[name], np.array(mean), variance)
    few, many = (np.abs(log_likelihood(KEY, denoiser, x, n).log_prob - exact).max() for n in (32, 64))
    assert many < 1e-4 and many < few / 8
    rough = log_likelihood(KEY, denoiser, x, 64, probes=2)
    assert (np.abs(rough.log_prob - exact) < 5 * rough.stderr + 1e-4).all()


def test_no_spread_leaves_a_floor_under_the_error(x64):
    """Standard deviations near that of the noise at the first level; equal ones to rounding, others to second order."""
    x = np.random.default_rng(4).normal(size=(9, 2))
    for variance, error in (([900.0, 900.0], 5e-5), ([900.0, 100.0], 0.02)):
        scaled = x * np.sqrt(variance)
        exact = stats.norm(0, np.sqrt(np.array(variance) + 0.02**2)).logpdf(scaled).sum(1)
        found = log_likelihood(KEY, affine(SCHEDULES["ou"], np.zeros(2), np.array(variance)), scaled, 64)
        np.testing.assert_allclose(found.log_prob, exact, atol=error)


def test_density_of_a_mixture_is_its_own(x64):
    law = small_mixture()
    x = law.sample(jax.random.key(1), 40)
    found = log_likelihood(KEY, law.denoiser(SCHEDULE), x, grid=FAR)
    np.testing.assert_allclose(found.log_prob, law.log_prob(x, js.Level(1.0, 0.02)), atol=1e-4)
    # A Kolmogorov-Smirnov test of the latents of 40 points in the plane, at a false-alarm rate of 1e-3.
    assert stats.kstest(np.asarray(found.latent).ravel(), "norm").pvalue > 1e-3


@pytest.mark.slow
def test_it_is_the_density_of_what_the_sampler_draws(x64):
    """By the Jacobian of the sampler's own map, from the other end, where noise drowns the law."""
    denoiser = small_mixture().denoiser(SCHEDULES["ou"])
    grid = js.grids.log_snr(denoiser.schedule, 192, sigma_max=1e5)
    flow = js.sample_and_log_prob(KEY, denoiser, 20, js.samplers.UniPC(order=3), grid=grid)
    alpha = denoiser.schedule.level(-jnp.log(grid[-1])).alpha
    found = log_likelihood(KEY, denoiser, flow.x / alpha, grid=grid)
    np.testing.assert_allclose(found.log_prob - 2 * jnp.log(alpha), flow.log_prob, atol=1e-3)


@pytest.fixture(scope="module")
def wide():
    """A small network in six dimensions: denoiser, points, and the results of the exact trace and of 24 probes."""
    rng = np.random.default_rng(2)
    weights, x = rng.normal(size=(6, 6)), rng.normal(size=(60, 6))
    with jax.enable_x64(True):
        apply = lambda weights, x, t, cond: jnp.tanh(x @ weights) / (1 + t[:, None])  # noqa: E731
        denoiser = js.denoiser(apply, jnp.asarray(weights), SCHEDULES["ve"], "x0")
        return denoiser, x, *(log_likelihood(KEY, denoiser, x, 8, probes=probes) for probes in (0, 24))


def test_random_probes_are_unbiased_with_an_honest_standard_error(wide, x64):
    """Sixty points, one estimate each: their mean error within 4.5 standard errors, and z of unit size within 40 %."""
    *_, exact, found = wide
    error = np.asarray(found.log_prob - exact.log_prob)
    assert abs(error.mean()) < 4.5 * np.sqrt(np.mean(found.stderr**2) / 60)
    assert 0.6 < np.sqrt(np.mean((error / np.asarray(found.stderr)) ** 2)) < 1.4
    assert 0.01 < np.mean(found.stderr) < 1
    np.testing.assert_allclose(found.latent, exact.latent, rtol=1e-12)


def test_signs_are_drawn_anew_at_every_stage(x64):
    """The variance of a normal law's estimate is a sum over stages, for v^T J v has variance 4 J_12^2 in the plane.

    That of 8,000 samples is within 12 % of it (7.6 standard errors). Signs shared by the stages of a step give
    3.6 times as much.
    """
    covariance, levels, n = np.array([[1.0, 0.6], [0.6, 0.8]]), np.geomspace(20.0, 0.1, 9), 8000

    def gain(s):
        return jnp.asarray(covariance) @ jnp.linalg.inv(jnp.asarray(covariance) + s**2 * jnp.eye(2))

    denoiser = js.denoiser(lambda p, x, t, cond: jax.vmap(lambda x, s: gain(s) @ x)(x, t), None, SCHEDULES["ve"], "x0")
    found = log_likelihood(KEY, denoiser, jnp.ones((n, 2)), grid=levels, probes=1)
    h, start = np.log(levels[0] / levels[1]), np.log(levels[:0:-1])
    expected = sum(
        (h * weight) ** 2 * 4 * float(gain(np.exp(log_s + place * h))[0, 1]) ** 2
        for log_s in start
        for place, weight in ((0, 1 / 6), (1 / 2, 1 / 3), (1 / 2, 1 / 3), (1, 1 / 6))
    )
    assert np.var(found.log_prob) == pytest.approx(expected, rel=0.12)


def test_a_sample_does_not_depend_on_its_batch(wide, x64):
    denoiser, x, _, whole = wide
    part = log_likelihood(KEY, denoiser, x[:3], 8, probes=24, microbatch=2)
    for a, b in zip(whole[:3], part[:3], strict=True):
        np.testing.assert_allclose(a[:3], b, rtol=1e-10)
    assert len(np.unique(np.asarray(whole.stderr))) == 60


def test_conditions_and_images_go_along(x64):
    """x_0 of a Gaussian around its condition: the density is that around it, too. Integers are data, as well."""
    denoiser = js.denoiser(lambda p, x, t, cond: cond + (x - cond) / (1 + t[:, None, None] ** 2), None,
                           SCHEDULES["ve"], "x0")  # fmt: skip
    cond = jnp.arange(12.0).reshape(3, 2, 2)
    x = np.arange(12).reshape(3, 2, 2) % 5
    found = log_likelihood(KEY, denoiser, x, grid=np.geomspace(1e6, 1e-3, 65), cond=cond)
    assert found.latent.shape == (3, 2, 2)
    np.testing.assert_allclose(found.log_prob, stats.norm(cond, 1).logpdf(x).sum((1, 2)), atol=2e-3)
    assert (np.asarray(found.stats["evaluations"]) == 260).all()
    assert (np.asarray(found.stats["evaluations_computed"]) == 257 * 5 + 4).all()
    single = log_likelihood(KEY, denoiser, x, 2, cond=cond, probes=1)
    assert jnp.isnan(single.stderr).all() and jnp.isfinite(single.log_prob).all()


def test_new_weights_data_and_levels_compile_nothing_and_it_stands_in_jit():
    def apply(params, x, t, cond):
        return params * x / (1 + t[:, None] ** 2)

    def value(scale, sigma_min):
        grid = js.grids.log_snr(SCHEDULES["ve"], 2, sigma_min=sigma_min)
        denoiser = js.denoiser(apply, jnp.asarray(scale), SCHEDULES["ve"], "x0")
        return log_likelihood(KEY, denoiser, jnp.full((2, 3), scale), grid=grid).log_prob

    first = value(1.0, 0.02)
    with jax.no_tracing(True):
        second = value(0.5, 0.01)
    assert (first != second).all()
    jitted = jax.jit(lambda p: log_likelihood(KEY, js.denoiser(apply, p, SCHEDULES["ve"], "x0"), jnp.ones((2, 3)), 2))
    np.testing.assert_allclose(jitted(jnp.asarray(1.0)).log_prob, first, rtol=1e-5)


def test_gray_levels_drawn_uniformly_need_eight_bits():
    """A uniform density on [-1, 1)^d; and the offset of 256 gray levels is 7 bits."""
    log_prob = jnp.full(3, -12 * math.log(2))
    np.testing.assert_allclose(bits_per_dim(log_prob, (2, 2, 3), 2 / 256), 8, rtol=1e-6)
    np.testing.assert_allclose(bits_per_dim(jnp.zeros(()), (5,), 2 / 256), 7, rtol=1e-6)


def test_bits_bound_the_code_length_of_a_law_of_gray_levels(x64):
    """Bits of a Gaussian in one dimension, quadrature over the noise, against the entropy code of its own cells."""
    levels, scale = np.arange(-24, 24), 0.25
    p = np.diff(stats.norm.cdf(scale * np.arange(-24, 25)))
    u = (np.arange(64) + 0.5) / 64
    log_prob = stats.norm.logpdf(scale * (levels[:, None] + u))
    bits = np.asarray(bits_per_dim(log_prob, (1,), scale)).mean(1)
    code = -np.log2(p)
    assert (bits > code).all() and p @ (bits - code) < 0.01


ANY = js.denoiser(lambda p, x, t, c: x, None, SCHEDULE, "x0")
BAD = [
    ({"key": 0}, TypeError, "key must be a typed key"),
    ({"denoiser": small_mixture()}, TypeError, "denoiser must be a denoiser"),
    ({"x": jnp.zeros((4, 3))}, ValueError, "shape must be .* event shape"),
    ({"x": np.array([[0.0, np.nan]])}, ValueError, "x must be finite"),
    ({"x": 1.0, "denoiser": ANY}, TypeError, "shape must be a tuple"),
    ({"probes": -1}, ValueError, "probes must be at least 0"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
    ({"grid": "log-snr"}, ValueError, "grid must be one of"),
    ({"microbatch": 0}, ValueError, "microbatch must be at least 1"),
    ({"cond": jnp.zeros((5, 2))}, ValueError, "cond must have leaves"),
    (
        {"denoiser": js.denoiser(lambda p, x, t, c: x * jnp.nan, None, SCHEDULE, "x0")},
        ValueError,
        "denoiser must return finite values; .* first at step 0 of 2",
    ),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
def test_bad_input_is_one_sentence(change, error, words):
    call = {"key": KEY, "denoiser": small_mixture().denoiser(SCHEDULE), "x": jnp.zeros((4, 2)), "steps": 2} | change
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(log_likelihood)(**call)
    assert "\n" not in str(caught.value)


def test_bad_scales_are_named():
    with pytest.raises(ValueError, match="scale must be above 0; got 0"):
        bits_per_dim(jnp.zeros(1), (2,), 0)
    with pytest.raises(ValueError, match="every entry of shape must be at least 1"):
        bits_per_dim(jnp.zeros(1), (0,), 1.0)


def test_errors_of_steps_do_not_grow_with_the_mean():
    """Of two narrow bumps far from zero, against the exact density of the noised law."""
    law = js.targets.GaussianMixture([0.3, 0.7], [[998.0], [1001.0]], [[[0.25]], [[0.09]]])
    x = law.sample(jax.random.key(1), 100)
    found = log_likelihood(KEY, law.denoiser(SCHEDULE), x, 32)
    exact = law.log_prob(x, js.Level(1.0, 0.02))
    np.testing.assert_allclose(found.log_prob, exact, atol=0.02)
