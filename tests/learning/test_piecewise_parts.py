"""The parts of the piecewise-polynomial learner: crude cells, features, Gram matrices."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.core.types import Level
from jaxsamp.learning import piecewise_cells as crude
from jaxsamp.learning import piecewise_features as features
from jaxsamp.learning import piecewise_gram as gram
from jaxsamp.targets.components import dense
from jaxsamp_kernels.hermite import products

RANDOM = js.targets.GaussianMixture.random(jax.random.key(0), 3, 2, separation=4.0)
LOG_WEIGHTS, MEANS, COVARIANCES = dense(RANDOM.mixture)
LAW = js.targets.GaussianMixture(np.exp(LOG_WEIGHTS), MEANS, COVARIANCES)  # with sorted eigenvalues, as the learner's
X = np.asarray(LAW.sample(jax.random.key(1), 1500), float)
OF = products(2, 2)
SCHEDULE = js.schedules.VarianceExploding()


def model(law=LAW, hard=False, levels=1):
    numbers = (jnp.zeros(levels), jnp.zeros((levels, 3 * len(OF), 2)), -50.0 * jnp.ones(2), 50.0 * jnp.ones(2))
    return features.PiecewiseDenoiser(law.mixture, *numbers, jnp.asarray(1.5), SCHEDULE, of=OF, hard=hard)


@partial(jax.jit, static_argnums=2)
def pieces(x, level, hard=False):
    """Of 32 points, so that one program serves all tests."""
    return jax.vmap(lambda x: features.pieces(LAW.mixture, OF, hard, jnp.asarray(1.5), x, level))(x)


FEW, LEVEL = jnp.asarray(X[:32], jnp.float32), Level(jnp.asarray(0.8), jnp.asarray(0.6))


def test_iterations_raise_the_likelihood_whatever_the_chunks(monkeypatch):
    cells, _ = crude.started(X, 3, 0, 1, 1e-6)
    start = cells._replace(covariances=np.tile(np.eye(2), (3, 1, 1)))
    found = [crude.climbed(start, X, k, 0.0, 0.0)[1] for k in (1, 2, 4, 8)]
    assert (np.diff(found) > 0).all()
    monkeypatch.setattr(crude, "CHUNK", 400)
    np.testing.assert_allclose(crude.climbed(start, X, 4, 0.0, 0.0)[1], found[2], rtol=1e-12)


def test_bic_finds_the_number_of_components():
    assert crude.number_by_bic(X[:800], 0, 1e-6) == 3


def test_tiny_cells_are_merged_and_moments_stay():
    cells = crude.Cells(
        np.array([0.01, 0.49, 0.5]), np.array([[3.0, 3.0], [2.0, 2.0], [-3.0, 0.0]]), np.tile(np.eye(2), (3, 1, 1))
    )
    made = crude.merged(cells)
    np.testing.assert_allclose(made.weights, [0.5, 0.5])
    np.testing.assert_allclose(made.weights @ made.means, cells.weights @ cells.means)

    def second(part):
        own = part.covariances + part.means[:, :, None] * part.means[:, None]
        return np.einsum("k,kij->ij", part.weights, own)

    np.testing.assert_allclose(second(made), second(cells))


def test_products_fit_into_the_number_of_features_and_nest():
    assert features.chosen_products(4, 3, 4, 600) == products(4, 3)
    few = features.chosen_products(16, 2, 6, 600)  # of 16 coordinates all in degree 1, 12 in degree 2
    assert len(few) == 17 + 78 and few[:17] == products(16, 1)
    assert features.chosen_products(256, 2, 6, 600)[-1] == (98,)  # no room for squares
    assert features.chosen_products(4, 2, 700, 600) == ((),)


def test_features_are_gates_times_polynomials_with_the_widest_direction_first():
    found = pieces(FEW, LEVEL)
    gates = np.asarray(LAW.responsibilities(FEW, LEVEL))
    np.testing.assert_allclose(found.crude, LAW.posterior_mean(FEW, LEVEL), rtol=1e-4, atol=1e-4)
    for c in range(3):
        values, basis = np.linalg.eigh(COVARIANCES[c])
        u = ((X[:32] - 0.8 * MEANS[c]) @ basis / np.sqrt(0.64 * values + 0.36))[:, ::-1].clip(-4, 4).T
        polynomials = np.stack([u[0] ** 0, *u, (u[0] ** 2 - 1) / 2**0.5, u[0] * u[1], (u[1] ** 2 - 1) / 2**0.5], 1)
        got = found.features.reshape(32, -1, 3)[..., c]  # but for the signs of the eigenvectors
        np.testing.assert_allclose(np.abs(got), np.abs(gates[:, [c]] * polynomials), rtol=1e-3, atol=1e-4)


def test_hard_gates_are_the_most_probable_cell():
    found = pieces(FEW, LEVEL, True).features.reshape(32, -1, 3)
    np.testing.assert_array_equal(found[:, 0], np.eye(3)[LAW.responsibilities(FEW, LEVEL).argmax(1)])
    assert not np.asarray(found)[np.broadcast_to(found[:, :1] == 0, found.shape)].any()


def test_sums_are_those_of_all_copies_and_of_no_padding(monkeypatch):
    x, key = X[:50], jax.random.key(3)
    monkeypatch.setattr(gram, "CHUNK", 32)
    total = gram.summed(model(), key, x, 0.7, 2)
    assert total.count == 100
    expected, level = np.zeros_like(total.gram), Level(jnp.asarray(1.0), jnp.asarray(0.7))
    for number in range(4):
        rows = np.arange(32 * number, 32 * number + 32)
        z = jax.random.normal(jax.random.fold_in(key, number), (32, 2))
        phi = np.asarray(pieces(x[rows % 50] + 0.7 * z, level).features, float)[rows < 100]
        expected += phi.T @ phi
    np.testing.assert_allclose(total.gram, expected, rtol=1e-4, atol=1e-4)


def test_posterior_means_as_targets_have_the_sums_of_many_copies():
    """Of 40 samples: the mean over 4,000 copies differs by less than 5 of its standard errors, estimated from 4."""
    x = X[:40]
    key_a, key_b = jax.random.split(jax.random.key(4))
    known = jnp.asarray(x, jnp.float32)
    means = [np.concatenate([gram.summed(model(), k, x, 1.0, 250, known).back for k in jax.random.split(key_a, 4)])]
    plain = [np.concatenate([gram.summed(model(), k, x, 1.0, 250).back for k in jax.random.split(key_b, 4)])]
    a, b = (np.reshape(part, (4, -1)) / 1e4 for part in (means, plain))
    error = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / 4)
    z = (a.mean(0) - b.mean(0)) / np.maximum(error, error.mean())
    assert np.abs(z).max() < 5 and a.std(0).mean() < b.std(0).mean()


def test_the_solution_is_ridge_regression_and_its_loss_that_of_the_other_rows():
    rng = np.random.default_rng(0)
    phi, other = rng.normal(size=(2, 300, 4))
    truth = np.array([[1.0], [2.0], [0.0], [0.0]])
    y, held = phi @ truth + rng.normal(size=(300, 1)), other @ truth + rng.normal(size=(300, 1))
    fit, test = (gram.Sums(300.0, f.T @ f, f.T @ t, float(np.sum(t**2))) for f, t in ((phi, y), (other, held)))
    found = gram.solve(fit, test, [2, 4], pooled=False)
    assert found.degree == 1 and found.loss < found.crude_loss == pytest.approx(np.mean(held**2))
    assert not found.coefficients[2:].any()
    np.testing.assert_allclose(found.loss, np.mean((held - other @ found.coefficients) ** 2))
    g = fit.gram[:2, :2]
    ridges = [np.linalg.solve(g + r * np.trace(g) / 2 * np.eye(2), fit.back[:2]) for r in gram.RIDGES]
    assert min(np.abs(found.coefficients[:2] - b).max() for b in ridges) < 1e-10
    both = gram.solve(fit, test, [2, 4], pooled=True)
    np.testing.assert_allclose(both.coefficients[:2], truth[:2], atol=0.2)
    assert gram.solve(fit, test._replace(back=-test.back), [2, 4], pooled=False).degree == 0


def test_a_regression_on_cells_that_are_the_law_finds_no_more_than_noise():
    """All features are used; the excess of the loss over the Bayes risk is at most 0.004 of it."""
    key, sigma = jax.random.key(5), 1.0
    x = np.asarray(LAW.sample(jax.random.key(6), 20_000), float)
    sums = gram.summed(model(), key, x, sigma, 2)
    b = np.linalg.solve(sums.gram + 1e-5 * np.trace(sums.gram) / 18 * np.eye(18), sums.back)
    assert 0 < np.abs(b).max() < 1

    den = dataclasses.replace(model(), coefficients=jnp.asarray(b[None], jnp.float32))
    x0 = LAW.sample(jax.random.key(7), 2048)

    @jax.jit
    def both(x):
        return den(x, Level(1.0, sigma)), LAW.posterior_mean(x, Level(1.0, sigma))

    found, exact = both(x0 + sigma * jax.random.normal(jax.random.key(8), x0.shape))
    assert 1e-6 < float(jnp.sum((found - exact) ** 2) / jnp.sum((x0 - exact) ** 2)) < 0.004
