"""Speculative steps have the law of the steps that they stand for, whatever was guessed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

import jaxsamp as js
from jaxsamp.samplers import DDPM, SpeculativeDDPM
from jaxsamp_kernels import speculative
from tests.cases import SCHEDULES, g64, last_level, run, small_mixture

N = 20_000
FALSE_ALARM = 1e-4


def test_settled_noise_makes_the_step_one_of_the_right_mean(x64):
    """N(g, 1) coupled with N(D, 1): exactly normal, and kept with probability 2 Phi(-|Delta| / 2)."""
    rng = np.random.default_rng(3)
    z, u = jnp.asarray(rng.standard_normal((N, 1, 2))), jnp.asarray(rng.uniform(size=(N, 1)))
    weight, guess, drift = jnp.array([0.25]), np.array([[2.0, -1.0]]), np.array([[0.5, 0.6]])
    settle = jax.jit(jax.vmap(lambda z, u: speculative.settle(z, u, guess, drift, weight)))
    z, (kept, reflected) = np.asarray(z), map(np.asarray, settle(z, u))
    delta = 0.5 * (guess - drift)[0]
    noise = np.where((kept == 1)[:, None], z[:, 0] + delta, reflected[:, 0])
    for column in (*noise.T, noise @ np.array([0.6, 0.8])):
        assert kstest(column, "norm").pvalue > FALSE_ALARM
    assert abs(np.mean(noise[:, 0] * noise[:, 1])) < 4 / np.sqrt(N)
    probability = 2 * norm.cdf(-np.linalg.norm(delta) / 2)
    assert abs(float(kept.mean()) - probability) < 4 * np.sqrt(probability * (1 - probability) / N)
    # The proposals themselves are not of that law.
    assert kstest(z[:, 0, 0] + delta[0], "norm").pvalue < FALSE_ALARM


def test_right_guesses_are_kept():
    ones = jnp.ones((3, 2))
    assert speculative.settle(ones, jnp.array([0.1, 0.5, 0.999]), ones, ones, jnp.ones(3))[0] == 3


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_walk_has_the_law_of_single_steps(x64, fresh):
    """A double well whose drift is badly guessed: levels and products of levels against as many plain walks."""
    steps, weights = 9, jnp.linspace(0.1, 0.6, 9)
    drift = lambda y, j: 3 * jnp.tanh(2 * y) - y + 0.1 * j.reshape(-1, 1)  # noqa: E731
    start = jnp.zeros(1)

    def draw_of(key):
        return lambda j: (
            jax.random.normal(jax.random.fold_in(key, 2 * j), (1,)),
            jax.random.uniform(jax.random.fold_in(key, 2 * j + 1)),
        )

    def parallel(key):
        return speculative.walk(start, drift, draw_of(key), weights, lookahead=4, fresh=fresh)

    def plain(key):
        def one(y, j):
            y = y + weights[j] * drift(y[None], j[None])[0] + jnp.sqrt(weights[j]) * draw_of(key)(j)[0]
            return y, None

        return jax.lax.scan(one, start, jnp.arange(steps))[0]

    keys = jax.random.split(jax.random.key(1), (2, N))
    walks = jax.jit(jax.vmap(parallel))(keys[0])
    a, b = np.asarray(walks.y)[:, 0], np.asarray(jax.jit(jax.vmap(plain))(keys[1]))[:, 0]
    for statistic in (lambda y: y > 0, lambda y: y, lambda y: y**2, lambda y: np.cos(3 * y)):
        x, y = statistic(a).astype(float), statistic(b).astype(float)
        assert abs(x.mean() - y.mean()) < 4 * np.sqrt((x.var() + y.var()) / N)
    assert walks.rounds.mean() < (10 if fresh else 8) and walks.rounds.max() <= 2 * steps
    assert (walks.evaluations <= walks.computed).all()


def test_one_step_ahead_from_its_start_is_ddpm(x64):
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    plain, ahead = (run(sampler, denoiser, 16, 12) for sampler in (DDPM(), SpeculativeDDPM(1, "start")))
    np.testing.assert_allclose(ahead, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_rounds_and_law_in_64_dimensions():
    target = g64()
    denoiser = target.denoiser(SCHEDULES["ou"])
    level = last_level(denoiser)
    drawn = {
        name: js.sample(jax.random.key(seed), denoiser, (4096, 64), sampler, 200, final_denoise=False)
        for seed, (name, sampler) in enumerate(
            {"ddpm": DDPM(), "latest": SpeculativeDDPM(), "start": SpeculativeDDPM(guesses="start")}.items()
        )
    }
    for statistic in (lambda x: target.log_prob(x, level), lambda x: jnp.mean(x**2, 1)):
        plain, *others = (np.asarray(statistic(out.x), float) for out in drawn.values())
        for other in others:
            assert abs(other.mean() - plain.mean()) < 4 * np.sqrt((other.var() + plain.var()) / 4096)
    rounds = {name: float(out.stats["rounds"].mean()) for name, out in drawn.items()}
    assert 50 < rounds["start"] < 62 and rounds["latest"] < 26 and rounds["ddpm"] == 200


@pytest.mark.parametrize(
    ("sampler", "message"),
    [(SpeculativeDDPM(0), "lookahead must be at least 1"), (SpeculativeDDPM(4, "last"), "guesses must be one of")],
)
def test_bad_settings_are_named(sampler, message):
    with pytest.raises(ValueError, match=message):
        js.sample(jax.random.key(0), small_mixture().denoiser(SCHEDULES["ou"]), (2, 2), sampler, 4)
