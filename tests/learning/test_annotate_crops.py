"""Crops alone are compared, each at a place of its own: what is far apart in an image is no difference at low noise."""

import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsamp import learning, models
from jaxsamp.learning.classifier import crops, tiles

EACH = 200
OTHER = np.arange(2 * EACH) >= EACH
SIGMA = np.array([0.05, 0.1, 0.4, 0.8])
CONTEXT = learning.Context(SIGMA, np.array([4, 4, 8, 8]))
OPTIONS = {"network": models.Classifier(channels=8), "batch_size": 64, "ema": 0.9, "optimizer": optax.adam(1e-2)}


def ends(clean, other):
    """Images whose first and last columns are equal, or opposite, in sign, which no crop of 4 x 4 can see."""
    rng = np.random.default_rng(0)
    x = 0.05 * rng.normal(size=(2 * EACH, 8, 8))
    sign = rng.choice([-1.0, 1.0], 2 * EACH)
    x[:, :, :2] += sign[:, None, None]
    x[:, :, 6:] += (sign * np.where(OTHER, other, clean))[:, None, None]
    return x.astype(np.float32)


@pytest.mark.slow
def test_what_only_whole_images_show_is_no_difference_up_to_the_level_of_small_crops():
    """What is at both ends of an image is in no crop of 4 x 4."""
    found = learning.annotate_crops(jax.random.key(0), ends(1, -1), OTHER, CONTEXT, 2.0, steps=100, **OPTIONS)
    assert (found.sigma_min[~OTHER] == 0).all() and (found.sigma_max[~OTHER] == 0).all()
    assert (found.sigma_min[OTHER] == 2.0).all()
    assert (found.sigma_max[OTHER] == 0.1).mean() > 0.9


class Mean(nn.Module):
    """A network that knows nothing, and compiles at once."""

    @nn.compact
    def __call__(self, x, noise):
        return nn.Dense(1)(x.mean((1, 2))[:, None])[:, 0]


def test_a_classifier_of_crops_is_trained_on_crops_alone():
    """The published one is trained on whole images, and asked about crops that it has never seen."""
    seen = set()

    class Listening(nn.Module):
        @nn.compact
        def __call__(self, x, noise):
            seen.add(x.shape[1:])
            return nn.Dense(1)(x.mean((1, 2))[:, None])[:, 0]

    options = {"steps": 1, "batch_size": 32, "crop": 4, "sigma_min": 0.05, "sigma_max": 0.8}
    classifier = learning.fit_classifier(jax.random.key(0), ends(1, -1), OTHER, Listening(), **options)
    assert seen == {(4, 4)}
    assert classifier.probabilities(jax.random.key(1), ends(1, -1)[:3], 2, 1).shape == (3, 2) and seen == {(4, 4)}


def test_each_image_of_a_batch_is_cropped_at_a_place_of_its_own():
    """All 25 places of a 4 x 4 crop in 8 x 8, and not one for the batch."""
    x = jnp.broadcast_to(jnp.arange(64.0).reshape(8, 8), (500, 8, 8))
    corners = np.asarray(crops(jax.random.key(0), x, 4))[:, 0, 0]
    assert np.array_equal(np.unique(corners), [8 * i + j for i in range(5) for j in range(5)])
    parts = tiles(np.arange(2 * 36).reshape(2, 6, 6), 4)
    assert parts.shape == (2, 4, 4, 4) and np.array_equal(np.unique(parts), np.arange(72))


def test_a_classifier_that_tells_nothing_apart_and_bad_arguments_are_refused():
    bare = inspect.unwrap(learning.annotate_crops)
    for context, least, phrase in (
        (
            learning.Context(SIGMA, np.full(4, 8)),
            0.25,
            "network must tell held-out crops of 8 x 8 apart at the lowest level, .* at least; got 0",
        ),
        (CONTEXT, 0.5, r"least must be in \(0, 0.5\); got 0.5"),
        (learning.Context(SIGMA, np.full(4, 10)), 0.25, "context must be of images of at most 8 x 8; got 10"),
    ):
        with pytest.raises(ValueError, match=phrase):
            bare(jax.random.key(0), ends(1, 1), OTHER, context, least=least, steps=1, **OPTIONS | {"network": Mean()})
    with pytest.raises(ValueError, match="crop must be at least 1 and fit into images"):
        inspect.unwrap(learning.fit_classifier)(jax.random.key(0), ends(1, 1), OTHER, crop=9)
