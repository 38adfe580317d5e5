"""Block Gibbs sweeps of restricted Boltzmann machines through the door of chains of spins."""

import jax
import numpy as np
import pytest
from scipy import stats

import jaxsamp as js
from jaxsamp.mcmc import BlockGibbs
from tests.discrete.rbms import rbm7

CHAINS = 4000
COUNTS = {"warmup": 100, "steps": 20, "thin": 10}


def machine():
    """One that mixes within a hundred sweeps."""
    return rbm7().annealed(0.7)


def p_value(x):
    """Of a chi-square test over all 128 states, where those of fewer than 5 chains expected are one."""
    p = np.asarray(machine().probabilities(), float)
    counts = np.bincount(((np.asarray(x)[:, :7] > 0) << np.arange(7)).sum(1), minlength=128)
    rare = CHAINS * p < 5
    found, expected = (np.append(a[~rare], a[rare].sum()) for a in (counts, CHAINS * p / p.sum()))
    return stats.chisquare(found, expected).pvalue


@pytest.fixture(scope="module")
def chains():
    return js.sample_spins(jax.random.key(0), machine(), (CHAINS, 7), BlockGibbs(), **COUNTS)


def test_chains_have_the_law_of_the_machine(chains):
    # One false alarm in 10,000. After one sweep the test says no.
    assert chains.x.dtype == np.int8 and chains.draws.shape == (CHAINS, 2, 7)
    assert p_value(chains.x) > 1e-4
    early = js.sample_spins(jax.random.key(0), machine(), (CHAINS, 7), BlockGibbs(), warmup=0, steps=2, thin=1)
    assert p_value(early.draws[:, 0]) < 1e-6


def test_a_chain_depends_on_its_number_alone(chains, key):
    part = js.sample_spins(key, machine(), (3, 7), BlockGibbs(), first=5, microbatch=2, **COUNTS)
    np.testing.assert_array_equal(part.draws, chains.draws[5:8])


def test_other_models_are_refused_in_a_sentence(key):
    with pytest.raises(
        ValueError, match="^model must be a jaxsamp.discrete.RBM for BlockGibbs, .* got a Ising. HeatBath"
    ):
        js.sample_spins(key, rbm7().joint(), (2, 10), BlockGibbs(), steps=1, thin=0)
