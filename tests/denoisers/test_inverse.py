"""Denoisers that know an observation: exact where the algebra is, and measured against an exact posterior elsewhere."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.stats import multivariate_normal

import jaxsamp as js
from jaxsamp.denoisers import inpaint, per_event, posterior
from tests.cases import SCHEDULES, g64, small_mixture

RNG = np.random.default_rng(0)
FACTOR, MEAN, MATRIX, Y = RNG.normal(size=(5, 5)), RNG.normal(size=5), RNG.normal(size=(3, 5)), RNG.normal(size=3)
MASK = np.array([True, False, True, False, False])


def normal():
    """One correlated Gaussian in five dimensions."""
    return js.targets.GaussianMixture([1.0], [MEAN], [FACTOR @ FACTOR.T / 5 + 0.1 * np.eye(5)])


def operator(matrix=MATRIX):
    return Partial(jnp.matmul, jnp.asarray(matrix))


@partial(jax.jit, static_argnums=2)
def states(target, level, n=4):
    """Rng of x_t."""
    for_data, for_noise = jax.random.split(jax.random.key(0))
    clean = target.sample(for_data, n)
    noise = jax.random.normal(for_noise, clean.shape)
    return per_event(level.alpha, clean) * clean + per_event(level.sigma, clean) * noise


@pytest.mark.parametrize("form", ["full", "diagonal", "spherical", "low_rank"])
def test_a_conditioned_mixture_has_the_density_of_bayes(x64, form):
    """p(x | y) p(y) = p(x) p(y | x) at every x, with p(y) by scipy from the marginal of each component."""
    means, weights, factors = RNG.normal(size=(3, 4)), np.array([0.2, 0.5, 0.3]), RNG.normal(size=(3, 4, 2))
    mixtures = js.targets.GaussianMixture
    c = factors @ factors.swapaxes(1, 2) + np.eye(4)
    target, covariances = {
        "full": (mixtures(weights, means, c), c),
        "diagonal": (mixtures.diagonal(weights, means, v := factors[..., 0].repeat(2).reshape(3, -1)[:, :4] ** 2 + 0.1),
                     v[:, None] * np.eye(4)),
        "spherical": (mixtures.spherical(weights, means, 0.3), np.tile(0.3 * np.eye(4), (3, 1, 1))),
        "low_rank": (mixtures.low_rank(weights, means, factors, 0.2), c - 0.8 * np.eye(4)),
    }[form]  # fmt: skip
    matrix, y, noise = RNG.normal(size=(2, 4)), RNG.normal(size=2), 0.4
    after = target.condition(y, matrix, noise)
    x = RNG.normal(size=(6, 4))
    likelihood = multivariate_normal(np.zeros(2), noise**2 * np.eye(2)).logpdf(y - x @ matrix.T)
    evidence = sum(
        w * multivariate_normal(matrix @ m, matrix @ c @ matrix.T + noise**2 * np.eye(2)).pdf(y)
        for w, m, c in zip(weights, means, covariances, strict=True)
    )
    expected = np.asarray(jax.jit(target.log_prob)(x)) + likelihood - np.log(evidence)
    np.testing.assert_allclose(jax.jit(after.log_prob)(x), expected, rtol=1e-9)
    for bad in ({"noise": 0.0}, {"matrix": matrix[:, :3]}, {"y": [np.nan, 0.0]}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            target.condition(**{"y": y, "matrix": matrix, "noise": noise} | bad)


@jax.jit
def denoised(denoiser, x, level):
    """The denoiser's answer, compiled once for every observation, operator and noise of a kind."""
    return denoiser(x, level)


def levels_of(schedule):
    """Four samples at each of three levels."""
    return schedule.level(jnp.repeat(jnp.array([-3.0, 0.0, 2.0]), 4))


@pytest.mark.parametrize("schedule", ["vp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ve", "flow"))])
def test_normal_data_have_the_exact_posterior_mean(x64, schedule):
    schedule, target, seen = SCHEDULES[schedule], normal(), np.eye(5)[MASK]
    inner, level = target.denoiser(schedule), levels_of(schedule)
    x = states(target, level, 12)
    for noise in (1e-3, 0.3):
        partial = seen.T @ Y[:2] + np.where(MASK, 0, np.nan)
        cases = {
            "matrix": (target.condition(Y, MATRIX, noise), posterior(inner, Y, operator(), noise)),
            "mask": (target.condition(Y[:2], seen, noise), posterior(inner, partial, MASK, noise)),
        }
        for law, denoiser in cases.values():
            np.testing.assert_allclose(
                denoised(denoiser, x, level), denoised(law.denoiser(schedule), x, level), rtol=1e-6, atol=1e-7
            )
    # An observation without noise is met at every level.
    out = denoised(posterior(inner, Y, operator(), 0.0), x, level)
    np.testing.assert_allclose(out @ MATRIX.T, np.broadcast_to(Y, (12, 3)), atol=1e-7)


