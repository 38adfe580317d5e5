"""No two draws of a run share a key, and none is the child that a careless split would also make."""

import itertools

import jax
import numpy as np

from jaxsamp.core import random
from jaxsamp.targets import GaussianMixture


def test_split_and_fold_collide():
    # The reason for the rule in jaxsamp.core.random; if JAX changes this, the rule may relax.
    key = jax.random.key(0)
    split, folded = jax.random.split(key, 3)[2], jax.random.fold_in(key, 2)
    np.testing.assert_array_equal(jax.random.key_data(split), jax.random.key_data(folded))


def test_no_two_streams_share_a_key():
    key = jax.random.key(0)
    samples = random.sample_keys(key, 4)
    keys = [
        random.stream_key(samples[i], step, stream)
        for i, step, stream in itertools.product(range(4), range(5), (random.PRIOR, random.UNIFORM, random.NORMAL))
    ]
    parents = [key, *samples, *(jax.random.fold_in(samples[0], step) for step in range(5))]
    everything = [tuple(np.asarray(jax.random.key_data(k))) for k in (*keys, *parents)]
    assert len(set(everything)) == len(everything)


def test_sample_keys_do_not_depend_on_the_batch():
    key = jax.random.key(3)
    few, many = random.sample_keys(key, 3), random.sample_keys(key, 50)
    np.testing.assert_array_equal(jax.random.key_data(few), jax.random.key_data(many[:3]))


def test_starting_noise_is_independent_of_target_samples_under_the_same_key():
    key, n = jax.random.key(0), 2000
    target = GaussianMixture([1.0], np.zeros((1, 2)), np.eye(2)[None])
    noise = jax.vmap(lambda k: random.Rng(k, (2,), "float32").prior())(random.sample_keys(key, n))
    drawn = target.sample(key, n)
    for a, b in itertools.product(noise.T, drawn.T):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / np.sqrt(n)  # false-alarm rate 7e-6 each
