"""Colors, clusters and tempering: exact, over devices, where they must help, and what they say where they do not.

Moments are compared at 4 standard errors (6e-5 each), tables of states by chi-square at 1e-4, under fixed keys.
"""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

import jaxsamp as js
from jaxsamp.core.random import Rng
from jaxsamp.mcmc import Chromatic, Enumerate, HeatBath, SpinSampler, State, SwendsenWang, Tempering, graphs
from jaxsamp_kernels import spins as kernel
from tests.discrete import instances
from tests.mcmc.test_spin_laws import FALSE_ALARM, drawn, p_value, z_scores

KEY = jax.random.key(3)
RING = instances.ring()
LADDER = Tempering(betas=(0.4, 0.7, 1.0), tune=False)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize(
    ("name", "sampler", "sweeps", "count"),
    [
        pytest.param("torus", SwendsenWang(), 20, 20_000, marks=pytest.mark.slow),
        ("ring", SwendsenWang(), 15, 5_000),
        ("dense", LADDER, 30, 5_000),
        pytest.param("torus", Chromatic(), 40, 20_000, marks=pytest.mark.slow),
        pytest.param("ring", Chromatic(), 80, 20_000, marks=pytest.mark.slow),
        pytest.param("ring", SwendsenWang(), 20, 20_000, marks=pytest.mark.slow),
        pytest.param("dense", SwendsenWang(), 100, 20_000, marks=pytest.mark.slow),
        pytest.param("three", Tempering(levels=3), 40, 20_000, marks=pytest.mark.slow),
        pytest.param("torus", Tempering(SwendsenWang(), levels=3), 20, 20_000, marks=pytest.mark.slow),
        pytest.param("ring", Tempering(Chromatic(), levels=3), 60, 20_000, marks=pytest.mark.slow),
    ],
)
def test_the_moments_and_the_states_are_those_of_the_law(name, sampler, sweeps, count):
    x, exponent = drawn(name, sampler, sweeps, count)
    assert np.abs(z_scores(name, x, exponent)).max() < 4
    if name in ("three", "torus"):
        assert p_value(name, x) > FALSE_ALARM


def test_colors_are_the_heat_bath_in_another_order(x64):
    law = js.discrete.SparseIsing(instances.torus(3, 0.35).edges, np.linspace(-0.6, 0.9, 18), np.linspace(-0.3, 0.2, 9))
    sampler = Chromatic(np.array([7, 3, 0, 3, 0, 7, 0, 7, 3])).prepared(law)
    order = [int(i) for i in np.asarray(sampler.tables.sites).ravel() if i < 9]
    assert sorted(order) == [*range(9)] and sampler.tables.sites.shape == (3, 3)
    rng = Rng(KEY, (9,), "float64")
    state = sampler.init(law, rng.spins(), rng)
    local_fields, thresholds = (
        jax.jit(law.local_fields),
        jax.jit(lambda i: Rng(KEY, sampler.tables.sites.shape, "float64").thresholds(i)),
    )
    step = jax.jit(lambda state, i: sampler.step(law, state, i, rng))
    x = np.array(state.x)
    for i in range(5):
        state = step(state, jnp.int32(i))
        t = np.asarray(thresholds(i)).ravel()
        places = dict(zip(np.asarray(sampler.tables.sites).ravel().tolist(), t.tolist(), strict=True))
        for site in order:
            x[site] = 1 if places[site] < np.asarray(local_fields(x[None]))[0, site] else -1
        np.testing.assert_array_equal(state.x, x)


def test_tables_are_kept_for_the_same_neighbors_alone():
    ready = Chromatic().prepared(RING)
    assert ready.prepared(RING.scaled(0.5)) is ready
    other = ready.prepared(instances.torus(4, 0.3)).tables
    for mine, anew in zip(other, Chromatic().prepared(instances.torus(4, 0.3)).tables, strict=True):
        np.testing.assert_array_equal(mine, anew)


@pytest.mark.parametrize("sampler", [HeatBath(), Enumerate(), Tempering(levels=3)], ids=lambda s: type(s).__name__)
def test_a_sampler_of_another_model_draws_from_the_law_of_this_one(sampler):
    pairs = js.discrete.MRF({(0, 1): 1.0, (2, 3): 1.0}, 4), js.discrete.MRF({(0, 2): 1.0, (1, 3): 1.0}, 4)
    reused = sampler.prepared(pairs[0])
    x = np.asarray(js.sample_spins(jax.random.key(0), pairs[1], (500, 4), reused, 50, warmup=0, thin=0).x, float)
    # Five standard errors: tanh(1) = .76 of the pair that is coupled, 0 of that which was.
    assert abs(np.mean(x[:, 0] * x[:, 2]) - np.tanh(1)) < 0.15 and abs(np.mean(x[:, 0] * x[:, 1])) < 0.23


