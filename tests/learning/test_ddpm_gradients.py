"""Gradients of the DDPM objective of mixtures: against differentiation, quadrature and averages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.learning import ddpm_gradients as gradients
from jaxsamp.learning.ddpm_students import ddpm_loss, student

WEIGHTS = np.log([0.5, 0.3, 0.2])
RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
CENTERS = {"two": RNG.normal(size=3), "three": RNG.normal(size=(3, 3))}


def level(t):
    return np.exp(-t), np.sqrt(-np.expm1(-2 * t))


def weights_of(kind):
    return None if kind == "two" else jnp.asarray(WEIGHTS)


DESCENT = jax.jit(gradients.descent, static_argnums=0)


def of(gradient, m, x0, t):
    """The direction for all data at once."""
    log_weights = None if m.ndim == 1 else jnp.full(len(m), -np.log(len(m)))
    return np.asarray(DESCENT(gradient, jnp.asarray(m), log_weights, gradients.in_blocks(x0), KEY, *level(t)))


def two(radius, n, d, seed=1):
    """Samples of two Gaussians at +- the first axis times a radius, and that center."""
    rng = np.random.default_rng(seed)
    mu = np.zeros(d)
    mu[0] = radius
    return rng.choice([-1, 1], n)[:, None] * mu + rng.normal(size=(n, d)), mu


@pytest.mark.parametrize("kind", ["two", "three"])
def test_students_are_scores_of_mixtures(kind, key):
    m = CENTERS[kind]
    x = jax.random.normal(key, (5, 3))
    log_weights = weights_of(kind)
    weights, means = ([0.5, 0.5], np.stack([m, -m])) if kind == "two" else (np.exp(WEIGHTS), m)
    params, z = {"params": {"means": jnp.asarray(m)}}, jax.random.normal(jax.random.key(1), x.shape)
    score = jax.jit(lambda x: student(log_weights).apply(params, x))
    law = js.targets.GaussianMixture.spherical(weights, means, 1)
    np.testing.assert_allclose(score(x), jax.jit(law.score)(x), atol=1e-5)
    found = jax.jit(lambda m: ddpm_loss(student(log_weights), m, x, z, 0.6, 0.8))(jnp.asarray(m))
    by_hand = np.square(np.asarray(score(0.6 * x + 0.8 * z) + z / 0.8)).sum(1)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


@pytest.mark.parametrize("kind", ["two", "three"])
def test_the_stein_gradient_is_that_of_the_objective_by_parts(kind, x64):
    """By differentiation of E[|s|^2 + 2 div s] at fixed points."""
    m, log_weights = jnp.asarray(CENTERS[kind]), weights_of(kind)
    x0, z = (jnp.asarray(RNG.normal(size=(6, 3))) for _ in range(2))
    share = jnp.asarray(RNG.dirichlet(np.ones(6)))

    def objective(m):
        def score(x):
            return student(log_weights).apply({"params": {"means": m}}, x[None])[0]

        def one(x):
            return jnp.square(score(x)).sum() + 2 * jnp.trace(jax.jacfwd(score)(x))

        return share @ jax.vmap(one)(0.6 * x0 + 0.8 * z)

    found = jax.jit(lambda m: (gradients.stein(m, log_weights, x0, share, z, 0.6, 0.8), jax.grad(objective)(m)))(m)
    np.testing.assert_allclose(found[0], -0.5 * found[1], rtol=1e-9, atol=1e-12)


def test_the_exact_gradient_is_the_integral_over_the_noise(x64):
    x0, m, share = jnp.asarray([[0.5, -1.0], [2.0, 0.3]]), jnp.asarray([0.4, -0.25]), jnp.asarray([0.7, 0.3])
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = jnp.asarray(np.tile(np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2), (2, 1)))
    w = jnp.asarray(np.outer(share, np.outer(weights, weights).ravel()).ravel() / (2 * np.pi))
    integral = gradients.stein(m, None, jnp.repeat(x0, 1600, 0), w, z, 0.6, 0.8)
    np.testing.assert_allclose(gradients.exact(m, x0, share, 0.6, 0.8), integral, rtol=1e-8)


@pytest.mark.parametrize(("kind", "parts"), [("two", 250), ("three", 50)])
def test_gradients_agree_with_many_draws_of_the_plain_one(kind, parts):
    """A million for the exact one. z-scores of 3 or 9 numbers below 5: false alarms once in 200,000 runs."""
    m, log_weights = jnp.asarray(CENTERS[kind]), weights_of(kind)
    x0 = jnp.tile(jnp.asarray([[0.5, -1.0, 0.2], [2.0, 0.3, -1.0]]), (2000, 1))
    share = jnp.full(len(x0), 1 / len(x0))

    def part(key):
        z = jax.random.normal(key, x0.shape)
        plain = gradients.fresh(m, log_weights, x0, share, z, 0.6, 0.8)
        return plain - (0 if kind == "two" else gradients.stein(m, log_weights, x0, share, z, 0.6, 0.8))

    found = np.asarray(jax.jit(lambda key: jax.lax.map(part, jax.random.split(key, parts)))(jax.random.key(2)))
    right = gradients.exact(m, x0[:2], jnp.full(2, 0.5), 0.6, 0.8) if kind == "two" else 0.0
    assert (np.abs(found.mean(0) - right) < 5 * found.std(0) / np.sqrt(parts)).all()


def test_blocks_and_their_padding_do_not_matter(monkeypatch):
    x, mu = two(1.0, 101, 3)
    whole = of("exact", mu, x, 0.1)
    monkeypatch.setattr(gradients, "BLOCK", 32 * 30)
    blocks = gradients.in_blocks(x)
    assert blocks.x.shape == (4, 26, 3)
    np.testing.assert_allclose(blocks.share.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(of("exact", mu, x, 0.1), whole, rtol=1e-5, atol=1e-6)


def test_blocks_are_noised_apart(monkeypatch):
    """Two blocks of the same samples must not have the same noise: their mean would keep the variance of one."""
    seen = []
    monkeypatch.setattr(gradients, "stein", lambda m, w, x0, share, z, alpha, sigma: z[0])
    monkeypatch.setattr(gradients, "BLOCK", 32)
    blocks = gradients.in_blocks(np.zeros((2, 3)))
    for number in range(2):
        one = gradients.Blocks(blocks.x[: number + 1], blocks.share[: number + 1])
        seen.append(np.asarray(gradients.descent("stein", jnp.zeros(3), None, one, jax.random.key(0), 0.6, 0.8)))
    assert np.abs(seen[1] - 2 * seen[0]).max() > 0.1


def test_at_high_noise_descent_is_power_iteration():
    """-grad J / 2 -> 2 (M m - |m|^2 m) with M = Cov(X_t) - I, of which the EM step is a half."""
    x, _ = two(1.4, 500, 4)
    direction = np.array([0.8, 0.6, 0.0, 0.0])
    second = x.T @ x / len(x) - np.eye(4)
    for t, size, gap in ((2, 0.18, 0.1), (3, 0.07, 0.02), (4, 0.024, 0.002)):
        m = size * direction
        oja = 2 * (np.exp(-2 * t) * second @ m - size**2 * m)
        assert np.linalg.norm(of("exact", m, x, t) - oja) < gap * np.linalg.norm(oja)
    m = 0.87 * direction  # but not at low noise
    oja = 2 * (np.exp(-1) * second @ m - 0.87**2 * m)
    assert np.linalg.norm(of("exact", m, x, 0.5) - oja) > 0.5 * np.linalg.norm(oja)

    m = 1e-3 * direction  # with rate 1 / 4
    moved = np.exp(-8) * second @ m
    assert np.linalg.norm(0.5 * of("exact", m, x, 4) - moved) < 0.002 * np.linalg.norm(moved)


@pytest.mark.parametrize(("radius", "gap"), [(1.66, 0.1), (6.0, 1e-3)])
def test_without_noise_descent_on_separated_centers_is_expectation_maximization(radius, gap):
    x, mu = two(radius, 500, 4)
    m = mu + 0.2
    em = (np.tanh(x @ m)[:, None] * x).mean(0)
    assert np.linalg.norm(m + of("exact", m, x, 0) - em) < gap * np.linalg.norm(em)  # rate 1 / 2
    centers = np.stack([m, -m])
    p = 1 / (1 + np.exp(-2 * x @ np.stack([m, -m], 1)))
    em = centers + 2 * (p.T @ x / len(x) - p.mean(0)[:, None] * centers)
    moved = centers + 2 * of("stein", centers, x, 0)  # rate K / 2
    assert np.linalg.norm(moved - em) < 1.5 * gap * np.linalg.norm(em)
