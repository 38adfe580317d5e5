"""Chains keep the contracts of samples: whatever runs them, in whatever parts, chain i is the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.mcmc import Overdamped, ParallelUnderdamped, Underdamped
from tests.cases import small_mixture

KEY, TARGET = jax.random.key(3), small_mixture()
OPTIONS = {"steps": 20, "warmup": 10, "thin": 5, "save_every": 6, "polish": 2}


def chains(n=6, sampler=Underdamped(0.3, midpoint=False), **options):  # noqa: B008  (frozen)
    return js.sample_density(KEY, TARGET, (n, 2), sampler, **(OPTIONS | options))


@pytest.fixture(scope="module")
def whole():
    return chains()


def check_same(a, b, rows=slice(None)):
    for name in ("x", "draws", "path"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name)[rows], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_microbatches_and_progress_change_nothing(whole, capsys):
    check_same(chains(microbatch=4), whole)
    check_same(chains(microbatch=4, progress=True), whole)


def test_chains_can_be_run_in_parts(whole):
    check_same(chains(n=2, first=3), whole, slice(3, 5))


@pytest.mark.parametrize("over", [(2, 2), pytest.param((4, 1), marks=pytest.mark.slow)])
def test_chains_over_devices_are_those_of_one(whole, over):
    mesh = js.mesh(*over, devices=jax.devices()[:4])
    check_same(chains(n=5, mesh=mesh, microbatch=1), whole, slice(5))  # 5 chains do not divide over the devices
    check_same(chains(mesh=mesh, progress=True), whole)


@pytest.mark.slow
def test_the_path_has_the_start_and_every_kth_state(whole):
    start = jnp.arange(12.0).reshape(6, 2) / 12
    out = chains(init=start)
    assert out.path.shape == (6, 30 // 6 + 1, 2) and out.draws.shape == (6, 4, 2)
    np.testing.assert_allclose(out.path[:, 0], start)
    every = np.asarray(chains(init=start, save_every=1).path)
    np.testing.assert_allclose(out.path, every[:, ::6], rtol=1e-6)
    np.testing.assert_allclose(out.draws, every[:, [15, 20, 25, 30]], rtol=1e-6)
    assert not np.allclose(every[:, 1], every[:, 2])
    assert jax.eval_shape(lambda: chains(save_every=0)).path is None  # nothing but shapes: no program


@pytest.mark.parametrize(
    "sampler",
    [Overdamped(0.05), pytest.param(ParallelUnderdamped(0.5, midpoints=2, iterations=2), marks=pytest.mark.slow)],
)
def test_shards_hold_the_last_states(tmp_path, sampler):
    options = {"steps": 12, "warmup": 3}
    plain = js.sample_density(KEY, TARGET, (7, 2), sampler, thin=0, **options)
    shards = js.sample_density_shards(tmp_path, KEY, TARGET, (7, 2), sampler, shard_size=3, **options)
    assert shards.complete and len(shards.manifest["shards"]) == 3
    np.testing.assert_allclose(shards[:], plain.x, rtol=1e-5)
    again = js.sample_density_shards(tmp_path, KEY, TARGET, (7, 2), sampler, shard_size=3, **options)
    np.testing.assert_array_equal(again[:], shards[:])
    with pytest.raises(js.running.shards.OtherSettings, match="steps is 12 there and 13 here"):
        js.sample_density_shards(tmp_path, KEY, TARGET, (7, 2), sampler, 13, warmup=3, shard_size=3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"first": 2**32}, "first must be at most"),
        ({"save_every": -1}, "save_every must be at least 0"),
        ({"microbatch": 0}, "microbatch must be at least 1"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        chains(**options)
