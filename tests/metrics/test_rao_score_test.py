"""Rao's test: its scores against autodiff, its statistic in closed form, and which block sees which error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxsamp import metrics
from jaxsamp.core.types import Level
from jaxsamp.metrics.null_bank import NullBank
from jaxsamp.metrics.rao_scores import BLOCKS, components_of, parameters, score
from jaxsamp.metrics.truth import Truth
from jaxsamp.targets import GaussianMixture, UniformBoxes

rng = np.random.default_rng(5)
K, D, N = 3, 4, 2000
WEIGHTS, MEANS = np.array([0.5, 0.3, 0.2]), 2 * rng.normal(size=(K, D))
SHAPES = rng.normal(size=(K, D, D))
COVARIANCES = 0.3 * SHAPES @ SHAPES.swapaxes(1, 2) + 0.3 * np.eye(D)
VARIANCES, FACTORS = rng.uniform(0.5, 2, (K, D)), rng.normal(size=(K, D, 2))
SPREADS = np.array([0.5, 1, 2])
GRAM = FACTORS @ FACTORS.swapaxes(1, 2)
FORMS = {
    "full": (GaussianMixture(WEIGHTS, MEANS, COVARIANCES), COVARIANCES),
    "diagonal": (GaussianMixture.diagonal(WEIGHTS, MEANS, VARIANCES), VARIANCES[:, :, None] * np.eye(D)),
    "spherical": (GaussianMixture.spherical(WEIGHTS, MEANS, SPREADS), SPREADS[:, None, None] * np.eye(D)),
    "low rank": (GaussianMixture.low_rank(WEIGHTS, MEANS, FACTORS, 0.4), GRAM + 0.4 * np.eye(D)),
}
NOISY = Level(0.7, 0.5)
LAW = FORMS["full"][0]
BANK = NullBank(LAW, N, jax.random.key(1))


@pytest.mark.parametrize(
    "form, level", [*((form, NOISY) for form in FORMS), pytest.param("low rank", None, marks=pytest.mark.slow)]
)
def test_scores_are_gradients_of_the_log_density(form, level, x64):
    """Autodiff of the density with respect to weights, means and covariances, brought to the scores' coordinates."""
    law, covariances = FORMS[form]
    law = jax.tree.map(lambda leaf: leaf.astype(float), law)
    alpha, sigma = (1.0, 0.0) if level is None else level[:2]
    components = components_of(Truth(law, level))
    means, covariances = alpha * MEANS, alpha**2 * covariances + sigma**2 * np.eye(D)
    x = jnp.asarray(alpha * 3 * rng.normal(size=(6, D)))

    def log_p(logits, means, covariances, x):
        each = jax.vmap(jax.scipy.stats.multivariate_normal.logpdf, (None, 0, 0))(x, means, covariances)
        return jax.nn.logsumexp(jax.nn.log_softmax(logits) + each)

    slopes = jax.jit(jax.vmap(jax.grad(log_p, (0, 1, 2)), (None, None, None, 0)))
    of_logits, of_means, of_covariances = slopes(jnp.log(WEIGHTS), jnp.asarray(means), jnp.asarray(covariances), x)
    basis = jnp.broadcast_to(jnp.eye(D), (K, D, D)) if components.basis is None else components.basis
    root = basis * jnp.sqrt(components.variances)[:, None]  # C = root root^T
    np.testing.assert_allclose(root @ root.swapaxes(1, 2), covariances, atol=1e-5)
    np.testing.assert_allclose(score("weights", components, x), of_logits[:, :-1], atol=1e-5)
    whitened = jnp.einsum("kdm,nkd->nkm", root, of_means).reshape(len(x), -1)
    np.testing.assert_allclose(score("means", components, x), whitened, atol=1e-4)
    square = 2 * jnp.einsum("kdm,nkde,kel->nkml", root, of_covariances, root)  # r (u u^T - I)
    diagonal = jnp.diagonal(square, axis1=2, axis2=3).reshape(len(x), -1)
    np.testing.assert_allclose(score("cov_diag", components, x), diagonal, atol=1e-4)
    i, j = np.triu_indices(D, 1)
    np.testing.assert_allclose(score("cov_off", components, x), square[:, :, i, j].reshape(len(x), -1), atol=1e-4)


def test_of_one_gaussian_it_is_the_classical_tests_of_mean_and_variance():
    """T = n |mean of u|^2 and n |mean of u^2 - 1|^2 / 2, as F is the identity and 2; F from draws is off by 1 %."""
    law = GaussianMixture([1.0], [[1.0, -1.0]], [[[1.0, 0.6], [0.6, 0.5]]])
    x = np.asarray(law.sample(jax.random.key(0), N)) * 1.1
    found = metrics.rao_score_test(x, law, jax.random.key(1))
    assert list(found) == ["means", "cov_diag", "cov_off"]  # there are no weights to test
    values, basis = np.linalg.eigh([[1.0, 0.6], [0.6, 0.5]])
    u = (x - [1.0, -1.0]) @ basis / np.sqrt(values)
    for block, exact in [
        ("means", N * np.sum(u.mean(0) ** 2)),
        ("cov_diag", N * np.sum((u**2).mean(0).__sub__(1) ** 2) / 2),
        ("cov_off", N * np.mean(u[:, 0] * u[:, 1]) ** 2),
    ]:
        assert found[block].value == pytest.approx(exact, rel=0.06)
    q, t = 2, found["means"].value
    assert found["means"].z == pytest.approx((t - q) / np.sqrt(2 * q), rel=0.01)
    assert found["means"].p_value == pytest.approx(stats.chi2.sf(t, q), rel=0.05)