def test_two_colors_where_two_are_enough_and_few_where_not():
    assert graphs.colored(np.asarray(js.discrete.lattice(6, 2).neighbors)).max() == 1
    odd = np.asarray(js.discrete.lattice(5, 3).neighbors)
    colors = np.append(graphs.colored(odd), -1)
    assert (colors[odd] != colors[:-1, None]).all() and 3 <= colors.max() + 1 <= 7  # at most one more than neighbors
    assert len(set(graphs.colored(np.full((3, 1), 3)))) == 1  # nothing is coupled


@pytest.mark.usefixtures("optimized")
def test_a_table_of_groups_keeps_the_order_of_what_is_in_them():
    table = graphs.grouped(np.array([2, 0, 2, 0, 2]), np.array([5, 6, 7, 8, 4]), 4, -1)
    assert table.tolist() == [[6, 8, -1], [-1, -1, -1], [5, 7, 4], [-1, -1, -1]]
    assert graphs.grouped(np.array([], int), np.array([], int), 2, 9).tolist() == [[9], [9]]


def test_both_signs_of_a_magnet_are_equally_likely():
    """From all spins up, where the heat bath still remembers them after more sweeps."""
    law, up = js.discrete.curie_weiss(40, 1.3), np.ones((600, 40))

    def negative(sampler, sweeps):
        total = np.asarray(js.sample_spins(KEY, law, up.shape, sampler, sweeps, init=up, warmup=0, thin=0).x.sum(1))
        return np.mean(total < 0) + np.mean(total == 0) / 2

    wrong = {
        sampler: abs(negative(sampler, sweeps) - 0.5) / (0.5 / np.sqrt(600))
        for sampler, sweeps in (
            (SwendsenWang(), 10),
            (Tempering(betas=(0.0, 0.4, 0.7, 1.0), tune=False), 40),
            (HeatBath(), 40),
        )
    }
    assert [error < 4 for error in wrong.values()] == [True, True, False]


@pytest.mark.parametrize(
    "sampler",
    [SwendsenWang(), pytest.param(Tempering(Chromatic(), (0.0, 0.5, 1.0), tune=False), marks=pytest.mark.slow)],
    ids=["clusters", "ladder"],
)
def test_chains_do_not_depend_on_devices_or_microbatches(sampler):
    law, mesh = instances.ring(8), js.mesh(4, devices=jax.devices()[:4])

    def run(n, law=law, **options):
        return js.sample_spins(KEY, law, (n, 8), sampler, 6, thin=2, warmup=3, **options)

    whole, other = run(5), law.scaled(2.0)
    for part, rows in ((run(5, mesh=mesh), slice(5)), (run(2, first=3, microbatch=1), slice(3, 5))):
        np.testing.assert_array_equal(part.draws, whole.draws[rows])
        for name, stat in part.stats.items():
            np.testing.assert_allclose(stat, whole.stats[name][rows], rtol=1e-5)
    with jax.no_tracing(True):
        run(5, law=other)


@pytest.mark.slow
def test_a_ladder_is_tuned_until_pairs_swap_equally_often():
    law = js.discrete.curie_weiss(12, 1.2)
    rates = {}
    for tune in (False, True):
        sampler = Tempering(levels=5, tune=tune).prepared(law)
        assert sampler.betas[0] == 0 and sampler.betas[-1] == 1 and not sampler.tune
        out = js.sample_spins(KEY, law, (64, 12), sampler, 200, warmup=0, thin=0)
        rates[tune] = {name: float(out.stats[name].mean()) for name in ("swaps", "least_swaps", "round_trips")}
        assert 0 < rates[tune]["least_swaps"] <= rates[tune]["swaps"] < 1 and rates[tune]["round_trips"] > 10
    assert rates[True]["least_swaps"] > rates[False]["least_swaps"]
    assert rates[True]["least_swaps"] > 0.9 * rates[True]["swaps"]
    again = Tempering(levels=5).prepared(law)
    np.testing.assert_array_equal(again.betas, Tempering(levels=5).prepared(law).betas)
    assert again.prepared(law).betas is not None and not again.prepared(law).tune  # once prepared, it stays as it is