def test_a_number_is_exact_for_the_sphere_of_that_variance_and_for_no_other(x64):
    target, schedule = js.targets.GaussianMixture.spherical([1.0], [MEAN], 0.7), SCHEDULES["vp"]
    exact, level = target.condition(Y, MATRIX, 0.3), schedule.level(0.2)
    x = states(target, level)
    error = {
        v: jnp.abs(
            denoised(posterior(target.denoiser(schedule), Y, operator(), 0.3, variance=v), x, level)
            - denoised(exact.denoiser(schedule), x, level)
        ).max()
        for v in (0.7, 1.4)
    }
    assert error[0.7] < 1e-9 < 1e-2 < error[1.4]


@pytest.mark.parametrize("variance", [None, 0.5, 0.0])
def test_for_a_mixture_it_is_the_formula_with_dense_matrices(x64, variance):
    """V from the mixture's own posterior covariance, and the guidance of a number by automatic differentiation."""
    target, schedule, y, noise = small_mixture(), SCHEDULES["cosine"], jnp.array([0.4]), 0.3
    matrix, level = jnp.array([[1.0, 0.5]]), schedule.level(0.1)
    x, s2 = states(target, level), jnp.exp(-2 * level.log_snr)
    out = denoised(posterior(target.denoiser(schedule), y, operator(matrix), noise, variance=variance), x, level)
    mean = denoised(target.denoiser(schedule), x, level)
    if variance is None:
        v, of, mean, seen = map(np.asarray, (jax.jit(target.posterior_covariance)(x, level), matrix, mean, y))
        gain = np.linalg.solve(of @ v @ of.T + noise**2 * np.eye(1), of @ v).swapaxes(1, 2)
        expected = mean + np.einsum("nde,ne->nd", gain, seen - mean @ of.T)
    else:
        spread = variance * s2 / (variance + s2) * matrix @ matrix.T + noise**2

        def log_likelihood(x):
            gap = y - matrix @ target.posterior_mean(x[None], level)[0]
            return -0.5 * jnp.sum(gap**2 / spread[0])

        expected = mean + level.sigma**2 / level.alpha * jax.jit(jax.vmap(jax.grad(log_likelihood)))(x)
    np.testing.assert_allclose(out, expected, rtol=1e-8, atol=1e-10)


def test_samples_of_normal_data_have_the_law_given_the_observation():
    """Mean and covariance of 4,000 samples: each of 20 numbers within 5 deviations, false alarms 1 in 90,000."""
    target, n = normal(), 4000
    law = target.condition(Y, MATRIX, 0.3)
    denoiser = posterior(target.denoiser(SCHEDULES["ve"]), Y, operator(), 0.3)
    drawn = js.sample(jax.random.key(0), denoiser, (n, 5), steps=24, final_denoise=False)
    covariance = jax.jit(lambda x: law.posterior_covariance(x, js.Level(0.0, 1.0))[0])(jnp.zeros((1, 5)))
    x, true = np.asarray(drawn.x, float), np.asarray(covariance) + 0.02**2 * np.eye(5)
    assert np.all(np.abs(x.mean(0) - law.means[0]) < 5 * np.sqrt(np.diag(true) / n) + 1e-3)
    spread = np.sqrt((true**2 + np.outer(np.diag(true), np.diag(true))) / n)
    assert np.all(np.abs(np.cov(x.T) - true) < 5 * spread + 2e-3)
    assert int(drawn.stats["evaluations"][0]) == 24 * 5  # four backward passes beside each call


def test_a_sample_does_not_depend_on_the_others_and_new_values_do_not_compile_anew():
    def apply(params, x, t, cond):
        return params * x / (params + t[:, None] ** 2)  # that of N(0, diag(params))

    inner = js.denoiser(apply, jnp.arange(1.0, 5.0), SCHEDULES["ve"], "x0")
    run = jax.jit(lambda d, n: js.sample(jax.random.key(0), d, (n, 4), steps=4).x, static_argnums=1)
    mask, y = np.array([True, True, False, False]), jnp.arange(4.0) / 8
    first, other = run(posterior(inner, y, mask, 0.1), 3), posterior(inner, y + 0.1, ~mask, 0.2)
    with jax.no_tracing(True):
        again = run(other, 3)
    assert not np.allclose(first, again)
    np.testing.assert_allclose(run(posterior(inner, y, mask, 0.1), 1), first[:1], rtol=1e-5)
    level = js.Level(jnp.ones(3), jnp.array([0.1, 1.0, 10.0]))
    known = posterior(inner, y, mask, 0.1)
    drawn, sigma = np.asarray(first), np.asarray(level.sigma)
    alone = [denoised(known, drawn[i : i + 1], js.Level(1.0, sigma[i]))[0] for i in range(3)]
    np.testing.assert_allclose(denoised(known, first, level), np.stack(alone), rtol=1e-5)
    many = jax.jit(jax.vmap(lambda key, y: js.sample(key, posterior(inner, y, mask, 0.1), (1, 4), steps=4).x[0]))
    keys, ys = jax.random.split(jax.random.key(1)), jnp.stack([y, y + 0.1])
    assert many(keys, ys).shape == (2, 4)


