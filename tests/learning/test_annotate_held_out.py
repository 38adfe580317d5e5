"""The level is that of the smallest loss of clean samples that no run has seen."""

import inspect

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.learning import annotate_held_out

SCHEDULE, NETWORK = js.schedules.VarianceExploding(), js.models.MLP(width=16, depth=1)
RNG = np.random.default_rng(0)
CLEAN = np.sign(RNG.normal(size=(60, 1)))  # two points, of which damage leaves a cloud
DAMAGED = np.sign(RNG.normal(size=(400, 1))) + RNG.normal(size=(400, 1))
DATA = np.concatenate([CLEAN, DAMAGED]).astype(np.float32)
KINDS = np.arange(len(DATA)) >= len(CLEAN)
OPTIONS = {"steps": 150, "batch_size": 32, "ema": 0.9}


@pytest.mark.slow
def test_the_level_with_the_smallest_held_out_loss_is_chosen_and_damage_taken_for_clean_is_not():
    rate = js.training.AdamW(1e-2)
    found = annotate_held_out(jax.random.key(0), NETWORK, DATA, KINDS, SCHEDULE, [0.0, 2.0], optimizer=rate, **OPTIONS)
    assert found.loss[1] < 0.8 * found.loss[0]
    np.testing.assert_array_equal(found.annotations.sigma_min, np.where(KINDS, 2.0, 0.0))
    found.annotations.check(DATA)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"sigma_min": []}, "sigma_min must be levels of at least 0"),
        ({"sigma_min": [-1.0]}, "sigma_min must be levels of at least 0"),
        ({"held_out": 0.001}, "held_out must be a share .*; got 0.001 of 60"),
        ({"draws": 0}, "draws must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(change, phrase):
    call = {"sigma_min": [1.0], **change}
    with pytest.raises(ValueError, match=phrase):
        inspect.unwrap(annotate_held_out)(jax.random.key(0), NETWORK, DATA, KINDS, SCHEDULE, **call)


def test_a_loss_of_another_kind_is_refused_in_a_sentence():
    with pytest.raises(TypeError, match="loss must be a jaxsamp.training.omni_loss"):
        annotate_held_out(jax.random.key(0), NETWORK, DATA, KINDS, SCHEDULE, [1.0], loss=js.losses.denoising)
