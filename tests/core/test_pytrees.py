"""No two settings of different kinds share a tree structure, or `jit` could run one's program for the other."""

import itertools

import jax
import jax.numpy as jnp

import jaxsamp as js
from tests.cases import SAMPLERS, SCHEDULES, gaussian


def test_structures_tell_classes_apart():
    denoisers = [gaussian().denoiser(SCHEDULES["ve"]), js.clip(gaussian().denoiser(SCHEDULES["ve"]))]
    things = {**SAMPLERS, **SCHEDULES} | {f"denoiser {i}": d for i, d in enumerate(denoisers)}
    for (a, one), (b, other) in itertools.combinations(things.items(), 2):
        assert jax.tree.structure(one) != jax.tree.structure(other), (a, b)


def test_leaves_round_trip_with_their_names_and_statics():
    sampler = js.samplers.DDIM(eta=0.3)
    assert jax.tree.map(lambda leaf: leaf, sampler) == sampler
    assert jax.tree_util.tree_flatten_with_path(sampler)[0] == [((jax.tree_util.GetAttrKey("eta"),), 0.3)]
    law = js.targets.Empirical(jnp.zeros((3, 2)), chunk=2)
    assert jax.tree.map(lambda leaf: leaf + 1, law).chunk == 2
    assert jax.tree.map(lambda leaf: jnp.nan * leaf, law).data.shape == (3, 2)  # no check on unflattening
