"""What every sampler of spins must keep: the law, whatever runs it, and no second compilation. New ones are found.

A ring of eight spins in a field: sparse, so that all but one sampler take it, with 256 states to compare with.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

import jaxsamp as js

KEY, N, FALSE_ALARM = jax.random.key(11), 8, 1e-4
RING = js.discrete.lattice(N, 1, 0.4, 0.15)
SAMPLERS = {name: one for name, one in js.mcmc.SPIN_SAMPLERS.items() if name != "block-gibbs"}  # for hidden spins
pytestmark = pytest.mark.slow  # the tests of each sampler say the same of it in less


def chains(sampler, n=7, model=RING, **options):
    options = {"steps": 12, "warmup": 6, "thin": 4, "save_every": 6} | options
    return js.sample_spins(KEY, model, (n, N), sampler, **options)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_state_is_as_frequent_as_it_is_likely(name, optimized):
    # In parts, because of the flags of `conftest`: without the fusion emitters XLA compiles Chromatic wrongly for rows
    # 8,192 to 16,383 of one program. With its own settings it does not.
    x = chains(SAMPLERS[name], 20_000, steps=1, warmup=40, thin=0, save_every=0, microbatch=4_000).x
    counts = np.bincount((np.asarray(x) > 0) @ 2 ** np.arange(N), minlength=2**N)
    meant = np.asarray(RING.probabilities(), float) * len(x)
    rare = meant < 5
    counts, meant = (np.append(a[~rare], a[rare].sum()) for a in (counts, meant))
    kept = meant > 0
    statistic = ((counts - meant)[kept] ** 2 / meant[kept]).sum()
    assert st.chi2.sf(statistic, kept.sum() - 1) > FALSE_ALARM


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    "options",
    [{"microbatch": 2}, {"mesh": 4}, {"mesh": 4, "progress": True}, {"n": 3, "first": 2}, {"progress": True}],
    ids=str,
)
def test_nothing_depends_on_what_runs_it(name, options, capsys):
    rows = slice(options["first"], options["first"] + options["n"]) if "first" in options else slice(None)
    if "mesh" in options:
        options = options | {"mesh": js.mesh(4, devices=jax.devices()[:4])}
    whole, other = chains(SAMPLERS[name]), chains(SAMPLERS[name], **options)
    for one in ("x", "draws", "path"):
        np.testing.assert_array_equal(getattr(other, one), getattr(whole, one)[rows])
    for stat, values in other.stats.items():
        np.testing.assert_allclose(values, whole.stats[stat][rows], rtol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_new_couplings_and_counts_do_not_compile_anew(name):
    sampler, other = SAMPLERS[name], RING.scaled(1.5)
    first = chains(sampler)
    with jax.no_tracing(True):
        second = chains(sampler, model=other)
        chains(sampler, steps=13, warmup=5)
    assert second.x.dtype == jnp.int8 and second.draws.shape == first.draws.shape


@pytest.mark.parametrize("name", SAMPLERS)
def test_it_runs_inside_jit(name):
    prepared = SAMPLERS[name].prepared(RING)  # tables of a model that are made on the host
    inside = jax.jit(lambda key: js.sample_spins(key, RING, (7, N), prepared, 12, warmup=6, thin=4).draws)(KEY)
    np.testing.assert_array_equal(inside, chains(SAMPLERS[name]).draws)
