"""Annealed importance sampling of partition functions."""

import inspect
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.discrete import partition
from tests.discrete.rbms import rbm10


def test_brackets_hold_the_exact_partition_function_within_their_errors(key):
    # The chains of both ways, at 4 standard errors each: a false alarm in 10,000 runs.
    rbm = rbm10()
    exact = float(rbm.log_partition())
    found = js.discrete.log_partition(key, rbm, temperatures=20, chains=500)
    assert found.start == "exact"
    assert found.lower - 4 * found.lower_error < exact < found.upper + 4 * found.upper_error
    assert found.lower < found.estimate and abs(found.estimate - exact) < 4 * found.estimate_error
    assert 0 < found.upper - found.lower < 0.3 and found.estimate_error < 0.03  # it says something
    assert 250 < found.ess <= 500


@pytest.mark.slow
def test_more_temperatures_bring_the_bounds_together(key):
    rbm = rbm10()
    few, many = (js.discrete.log_partition(key, rbm, k, 500) for k in (20, 200))
    assert many.upper - many.lower < 0.3 * (few.upper - few.lower)  # a tenth, and errors


def test_a_bracket_from_chains_says_so(key, monkeypatch):
    rbm = rbm10()
    exact = js.discrete.log_partition(key, rbm, 20, 500)
    given = js.discrete.log_partition(key, rbm, 20, 500, start=rbm.sample(jax.random.split(key)[0], 500))
    assert given.start == "given" and given[:7] == exact[:7]
    monkeypatch.setattr(partition, "MOST", 3)
    chain = js.discrete.log_partition(key, rbm, 20, 500, warmup=100)
    assert chain.start == "chain" and chain.lower == exact.lower
    assert abs(chain.upper - exact.upper) < 4 * np.hypot(chain.upper_error, exact.upper_error)


def test_a_machine_without_couplings_is_known_without_error(key):
    rbm = js.discrete.RBM(jnp.zeros((30, 25)), jnp.linspace(-1, 1, 30), jnp.zeros(25))
    found = js.discrete.log_partition(key, rbm, temperatures=2, chains=4, warmup=2)
    want = float(np.log(2 * np.cosh(np.linspace(-1, 1, 30))).sum() + 25 * np.log(2))
    assert found.lower == pytest.approx(want, rel=1e-5) and found.upper == pytest.approx(want, rel=1e-5)
    assert found.ess == pytest.approx(4, rel=1e-4)


def test_weights_depend_on_neither_microbatch_nor_devices(key):
    rbm = rbm10()
    one = js.discrete.log_partition(key, rbm, 20, 500)
    there = js.discrete.log_partition(key, rbm, 20, 500, mesh=js.mesh(), microbatch=100)
    assert there[:7] == pytest.approx(one[:7], rel=1e-5)


def test_other_machines_do_not_compile_anew(key):
    compiled = sys.modules["jaxsamp.running.rows"]._compiled
    js.discrete.log_partition(key, rbm10(), 20, 500)
    before = compiled._cache_size()
    js.discrete.log_partition(jax.random.key(1), rbm10().annealed(0.5), 20, 500, warmup=3)
    assert compiled._cache_size() == before


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"temperatures": 0}, ValueError, "^temperatures must be at least 1; got 0"),
        ({"temperatures": [0.5, 1.0]}, ValueError, "^temperatures must be a number, or increase from 0 to 1; got"),
        ({"chains": 1}, ValueError, "^chains must be at least 2; got 1"),
        ({"chains": 8, "start": np.ones((8, 3))}, ValueError, r"^start must have shape \(chains, n\) = \(8, 10\); got"),
        ({"chains": 8, "start": np.zeros((8, 10))}, ValueError, r"^start must be \+1 and -1; got 0"),
        ({"warmup": -1}, ValueError, "^warmup must be at least 0; got -1"),
        ({"rbm": "x"}, TypeError, "^rbm must be a jaxsamp.discrete.RBM; got a str"),
        ({"key": 0}, TypeError, "^key must be a typed key"),
    ],
)
def test_bad_input_is_a_sentence(key, options, error, sentence):
    with pytest.raises(error, match=sentence):
        inspect.unwrap(js.discrete.log_partition)(**{"key": key, "rbm": rbm10()} | options)