def test_one_replica_alone_is_the_inner_sampler_at_its_power():
    """Thresholds at power beta are those of the law of beta S: the same chain, spin for spin."""

    def sweep(sampler, law, power):
        rng = Rng(KEY, (10,), "float32", power=power)
        return sampler.step(law, sampler.init(law, rng.spins(), rng), jnp.int32(0), rng).x

    for sampler, law in ((HeatBath(), instances.r1()), (SwendsenWang(), instances.r1())):
        run, ready = jax.jit(sweep), sampler.prepared(law)
        np.testing.assert_array_equal(run(ready, law, 0.3), run(ready, law.scaled(0.3), 1.0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_thresholds_are_logistic_and_never_infinite(x64, dtype, monkeypatch):
    draw = jax.jit(jax.vmap(lambda i: Rng(jax.random.fold_in(KEY, i), (200,), dtype).thresholds(4)))
    u = 1 / (1 + np.exp(-2 * np.asarray(draw(jnp.arange(200)), float)))
    assert draw(jnp.arange(200)).dtype == dtype
    assert st.kstest(u.ravel(), "uniform").pvalue > FALSE_ALARM
    for name in ("bits", "uniform"):  # a number of exactly 0 would let a spin be +1 in any field
        monkeypatch.setattr(jax.random, name, lambda key, shape, dtype: jnp.zeros(shape, dtype))
    t = Rng(KEY, (9,), dtype).thresholds(0)
    assert jnp.isfinite(t).all() and (kernel.drawn(t, jnp.full(9, -20.0)) == -1).all()


def test_frustration_is_a_warning_where_one_cluster_has_nearly_all_spins():
    signs, up = np.sign(np.random.default_rng(0).normal(size=(30, 30))), np.ones((4, 30))
    glass = js.discrete.Ising(np.triu(signs, 1) + np.triu(signs, 1).T)
    run = lambda law, init=up: js.sample_spins(  # noqa: E731
        KEY, law, (4, 30), SwendsenWang(), 5, init=init, warmup=0, thin=0
    )
    with pytest.warns(UserWarning, match="its largest cluster has 100% of the spins on average, because"):
        run(glass)
    gauge = np.random.default_rng(1).choice([-1.0, 1.0], 30)  # a ferromagnet in disguise
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hidden = run(js.discrete.Ising(np.outer(gauge, gauge) - np.eye(30)), init=np.tile(gauge, (4, 1)))
    assert not hidden.stats["frustrated"].any() and (hidden.stats["largest_cluster"] > 0.9).all()


class Mine(SpinSampler):
    def step(self, model, state, i, rng):
        return State(kernel.drawn(rng.uniforms(i), jnp.zeros(len(state.x))))


@pytest.mark.parametrize(
    ("law", "sampler", "error", "words"),
    [
        (instances.r1(), Chromatic(), TypeError, "model must have few neighbors per spin for Chromatic, .*; got Ising"),
        (RING, Chromatic(np.zeros(16)), ValueError, r"colors must be whole numbers of shape \(16,\); got float64"),
        (RING, Chromatic(np.zeros(16, int)), ValueError, "colors must be different for .*; got 0 for both 0 and 1"),
        (instances.r2(), SwendsenWang(), TypeError, "model must have pairwise couplings .* for Swendsen.*; got MRF"),
        (RING, Tempering(betas=[0.0, 0.5]), ValueError, r"betas must be an increasing ladder .*; got \[0.0, 0.5\]"),
        (RING, Tempering(betas=[0.5, 0.5, 1.0]), ValueError, "betas must be an increasing ladder"),
        (RING, Tempering(levels=1), ValueError, "levels must be at least 2; got 1"),
        (RING, Tempering(Mine()), TypeError, "inner must be a sampler that draws from powers of the law, HeatBath"),
    ],
)
def test_what_does_not_fit_is_named(law, sampler, error, words):
    with pytest.raises(error, match=words) as at:
        inspect.unwrap(js.sample_spins)(KEY, law, (2, *law.event_shape), sampler, 2, warmup=0, thin=0)
    assert "\n" not in str(at.value)


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (Chromatic(), "must have its colors before"),
        pytest.param(Tempering(levels=3), "must have its ladder before", marks=pytest.mark.slow),
    ],
)
def test_inside_jit_samplers_are_prepared_before(sampler, words):
    law = instances.ring(8)
    run = jax.jit(lambda law, sampler: js.sample_spins(KEY, law, (3, 8), sampler, 4, warmup=0, thin=0).x)
    with pytest.raises(ValueError, match=words):
        run(law, sampler)
    ready = sampler.prepared(law)
    np.testing.assert_array_equal(run(law, ready), js.sample_spins(KEY, law, (3, 8), sampler, 4, warmup=0, thin=0).x)


def test_clusters_are_made_inside_jit_too():
    law = js.discrete.Ising(instances.r1().couplings)
    inside = jax.jit(lambda law: js.sample_spins(KEY, law, (50, 10), SwendsenWang(), 4, warmup=0, thin=0).stats)(law)
    assert set(inside) == {"rounds", "exponent", "finite", "largest_cluster", "frustrated"}