def test_a_jacobian_that_is_no_covariance_stays_harmless():
    """A slope of -1 is no posterior mean; the observation is then passed over instead of dividing by it."""
    wrong = js.denoiser(lambda p, x, t, cond: -x, None, SCHEDULES["ve"], "x0")
    x, level = jnp.ones((2, 3)), js.Level(1.0, 2.0)
    known = posterior(wrong, jnp.ones(3), np.ones(3, bool), 0.1)
    np.testing.assert_allclose(jax.jit(lambda x: known(x, level))(x), -np.ones((2, 3)))


def test_affine_operators_and_gradients():
    """A constant in the operator moves the observation; the output has a gradient with respect to y."""
    inner, level = g64().denoiser(SCHEDULES["ve"]), js.Level(1.0, 0.5)
    x, y = states(g64(), level, 2), jnp.ones(8)

    @jax.jit
    def both(y):
        shifted = posterior(inner, y + 3, lambda v: v[:8] + 3, 0.2)(x, level)
        plain, pull = jax.vjp(lambda y: posterior(inner, y, lambda v: v[:8], 0.2)(x, level), y)
        return shifted, plain, pull(jnp.ones_like(plain))[0]

    shifted, plain, slope = both(y)
    np.testing.assert_allclose(shifted, plain, atol=1e-4)
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_inpainting_keeps_what_was_seen_and_costs_nothing():
    target = normal()
    inner = target.denoiser(SCHEDULES["vp"])
    y = np.where(MASK, [0.3, 0, -0.7, 0, 0], np.nan)
    drawn = js.sample(jax.random.key(0), inpaint(inner, y, MASK), (6, 5), steps=8, save_every=4)
    np.testing.assert_array_equal(drawn.x[:, MASK], np.broadcast_to(y[MASK], (6, 2)).astype(np.float32))
    assert int(drawn.stats["evaluations"][0]) == 9
    # On the way they are alpha y + sigma z, with the z of the start.
    first, middle = drawn.path[:, 0], drawn.path[:, 1]
    grid = js.grids.log_snr(SCHEDULES["vp"], 8)
    ends = [SCHEDULES["vp"].level(-jnp.log(grid[i])) for i in (0, 4)]
    z = first[:, MASK] / ends[0].sigma
    np.testing.assert_allclose(middle[:, MASK], ends[1].alpha * y[MASK] + ends[1].sigma * z, rtol=2e-2, atol=1e-2)


def test_bad_observations_are_one_sentence():
    inner = normal().denoiser(SCHEDULES["ve"])
    good = {"y": np.zeros(5), "operator": MASK, "noise": 0.1}
    for change, error, words in (
        ({"noise": -1.0}, ValueError, "noise must be at least 0"),
        ({"variance": -1.0}, ValueError, "variance must be at least 0"),
        ({"noise": np.ones(3)}, ValueError, r"noise must be a number or of y's shape \(5,\); got shape \(3,\)"),
        ({"variance": np.ones(5)}, ValueError, r"variance must be a number or None; got shape \(5,\)"),
        ({"noise": 0.0, "variance": 0.0}, ValueError, "noise must be above 0"),
        ({"iterations": 0}, ValueError, "iterations must be at least 1"),
        ({"operator": MATRIX}, TypeError, "a boolean mask; got dtype float64"),
        ({"operator": MASK[:3]}, ValueError, "must have the event's shape"),
        ({"y": np.full(5, np.nan)}, ValueError, "y must be finite"),
    ):
        with pytest.raises(error, match=words):
            posterior(inner, **good | change)
    with pytest.raises(ValueError, match="operator must return y's shape"):
        posterior(inner, np.zeros(2), operator(), 0.1)(jnp.zeros((1, 5)), js.Level(1.0, 1.0))
    with pytest.raises(TypeError, match="mask must be boolean; got dtype int64"):
        inspect.unwrap(inpaint)(inner, np.zeros(5), MASK.astype(int))
    with pytest.raises(ValueError, match="y must be finite"):
        inpaint(inner, np.full(5, np.nan), MASK)


@pytest.mark.slow
def test_given_an_observation_of_a_mixture_moments_are_nearer_to_the_law_than_replacement():
    """Energy distance to the exact law given y: that law's own denoiser is inside the band, the others are not.

    False alarms 1 in 100, of the first statement alone: the other distances are many times the band.
    """
    target = js.targets.GaussianMixture.random(jax.random.key(0), components=5, dim=8)
    prior, seen = target.denoiser(SCHEDULES["ve"]), np.eye(8)[:3]
    y = np.asarray(target.sample(jax.random.key(10), 1)[0])
    law, mask = target.condition(y[:3], seen, 0.1), np.arange(8) < 3
    bank = js.metrics.NullBank(law, 1000, jax.random.key(1), js.Level(1.0, 0.02))
    ways = law.denoiser(prior.schedule), posterior(prior, y, mask, 0.1), inpaint(prior, y, mask)
    found = []
    for denoiser in ways:
        x = js.sample(jax.random.key(2), denoiser, (1000, 8), js.samplers.DDPM(), 256, final_denoise=False).x
        found.append(js.metrics.energy(x, bank))
    exact, moments, replaced = found
    assert exact.inside and not moments.inside and moments.value < 0.5 * replaced.value
