"""`sample_and_log_prob`: the density of the discrete map itself, found here by routes that do not differentiate it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.interpolate import CubicSpline

import jaxsamp as js
from jaxsamp import metrics
from jaxsamp.density.flows import SamplesAndLogProb
from jaxsamp.samplers import DDIM, DDPM, Heun, ParallelMidpoint, RandomizedMidpoint, UniPC
from jaxsamp.targets import GaussianMixture
from tests.cases import SCHEDULES, gaussian, last_level, quick, small_mixture

SAMPLERS = {"ddim": DDIM(), "heun": Heun(), "unipc2": UniPC(), "unipc3": UniPC(order=3)}
SCHEDULE = SCHEDULES["ou"]
KEY = jax.random.key(3)


def outputs(denoiser, sampler, steps, z):
    """Where the sampler takes starting noises z, (n, d)."""
    level = denoiser.schedule.level(-jnp.log(80.0))
    return js.sample(KEY, denoiser, z.shape, sampler, steps, init=level.sigma * z, final_denoise=False).x


def affine(denoiser, sampler, steps, dim):
    """A and b of the map z -> A z + b, which every deterministic sampler is for a Gaussian."""
    images = np.asarray(outputs(denoiser, sampler, steps, jnp.concatenate([jnp.zeros((1, dim)), jnp.eye(dim)])))
    return (images[1:] - images[0]).T, images[0]


@pytest.mark.parametrize("name", quick(["ddim", "heun", "unipc3", "unipc2"], "unipc3"))
def test_density_of_a_gaussian_is_that_of_the_affine_map(name, x64):
    denoiser = gaussian().denoiser(SCHEDULE)
    flow = js.sample_and_log_prob(KEY, denoiser, 50, SAMPLERS[name], 9)
    a, b = affine(denoiser, SAMPLERS[name], 9, 2)
    exact = stats.multivariate_normal(b, a @ a.T).logpdf(flow.x)
    np.testing.assert_allclose(flow.log_prob, exact, atol=1e-9)
    assert np.abs(exact - stats.multivariate_normal([0.5, -1], [[1, 0.6], [0.6, 0.5]]).logpdf(flow.x)).max() > 0.01


def test_jacobian_of_ddim_is_the_product_of_its_multipliers(x64):
    variances, grid = np.array([4.0, 0.25, 1e-4]), np.geomspace(80, 0.02, 13)
    target = GaussianMixture.diagonal([1.0], np.zeros((1, 3)), variances[None])
    flow = js.sample_and_log_prob(KEY, target.denoiser(SCHEDULES["ve"]), (20, 3), DDIM(), grid=grid)
    gain = variances / (variances + grid[:-1, None] ** 2)  # D = gain x, and a step is D + ratio (x - D)
    ratio = (grid[1:] / grid[:-1])[:, None]
    scale = 80 * np.prod(gain + ratio * (1 - gain), axis=0)
    np.testing.assert_allclose(flow.log_prob, stats.norm(scale=scale).logpdf(flow.x).sum(1), rtol=1e-10)


@pytest.mark.slow
def test_single_precision_is_enough_where_scales_differ_by_a_thousand():
    variances = np.logspace(-6, 0, 6)
    denoiser = GaussianMixture.diagonal([1.0], np.ones((1, 6)), variances[None]).denoiser(SCHEDULE)
    grid = np.geomspace(80, 1e-3, 33)
    flow = js.sample_and_log_prob(KEY, denoiser, 100, Heun(), grid=grid)
    assert flow.x.dtype == flow.log_prob.dtype == jnp.float32
    with jax.enable_x64(True):
        level = SCHEDULE.level(-jnp.log(80.0))
        z = jnp.concatenate([jnp.zeros((1, 6)), jnp.eye(6)])
        wide = GaussianMixture.diagonal([1.0], np.ones((1, 6)), variances[None]).denoiser(SCHEDULE)
        images = js.sample(KEY, wide, z.shape, Heun(), grid=grid, init=level.sigma * z, final_denoise=False).x
        exact = np.linalg.slogdet(np.asarray(images[1:] - images[0]))[1]
    z = jax.vmap(lambda key: js.core.random.Rng(key, (6,), jnp.float32).prior())(js.core.random.sample_keys(KEY, 100))
    expected = stats.norm.logpdf(np.asarray(z, float)).sum(1) - exact
    np.testing.assert_allclose(flow.log_prob, expected, atol=1e-3)


LINE = GaussianMixture.diagonal([0.3, 0.7], [[-1.0], [1.5]], [[0.1], [0.3]])


@pytest.fixture(scope="module")
def on_a_line():
    """A coarse flow to two modes on the line; and points, log densities of the flow and of the law at its end.

    The flow's density is that of a monotone map of one normal variable, from 40,001 values of the map.
    """
    with jax.enable_x64(True):
        law = GaussianMixture.diagonal(LINE.weights / LINE.weights.sum(), LINE.means, LINE.mixture.eigenvalues)
        denoiser = law.denoiser(SCHEDULE)
        flow = js.sample_and_log_prob(KEY, denoiser, 4000, UniPC(), 8)
        z = np.linspace(-7, 7, 40_001)
        x = np.asarray(outputs(denoiser, UniPC(), 8, jnp.asarray(z)[:, None]))[:, 0]
        assert (np.diff(x) > 0).all()
        log_p = np.asarray(law.log_prob(jnp.asarray(x)[:, None], last_level(denoiser)))
    return law, flow, x, stats.norm.logpdf(z) - np.log(CubicSpline(z, x).derivative()(z)), log_p


@pytest.mark.slow
def test_density_of_a_mixture_is_the_derivative_of_its_map(on_a_line):
    _, flow, x, log_q, _ = on_a_line
    assert np.trapezoid(np.exp(log_q), x) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(flow.log_prob, CubicSpline(x, log_q)(np.asarray(flow.x)[:, 0]), atol=1e-6)
    assert not flow.stats["folded"].any()


def test_total_variation_and_divergence_are_those_of_quadrature(on_a_line, x64):
    """Both within four standard errors: a false alarm once in 16,000."""
    law, flow, x, log_q, log_p = on_a_line
    q = np.exp(log_q)
    tv, kl = np.trapezoid(np.maximum(q - np.exp(log_p), 0), x), np.trapezoid(q * (log_q - log_p), x)
    level = last_level(law.denoiser(SCHEDULE))
    for metric, exact in ((metrics.flow_tv, tv), (metrics.flow_kl, kl)):
        found = metric(flow, law, level)
        assert found.stderr < 0.2 * exact and abs(found.value - exact) < 4 * found.stderr
        assert found.z == pytest.approx(found.value / found.stderr, rel=0.01) and not found.inside


def test_divergences_of_two_gaussians_are_the_closed_forms():
    """Four standard errors each; and the integral of |q - p| / 2 for the total variation."""
    x = np.asarray(jax.random.normal(KEY, (4000, 1)))
    flow = SamplesAndLogProb(jnp.asarray(x), jnp.asarray(stats.norm.logpdf(x)[:, 0]), {})
    law = GaussianMixture.diagonal([1.0], [[0.3]], [[1.44]])
    kl = np.log(1.2) + (1 + 0.09) / (2 * 1.44) - 0.5
    tv = quad(lambda u: abs(stats.norm.pdf(u) - stats.norm.pdf(u, 0.3, 1.2)), -12, 12)[0] / 2
    found = metrics.flow_kl(flow, law), metrics.flow_tv(flow, law)
    assert abs(found[0].value - kl) < 4 * found[0].stderr < 0.4 * kl
    assert abs(found[1].value - tv) < 4 * found[1].stderr < 0.1 * tv
    itself = SamplesAndLogProb(jnp.asarray(x), law.log_prob(jnp.asarray(x)), {})
    for metric in (metrics.flow_tv, metrics.flow_kl):
        assert abs(metric(itself, law).value) < 1e-6 and metric(itself, law).inside


def test_a_flow_is_judged_against_the_flow_of_the_exact_denoiser():
    denoiser, level = LINE.denoiser(SCHEDULE), last_level(LINE.denoiser(SCHEDULE))
    exact = js.sample_and_log_prob(KEY, denoiser, 500, Heun(), 12)
    again = js.sample_and_log_prob(jax.random.key(4), denoiser, 500, Heun(), 12)
    wrong = GaussianMixture.diagonal([0.45, 0.55], LINE.means, LINE.mixture.eigenvalues)
    other = js.sample_and_log_prob(jax.random.key(5), wrong.denoiser(SCHEDULE), 500, Heun(), 12)
    assert not metrics.flow_tv(again, LINE, level).inside  # the steps are coarse,
    for metric in (metrics.flow_tv, metrics.flow_kl):
        assert metric(again, LINE, level, exact).inside  # but not more so than those of the exact denoiser
        assert metric(other, LINE, level, exact).z > 3


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "steps"), [(Heun(), 6), (ParallelMidpoint(8, 2), 1)])
def test_samples_are_those_of_sample(x64, sampler, steps):
    denoiser = small_mixture().denoiser(SCHEDULE)
    drawn = js.sample(KEY, denoiser, (7, 2), sampler, steps, final_denoise=False)
    flow = js.sample_and_log_prob(KEY, denoiser, (7, 2), sampler, steps)
    np.testing.assert_allclose(flow.x, drawn.x, atol=1e-10)
    few = js.sample_and_log_prob(KEY, denoiser, 3, sampler, steps, microbatch=2)
    np.testing.assert_allclose(few.x, flow.x[:3], atol=1e-10)
    np.testing.assert_allclose(few.log_prob, flow.log_prob[:3], atol=1e-10)
    for name in ("evaluations", "rounds"):
        np.testing.assert_array_equal(flow.stats[name], drawn.stats[name])
    np.testing.assert_array_equal(flow.stats["evaluations_computed"], 3 * drawn.stats["evaluations"])


@pytest.mark.slow
def test_it_can_stand_inside_jit(x64):
    denoiser = small_mixture().denoiser(SCHEDULE)
    inside = jax.jit(lambda key: js.sample_and_log_prob(key, denoiser, 7, Heun(), 6).log_prob)(KEY)
    np.testing.assert_allclose(inside, js.sample_and_log_prob(KEY, denoiser, 7, Heun(), 6).log_prob, atol=1e-10)


def test_conditions_and_images_go_along(x64):
    """x_0 of a Gaussian around its condition: the density is that around it, too."""
    denoiser = js.denoiser(lambda p, x, t, cond: cond + (x - cond) / (1 + t[:, None, None] ** 2), None,
                           SCHEDULES["ve"], "x0")  # fmt: skip
    cond = jnp.arange(12.0).reshape(3, 2, 2)
    flow = js.sample_and_log_prob(KEY, denoiser, (3, 2, 2), UniPC(), grid=np.geomspace(1e5, 1e-3, 81), cond=cond)
    assert flow.x.shape == (3, 2, 2)
    exact = stats.norm(cond, 1).logpdf(flow.x).sum((1, 2))
    np.testing.assert_allclose(flow.log_prob, exact, atol=0.01)


def test_a_map_that_reverses_space_says_so(x64):
    """D = -3 x and a step that halves the noise: x -> -x. An even number of reversed axes keeps the orientation."""
    denoiser = js.denoiser(lambda p, x, t, cond: -3 * x, None, SCHEDULES["ve"], "x0")
    for d, folded in ((1, True), (2, False)):
        flow = js.sample_and_log_prob(KEY, denoiser, (5, d), DDIM(), grid=jnp.array([2.0, 1.0]))
        np.testing.assert_allclose(flow.log_prob, stats.norm(scale=2).logpdf(flow.x).sum(1))
        np.testing.assert_array_equal(flow.stats["folded"], [folded] * 5)


ANY = js.denoiser(lambda p, x, t, c: x, None, SCHEDULE, "x0")
BAD = [
    ({"sampler": DDPM()}, ValueError, "sampler must be deterministic .* got DDPM()"),
    ({"sampler": DDIM(eta=0.5)}, ValueError, "sampler must be deterministic"),
    ({"sampler": RandomizedMidpoint()}, ValueError, "sampler must be deterministic"),
    ({"sampler": "unipc"}, TypeError, "sampler must be one of"),
    ({"denoiser": ANY, "shape": (4, 33)}, ValueError, r"shape must have at most 32 numbers .* got \(4, 33\)"),
    ({"denoiser": ANY, "shape": 4}, ValueError, r"shape must be \(n, \*event\) .* got 4"),
    ({"shape": 0}, ValueError, "at least 1; got 0"),
    ({"shape": True}, TypeError, "shape must be a tuple"),
    ({"shape": (4, 3)}, ValueError, "event shape"),
    ({"key": 0}, TypeError, "key must be a typed key"),
    ({"microbatch": 0}, ValueError, "microbatch must be at least 1"),
    ({"cond": jnp.zeros((5, 2))}, ValueError, "cond must have leaves"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
def test_bad_input_is_one_sentence(change, error, words):
    call = {"key": KEY, "denoiser": small_mixture().denoiser(SCHEDULE), "shape": 4} | change
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(js.sample_and_log_prob)(**call)
    assert "\n" not in str(caught.value)


def test_a_network_that_gives_nan_is_named():
    nan = js.denoiser(lambda p, x, t, c: x * jnp.nan, None, SCHEDULE, "x0")
    with pytest.raises(ValueError, match="denoiser must return finite values; .* first at step 0 of 3"):
        js.sample_and_log_prob(KEY, nan, (2, 1), DDIM(), 3)


def test_bad_flows_are_named():
    x = jnp.zeros((5, 1))
    for flow, law, words in [
        (SamplesAndLogProb(x, jnp.zeros(4), {}), LINE, r"flow must hold x of shape \(n, 1\)"),
        (SamplesAndLogProb(jnp.zeros((5, 2)), jnp.zeros(5), {}), LINE, r"flow must hold x of shape \(n, 1\)"),
        (SamplesAndLogProb(x * jnp.nan, jnp.zeros(5), {}), LINE, "flow.x must be finite"),
        (SamplesAndLogProb(x, jnp.zeros(5) + jnp.inf, {}), LINE, "flow.log_prob must be finite"),
        (SamplesAndLogProb(x, jnp.zeros(5), {}), np.zeros((5, 1)), "law must have `log_prob`"),
    ]:
        with pytest.raises(ValueError, match=words):
            metrics.flow_tv(flow, law)
