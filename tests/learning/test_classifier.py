"""A classifier finds the level at which noise hides the damage, or is refused; it sees few noisy copies per sample."""

import inspect
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsamp import learning, models

EACH = 600
DAMAGED = np.arange(2 * EACH) >= EACH
NETWORK = models.Classifier(channels=8)
OPTIONS = {"batch_size": 128, "ema": 0.9, "optimizer": optax.adam(1e-2)}


def combs():
    """Numbers near +-0.3 and, when damaged, at 0: the same but for a structure of size 0.3."""
    rng = np.random.default_rng(0)
    clean = 0.3 * rng.choice([-1, 1], (EACH, 1)) + 0.05 * rng.normal(size=(EACH, 1))
    return np.concatenate([clean, 0.05 * rng.normal(size=(EACH, 1))])


@pytest.fixture(scope="module")
def fitted():
    data = combs()
    return data, learning.fit_classifier(jax.random.key(0), data, DAMAGED, NETWORK, 250, **OPTIONS)


def total_variation(s):
    """Of the two laws after noise."""
    grid, spread = np.linspace(-6, 6, 4001) * (1 + s), np.hypot(0.05, s)
    normal = lambda mean: np.exp(-((grid - mean) ** 2) / (2 * spread**2)) / spread / np.sqrt(2 * np.pi)  # noqa: E731
    return np.abs((normal(0.3) + normal(-0.3)) / 2 - normal(0)).sum() * (grid[1] - grid[0]) / 2


def test_the_level_is_where_the_laws_become_alike(fitted):
    """The gap is at most the total variation, so its level is at most that of 0.1; and not below that of 0.4."""
    data, classifier = fitted
    curves = classifier.curves(jax.random.key(1), data, DAMAGED)
    bounds = [total_variation(s) for s in curves.sigma]
    noise = 4 / np.sqrt(2 * EACH * 0.2)  # four standard errors of a difference of means of numbers in [0, 1]
    assert ((curves.damaged - curves.clean) < bounds + noise).all()
    assert curves.accuracy[0] > 0.95 and abs(curves.accuracy[-1] - 0.5) < 0.15
    notes = learning.annotate_classifier(jax.random.key(2), classifier, data, DAMAGED)
    (level,) = np.unique(notes.sigma_min[DAMAGED])
    assert (notes.sigma_min[~DAMAGED] == 0).all()
    assert total_variation(0.7 * level) > 0.08 and total_variation(level) < 0.4
    each = learning.annotate_classifier(jax.random.key(2), classifier, data, DAMAGED, per_sample=True).sigma_min
    assert (each[~DAMAGED] == 0).all() and 0.3 * level < np.median(each[DAMAGED]) < 3 * level
    with pytest.raises(ValueError, match="data must be those that the classifier was trained for; got others"):
        learning.annotate_classifier(jax.random.key(2), classifier, data + 1, DAMAGED)


def test_few_noisy_copies_per_sample_are_classified(fitted):
    """128 a sample, where the published 2,048 levels of 4 draws are 8,192; and a call has more than one of them."""
    data, classifier = fitted
    rows, calls = [], []

    class Counted:
        crop = None

        def __call__(self, params, x, t):
            jax.debug.callback(lambda: calls.append(1))
            rows.append(len(x))
            return classifier.model(params, x, t)

    counted = replace(classifier, model=Counted())
    found = counted.probabilities(jax.random.key(0), data[:32])
    jax.effects_barrier()
    assert found.shape == (32, 32) and set(rows) == {128} and 10 * 128 < 2048 * 4
    whole = classifier.probabilities(jax.random.key(0), data[:40], microbatch=40)
    np.testing.assert_allclose(found, whole[:32], atol=1e-6)  # a sample does not depend on the others


def test_a_classifier_that_knows_nothing_is_refused(fitted):
    """Otherwise all samples would train at all levels without a word."""
    data, classifier = fitted
    nothing = replace(classifier, params=jax.tree.map(jnp.zeros_like, classifier.params))
    with pytest.raises(ValueError, match="balanced accuracy of 0.6 at least; got 0.50. Its levels would let damaged"):
        learning.annotate_classifier(jax.random.key(1), nothing, data, DAMAGED)


def test_a_classifier_that_is_right_but_never_sure_is_refused(fitted):
    """It would find no difference of probabilities at any level, and so let all samples train at all levels."""
    data, classifier = fitted

    class Timid:
        crop = None

        def __call__(self, params, x, t):
            return 0.01 * classifier.model(params, x, t)

    with pytest.raises(
        ValueError, match="a total variation of 1.00 or more, and its mean probabilities differ by 0.03"
    ):
        learning.annotate_classifier(jax.random.key(1), replace(classifier, model=Timid()), data, DAMAGED)


@pytest.mark.parametrize("event", [(8, 8), (5,)])
def test_classifiers_give_one_logit_per_sample_that_starts_at_zero(event):
    x, noise = jax.random.normal(jax.random.key(0), (3, *event)), jnp.zeros(3)
    logits, params = jax.jit(models.Classifier(channels=4).init_with_output)(jax.random.key(1), x, noise)
    np.testing.assert_array_equal(logits, np.zeros(3))
    if event == (8, 8):
        default = jax.eval_shape(models.Classifier().init, jax.random.key(1), x, noise)
        assert 2e4 < sum(leaf.size for leaf in jax.tree.leaves(default)) < 4e4


def test_what_cannot_be_classified_is_refused_in_a_sentence():
    bare = inspect.unwrap(learning.fit_classifier)
    data = combs()
    for options, phrase in (
        ({"damaged": np.arange(2 * EACH) < 20}, "each kind has 5 samples at least; got 0.2 of 20 damaged ones"),
        ({"held_out": 1.5}, "held_out must be a share in .* got 1.5 of 600 clean ones"),
        ({"sigma_min": 3.0, "sigma_max": 1.0}, "sigma_min and sigma_max must satisfy 0 < sigma_min < sigma_max"),
    ):
        with pytest.raises(ValueError, match=phrase):
            bare(jax.random.key(0), data, **{"damaged": DAMAGED, **options})
