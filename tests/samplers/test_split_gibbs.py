"""Split Gibbs sampling: each draw has its law, the chain has the law that it claims, and a sample is its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.core.random import Rng
from jaxsamp.corruptions import DenseOperator, SaturationOperator
from jaxsamp.denoisers import Observed, dps
from jaxsamp.denoisers.operators import of_all
from jaxsamp.samplers import DDIM, DDPM, DPMSolverPP, SlidingWindow, SplitGibbs
from jaxsamp.samplers.near_observation import near_observation
from tests.cases import SCHEDULES, quick, shrinking, small_mixture

MEAN, COVARIANCE = np.array([0.5, -0.3]), np.array([[0.8, 0.3], [0.3, 0.5]])
POINT = np.array([1.0, -0.5])
MATRIX, Y, NOISE = np.array([[1.0, 0.5]]), np.array([1.0]), 0.3


def normal():
    return js.targets.GaussianMixture([1.0], [MEAN], [COVARIANCE])


@jax.jit
def draws(operator, y, rho):
    """4,000 draws near one point, all from the same start."""

    def one(key):
        rng, x = Rng(key, (2,), jnp.float32), jnp.asarray(POINT, jnp.float32)
        return near_observation((y, operator, 0.25), x, x, rho, jnp.asarray(0), rng, 100, 4)

    return jax.vmap(one)(jax.random.split(jax.random.key(0), 4000))


def drawn_near(operator, y, rho):
    return np.asarray(draws(of_all(operator), jnp.asarray(y, jnp.float32), jnp.float32(rho)), float)


def bent(z):
    """A curve of one coordinate beside the other."""
    return jnp.stack([jnp.sin(2 * z[0]) + z[1]])


CASES = {
    "linear": (DenseOperator(jnp.asarray(MATRIX)), Y, 0.8),
    "bent": (bent, np.array([1.2]), 0.5),
    "saturated": (SaturationOperator(1.5, 1.0), np.array([0.3, 0.6]), 2.0),
}


@pytest.mark.parametrize("name", quick(["bent", "linear", "saturated"], "bent"))
def test_the_point_near_the_observation_has_its_law(name):
    """Means and second moments of 4,000 draws against sums over a grid: 5 numbers, false alarms 1 in 300,000 in all.

    The start of the chains is one point, so moves that leave the law unchanged but do not move would be seen too.
    """
    operator, y, rho = CASES[name]
    side = np.linspace(-8 * rho, 8 * rho, 400)
    points = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    misfit = (y - np.asarray(jax.vmap(operator)(jnp.asarray(points + POINT)), float)) / 0.25
    mass = np.exp(-0.5 * (points**2).sum(1) / rho**2 - 0.5 * (misfit**2).sum(1))

    def moments(x):
        return np.stack([x[:, 0], x[:, 1], x[:, 0] ** 2, x[:, 1] ** 2, x[:, 0] * x[:, 1]], 1)

    mean = mass @ moments(points + POINT) / mass.sum()
    variance = mass @ (moments(points + POINT) - mean) ** 2 / mass.sum()

    def refused(x):
        return np.any(np.abs(moments(x).mean(0) - mean) > 5 * np.sqrt(variance / len(x)))

    assert not refused(drawn_near(operator, y, rho)) and refused(drawn_near(operator, y, 1.2 * rho))


def test_at_a_fixed_level_the_law_is_that_of_a_blurred_likelihood():
    """Normal data: mean and covariance of 4,000 samples against the closed form; false alarms 1 in 300,000.

    The law given y itself, without the blur, is refused by the same bounds.
    """
    n, rho, last = 4000, 0.5, 0.02
    grid = np.append(np.linspace(rho + 0.01, rho, 16), last)
    known = js.posterior(normal().denoiser(SCHEDULES["ve"]), Y, DenseOperator(MATRIX), NOISE)
    sampler = SplitGibbs(DPMSolverPP(stochastic=True), inner_steps=16)
    start = jnp.asarray(np.random.default_rng(0).normal(size=(n, 2)))
    drawn = js.sample(jax.random.key(0), known, (n, 2), sampler, grid=grid, init=start, final_denoise=False)
    x = np.asarray(drawn.x, float)

    def refused(blur):
        covariance = COVARIANCE + last**2 * np.eye(2)
        gain = covariance @ MATRIX.T / (MATRIX @ covariance @ MATRIX.T + NOISE**2 + blur**2 * MATRIX @ MATRIX.T)
        mean, after = MEAN + gain @ (Y - MATRIX @ MEAN), covariance - gain @ MATRIX @ covariance
        off_mean = np.abs(x.mean(0) - mean) > 5 * np.sqrt(np.diag(after) / n) + 0.01
        spread = np.sqrt((after**2 + np.outer(np.diag(after), np.diag(after))) / n)
        return off_mean.any() or (np.abs(np.cov(x.T) - after) > 5 * spread + 0.015).any()

    assert not refused(rho) and refused(0.0)
    assert int(drawn.stats["evaluations"][0]) == int(drawn.stats["rounds"][0]) == 16 * 16


def test_a_sample_does_not_depend_on_the_others_and_new_values_do_not_compile_anew(x64):
    """An observation of each sample, of an operator that is not linear, in any microbatch."""
    inner, n, gains = shrinking(), 2, np.array([0.5, 1.5])
    sampler, y = SplitGibbs(inner_steps=2, moves=1), np.array([[0.1, 0.3], [0.6, 0.9]])

    def draw(denoiser, n, **options):
        return js.sample(jax.random.key(0), denoiser, (n, 2), sampler, 3, **options).x

    each, cond = js.posterior(inner, noise=0.2), Observed(y, SaturationOperator(gains, np.full(n, 1.2)))
    expected = np.concatenate(
        [draw(js.posterior(inner, y[i], SaturationOperator(gains[i], 1.2), 0.2), 1, first=i) for i in range(n)]
    )
    assert np.ptp(expected, 0).min() > 0.05
    for options in ({}, {"microbatch": 1}):
        np.testing.assert_allclose(draw(each, n, cond=cond, **options), expected, rtol=1e-9, atol=1e-9)
    with jax.no_tracing(True):
        draw(js.posterior(inner, noise=0.3), n, cond=cond._replace(y=y + 0.1))


def test_what_it_cannot_take_is_one_sentence():
    inner = small_mixture().denoiser(SCHEDULES["ve"])
    known = js.posterior(inner, np.zeros(2), np.ones(2, bool), 0.1)
    for sampler, denoiser, error, words in (
        (SplitGibbs(), inner, TypeError, "sampler SplitGibbs needs a denoiser made by jaxsamp.posterior"),
        (SplitGibbs(DDIM()), known, ValueError, "inner must go step by step and add noise"),
        (SplitGibbs(SlidingWindow()), known, ValueError, "inner must go step by step and add noise"),
        (SplitGibbs(SplitGibbs()), known, TypeError, "inner must be a sampler of unconditional diffusion"),
        (SplitGibbs(DDPM(), 0), known, ValueError, "inner_steps must be at least 1; got 0"),
    ):
        with pytest.raises(error, match=words):
            js.sample(jax.random.key(0), denoiser, (2, 2), sampler, 2)


@pytest.mark.slow
def test_samples_have_the_exact_law_given_a_saturated_observation(optimized):
    """Energy distance of 500 samples to the law by quadrature: false alarms 1 in 100; that of `dps` is far outside."""
    target, y, operator = small_mixture(), jnp.array([0.6, -0.4]), SaturationOperator(1.0, 1.2)
    prior, law = target.denoiser(SCHEDULES["ve"]), js.targets.condition_plane(target, y, operator, 0.3)
    bank = js.metrics.NullBank(law, 500, jax.random.key(1), js.Level(1.0, 0.02))
    gibbs, grid = SplitGibbs(DPMSolverPP(stochastic=True), 8), np.geomspace(80.0, 0.02, 161)
    found = []
    for denoiser, sampler in ((js.posterior(prior, y, operator, 0.3), gibbs), (dps(prior, y, operator), DDPM())):
        x = js.sample(jax.random.key(2), denoiser, (500, 2), sampler, grid=grid, final_denoise=False).x
        found.append(js.metrics.energy(x, bank))
    assert found[0].inside and found[1].value > 3 * found[1].null_high