@pytest.mark.slow
def test_the_form_of_the_covariances_does_not_matter():
    x = np.asarray(FORMS["low rank"][0].sample(jax.random.key(2), N)) + np.float32(0.05)
    low = metrics.rao_score_test(x, FORMS["low rank"][0], jax.random.key(3), blocks=("weights", "means"))
    full = metrics.rao_score_test(x, GaussianMixture(WEIGHTS, MEANS, FORMS["low rank"][1]), jax.random.key(4))
    for block, found in low.items():
        assert found.value == pytest.approx(full[block].value, rel=0.05)


@pytest.mark.slow
def test_noised_samples_are_tested_by_the_noised_law():
    x = BANK.draw(jax.random.key(5), 0, N)
    x = 0.7 * x + 0.5 * jax.random.normal(jax.random.key(6), x.shape)
    noised = GaussianMixture(WEIGHTS, 0.7 * MEANS, 0.49 * COVARIANCES + 0.25 * np.eye(D))
    here = metrics.rao_score_test(x, LAW, jax.random.key(7), NOISY, true_samples=20_000)
    there = metrics.rao_score_test(x, noised, jax.random.key(8), true_samples=20_000)
    for block in BLOCKS:
        assert here[block].value == pytest.approx(there[block].value, rel=0.1) and here[block].inside
    assert not metrics.rao_score_test(x, BANK)["cov_diag"].inside


def moved(block):
    """A law that differs from LAW in one kind of parameter."""
    weights, means, covariances = WEIGHTS + [0.05, -0.05, 0], MEANS + [0.15, 0, 0, 0], COVARIANCES.copy()
    values, basis = np.linalg.eigh(COVARIANCES)
    root = basis * np.sqrt(values)[:, None]
    turned = root @ (np.eye(D) + 0.15 * (np.eye(D)[::-1])) @ root.swapaxes(1, 2)
    return {
        "weights": (weights, MEANS, COVARIANCES),
        "means": (WEIGHTS, means, COVARIANCES),
        "cov_diag": (WEIGHTS, MEANS, 1.15 * covariances),
        "cov_off": (WEIGHTS, MEANS, turned),
    }[block]


@pytest.mark.parametrize("block", BLOCKS)
def test_each_error_is_seen_best_by_its_block(block):
    x = GaussianMixture(*moved(block)).sample(jax.random.key(9), N)
    found = metrics.rao_score_test(x, BANK)
    assert max(found, key=lambda name: found[name].z) == block
    assert found[block].p_value < 1e-3 and not found[block].inside


def test_components_that_are_one_and_the_same_lose_their_scores():
    """Two equal components: their scores agree, and only half of the parameters can be tested."""
    twice = GaussianMixture.spherical([0.25, 0.25, 0.5], [[0.0], [0.0], [4.0]], 1.0)
    found = metrics.rao_score_test(twice.sample(jax.random.key(0), N), twice, jax.random.key(1))
    mean = np.mean([stats.chi2.ppf(p, 2) for p in (0.005, 0.995)])
    for block in ("means", "cov_diag"):
        assert found[block].inside
        assert np.mean([found[block].null_low, found[block].null_high]) == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize("apart", [0.0, 1e-7])
@pytest.mark.parametrize("first", [0.1, 0.5])
def test_weights_of_components_in_one_place_have_no_score(first, apart):
    law = GaussianMixture.spherical([first, 1 - first], [[0.0, 0.0], [apart, 0.0]], 1.0)
    found = metrics.rao_score_test(law.sample(jax.random.key(0), N), law, jax.random.key(1))
    assert found["weights"] == (0, None, 0, 0, 1, 0) and found["means"].inside


def test_it_counts_its_parameters():
    assert parameters(BANK) == {"weights": 2, "means": 12, "cov_diag": 12, "cov_off": 18}
    assert not any(parameters(Truth(np.zeros((3, 2)), None)).values())


def test_bad_arguments_are_named():
    x, key = BANK.draw(jax.random.key(0), 0, N), jax.random.key(0)
    flat = GaussianMixture.diagonal(WEIGHTS, MEANS, 0 * VARIANCES)
    boxes = UniformBoxes(np.ones(1), np.zeros((1, D)), np.ones((1, D)))
    one = GaussianMixture.spherical([1.0], np.zeros((1, D)), 1.0)
    for law, options, error, words in [
        (boxes, {}, TypeError, "law must be a GaussianMixture for rao_score_test; got a UniformBoxes"),
        (np.zeros((5, D), np.float32), {}, TypeError, "law must be a GaussianMixture"),
        (flat, {}, ValueError, "law must have covariances that are not singular"),
        (LAW, {"blocks": ("mean",)}, ValueError, "blocks must be one of .* Did you mean 'means'"),
        (one, {"blocks": ("weights",)}, ValueError, "blocks must be some in which this law has parameters"),
        (
            LAW,
            {"blocks": ("cov_off",), "true_samples": 19},
            ValueError,
            "true_samples must be at least 20 .* got 19",
        ),
    ]:
        with pytest.raises(error, match=words):
            metrics.rao_score_test(x, law, key, **options)
    metrics.rao_score_test(0.1 * x, flat, key, Level(0.1, 1.0), blocks=("means",), true_samples=500)  # noise cures it
    with pytest.raises(ValueError, match="no singular covariance"):
        metrics.evaluate(x, flat, key, metrics="rao_means")
