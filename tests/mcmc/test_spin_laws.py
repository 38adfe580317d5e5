"""Samplers of spins draw from the law of the model: against sums over all states, with a twin that must be refused.

Moments are compared at 4 standard errors of 20,000 chains (6e-5 each), tables of states by chi-square at 1e-4, under
fixed keys.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

import jaxsamp as js
from jaxsamp.mcmc import Enumerate, HeatBath, SpinSampler, State
from jaxsamp_kernels import spins as kernel
from tests.discrete import instances

KEY, CHAINS, FALSE_ALARM = jax.random.key(5), 20_000, 1e-4
MODELS = {
    "dense": instances.r1,
    "three": instances.r2,
    "torus": lambda: instances.torus(3, 0.35),
    "ring": instances.ring,
}


@cache
def model(name):
    return MODELS[name]()


@cache
def drawn(name, sampler, sweeps=40, count=CHAINS):
    n = model(name).event_shape[0]
    # In parts: see the contract of all samplers of spins in tests/invariances.
    parts = 4_000 if count > 8_192 else None
    chains = js.sample_spins(KEY, model(name), (count, n), sampler, 1, warmup=sweeps - 1, thin=0, microbatch=parts)
    return np.asarray(chains.x, float), np.asarray(chains.stats["exponent"], float)


def z_scores(name, x, exponent):
    """Deviations of all first and second moments, and of the mean exponent, in standard errors."""
    exact = model(name).enumerate()
    pairs = np.triu_indices(x.shape[1], 1)
    found = np.concatenate([x.mean(0), (x.T @ x / len(x))[pairs]])
    meant = np.concatenate([exact.mean, np.asarray(exact.second)[pairs]])
    errors = np.sqrt(np.maximum(1 - meant**2, 1e-3) / len(x))
    of_exponent = (exponent.mean() - float(exact.exponent)) / (exponent.std() / np.sqrt(len(x)))
    return np.append((found - meant) / errors, of_exponent)


def p_value(name, x):
    """Of the counts of all states, the rare ones together."""
    counts = np.bincount((x > 0) @ 2 ** np.arange(x.shape[1]), minlength=2 ** x.shape[1])
    meant = np.asarray(model(name).probabilities(), float) * len(x)
    rare = meant < 5
    counts, meant = (np.append(a[~rare], a[rare].sum()) for a in (counts, meant))
    return st.chi2.sf(((counts - meant) ** 2 / np.maximum(meant, 1e-9)).sum(), len(meant) - 1)


@pytest.mark.parametrize("sampler", [HeatBath(), js.mcmc.Tempering()])
def test_a_model_without_terms_has_uniform_spins(sampler):
    x = np.asarray(js.sample_spins(KEY, js.discrete.MRF({}, 2), (CHAINS, 2), sampler, 1, warmup=2, thin=0).x, float)
    assert max(abs(mean) for mean in (*x.mean(0), (x[:, 0] * x[:, 1]).mean())) < 4 / CHAINS**0.5


@pytest.mark.parametrize(
    "name", ["dense", *(pytest.param(n, marks=pytest.mark.slow) for n in ("three", "torus", "ring"))]
)
def test_the_heat_bath_has_the_moments_of_the_law(name):
    assert np.abs(z_scores(name, *drawn(name, HeatBath()))).max() < 4


@pytest.mark.parametrize("sampler", [HeatBath(), Enumerate()])
def test_every_state_is_as_frequent_as_it_is_likely(sampler):
    assert p_value("three", drawn("three", sampler)[0]) > FALSE_ALARM


class Together(SpinSampler):
    """All spins at once, each given the others as they were: another law, as the tests must see."""

    def step(self, model, state, i, rng):
        fields = model.local_fields(state.x[None].astype(rng.dtype))[0]
        return State(kernel.drawn(rng.thresholds(i), fields))


def test_an_update_of_all_spins_at_once_is_refused():
    x, _ = drawn("three", Together(), sweeps=10)
    assert p_value("three", x) < FALSE_ALARM


def test_enumeration_has_the_moments_of_the_law():
    assert np.abs(z_scores("dense", *drawn("dense", Enumerate(), sweeps=1))).max() < 4


def test_fields_that_go_along_do_not_drift():
    """Kept sums of 1,000 sweeps of 40 spins, in float32, against fields computed anew."""
    couplings = np.random.default_rng(0).normal(size=(40, 40)) / 3
    ising = js.discrete.Ising(np.triu(couplings, 1) + np.triu(couplings, 1).T)
    rng, sampler = js.core.random.Rng(KEY, (40,), "float32"), HeatBath().prepared(ising)
    run = jax.jit(
        lambda state, first, last: jax.lax.fori_loop(
            first, last, lambda i, state: sampler.step(ising, state, i, rng), state
        )
    )
    # Sweep 1,000 starts with fresh fields; 999 is the last of a hundred sweeps with sums.
    for last in (1_000, 1_001):
        state = run(sampler.init(ising, rng.spins(), rng), 0, last)
        exact = np.asarray(ising.couplings, float) @ np.asarray(state.x, float)
        assert np.abs(state.memory - exact).max() < 1e-3


def test_fields_are_computed_anew_every_hundred_sweeps():
    ising, rng = model("dense"), js.core.random.Rng(KEY, (10,), "float32")
    sampler = HeatBath().prepared(ising)
    state = State(rng.spins(), jnp.full(10, 7.0))  # wrong fields, which only sweep 100 forgets
    after = [sampler.step(ising, state, jnp.int32(i), rng) for i in (99, 100)]
    error = [np.abs(one.memory - ising.local_fields(one.x[None])[0]).max() for one in after]
    assert error[0] > 1 and error[1] < 1e-5
