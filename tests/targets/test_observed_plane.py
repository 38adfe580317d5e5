"""The law given any observation in the plane: against Bayes' formula in closed form, and against another rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.stats import chi2, multivariate_normal, norm

import jaxsamp as js
from jaxsamp.targets import condition_plane, plane_grid

WEIGHTS = [0.2, 0.5, 0.3]
MEANS = [[-1.5, 0.5], [0.5, 1.0], [1.0, -1.2]]
COVARIANCES = [[[0.3, 0.1], [0.1, 0.2]], [[0.1, 0.0], [0.0, 0.4]], [[0.2, -0.1], [-0.1, 0.2]]]
MATRIX, NOISE = np.array([[0.8, 0.6]]), 0.25
LEVELS = js.Level(jnp.array([0.9, 0.7, 0.5, 0.1]), jnp.array([0.05, 0.5, 1.0, 6.0]))


def prior():
    return js.targets.GaussianMixture(WEIGHTS, MEANS, COVARIANCES)


def bent(event):
    """A curve of the first coordinate beside the second one: not linear, and not monotone."""
    return jnp.stack([jnp.sin(2 * event[0]) + event[1]])


def states(law, level):
    """One state at each level."""
    clean = law.sample(jax.random.key(0), 4)
    alpha, sigma = (jnp.asarray(v)[:, None] for v in (level.alpha, level.sigma))
    return alpha * clean + sigma * jax.random.normal(jax.random.key(1), (4, 2))


def test_a_linear_observation_gives_the_mixture_that_bayes_gives(x64):
    y = jnp.array([0.4])
    exact, law = prior().condition(y, MATRIX, NOISE), condition_plane(prior(), y, Partial(jnp.matmul, MATRIX), NOISE)
    x = states(exact, LEVELS)
    for name in ("log_prob", "posterior_mean"):
        found, expected = (jax.jit(getattr(each, name))(x, LEVELS) for each in (law, exact))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(jax.jit(law.log_prob)(x), jax.jit(exact.log_prob)(x), rtol=1e-9)
    # With few nodes the rule is wrong, and the estimate says by how much.
    rough = condition_plane(prior(), y, Partial(jnp.matmul, MATRIX), NOISE, nodes=20)
    error = jnp.linalg.norm(jax.jit(rough.posterior_mean)(x, LEVELS) - exact.posterior_mean(x, LEVELS), axis=-1)
    np.testing.assert_allclose(jax.jit(rough.quadrature_error)(x, LEVELS), error, rtol=0.1, atol=1e-8)
    assert error.max() > 1e-5


def test_any_other_observation_gives_what_a_gauss_rule_gives(x64):
    """400 x 400 Gauss-Legendre nodes on a box that is wide enough, in NumPy."""
    y, alpha, sigma = jnp.array([0.7]), 0.8, 0.6
    law, x = condition_plane(prior(), y, bent, NOISE), jnp.array([[0.3, 0.5], [-1.0, 1.2]])
    nodes, weights = np.polynomial.legendre.leggauss(400)
    a, b = np.meshgrid(6 * nodes, 6 * nodes, indexing="ij")
    points = np.stack([a.ravel(), b.ravel()], -1)
    seen = np.sin(2 * points[:, 0]) + points[:, 1]
    density = sum(
        w * multivariate_normal(*law).pdf(points) for w, *law in zip(WEIGHTS, MEANS, COVARIANCES, strict=True)
    )
    density *= np.exp(-0.5 * ((0.7 - seen) / NOISE) ** 2)
    density *= 36 * np.outer(weights, weights).ravel() / (NOISE * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(law.log_evidence, np.log(density.sum()), rtol=1e-9)
    for query, log_prob, mean in zip(
        x, *(f(x, js.Level(alpha, sigma)) for f in (law.log_prob, law.posterior_mean)), strict=True
    ):
        kernel = density * np.exp(-0.5 * ((query - alpha * points) ** 2).sum(1) / sigma**2)
        np.testing.assert_allclose(mean, kernel @ points / kernel.sum(), rtol=1e-9)
        expected = np.log(kernel.sum() / density.sum() / (2 * np.pi * sigma**2))
        np.testing.assert_allclose(log_prob, expected, rtol=1e-9)
    level = js.Level(alpha, sigma)
    slope = jax.jit(jax.vmap(jax.grad(lambda x: law.log_prob(x[None], level)[0])))(x)
    np.testing.assert_allclose(law.score(x, level), slope, rtol=1e-8)


def test_samples_fall_into_cells_by_their_masses(monkeypatch):
    """20,000 points in the cells of a 30 x 30 grid: a chi-square test with false alarms 1 in 1,000.

    They are drawn from cells of nearly the same size, so that without their moves they would be refused.
    """
    law, n = condition_plane(prior(), jnp.array([0.7]), bent, NOISE), 20_000
    monkeypatch.setattr(plane_grid, "CELLS", 32)
    x = np.asarray(jax.jit(law.sample, static_argnums=1)(jax.random.key(3), n))
    low, high = np.asarray(law.low), np.asarray(law.high)
    fine = low + (high - low) * (np.stack(np.meshgrid(*[np.arange(600) + 0.5] * 2, indexing="ij"), -1) / 600)
    density = np.exp(np.asarray(jax.jit(law.log_prob)(jnp.asarray(fine.reshape(-1, 2), jnp.float32)), float)).reshape(
        600, 600
    )
    masses = density.reshape(30, 20, 30, 20).sum((1, 3)).ravel() * np.prod((high - low) / 600)
    np.testing.assert_allclose(masses.sum(), 1, atol=1e-4)
    cells = np.minimum(((x - low) / (high - low) * 30).astype(int), 29)
    counts = np.bincount(30 * cells[:, 0] + cells[:, 1], minlength=900)
    big = n * masses > 5
    observed, expected = (np.append(each[big], each[~big].sum()) for each in (counts, n * masses))
    assert ((observed - expected) ** 2 / expected).sum() < chi2(big.sum()).ppf(0.999)


def test_new_observations_and_priors_compile_nothing_anew():
    first = condition_plane(prior(), jnp.array([0.7]), bent, NOISE, nodes=32)
    other = condition_plane(
        js.targets.GaussianMixture(WEIGHTS, MEANS[::-1], COVARIANCES), jnp.array([0.1]), bent, 0.3, nodes=32
    )
    run = jax.jit(lambda law, x: law.posterior_mean(x, js.Level(1.0, 0.5)))
    x = jnp.ones((2, 2))
    before = run(first, x)
    with jax.no_tracing(True):
        after = run(other, x)
    assert jnp.abs(before - after).max() > 1e-2


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"noise": 0.0}, ValueError, "noise must be above 0; got 0.0"),
        ({"noise": 0.001}, ValueError, "nodes must be more for so small a noise"),
        ({"y": np.zeros(2)}, ValueError, "operator must return y's shape"),
        ({"y": np.array([np.nan])}, ValueError, "y must be finite"),
        ({"nodes": 4}, ValueError, "nodes must be at least 8; got 4"),
        ({"prior": js.targets.GaussianMixture.spherical([1.0], [[0.0] * 3], 1.0)}, ValueError, "prior must be a law"),
        ({"operator": 2.0 * np.ones(2)}, TypeError, "a boolean mask; got dtype float64"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(change, error, words):
    good = {"prior": prior(), "y": np.zeros(1), "operator": bent, "noise": NOISE, "nodes": 32}
    with pytest.raises(error, match=words):
        condition_plane(**good | change)


def test_entries_that_are_not_seen_add_nothing_to_the_evidence():
    prior = js.targets.GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    law = js.targets.condition_plane(prior, np.array([0.5, 0.0]), np.array([True, False]), 0.1)
    assert float(law.log_evidence) == pytest.approx(norm.logpdf(0.5, 0, np.sqrt(1.01)), abs=1e-4)
