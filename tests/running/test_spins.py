"""The door of spins keeps the contracts of the others: chain i is the same, whatever runs it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.mcmc import Enumerate, HeatBath, SpinSampler
from jaxsamp.mcmc.spins import structure
from tests.discrete import instances

KEY, N = jax.random.key(3), 10
MODEL, SPARSE = instances.r1(), js.discrete.lattice(N, 1, 0.4)
TERMS = js.discrete.MRF({(i, (i + 1) % N, (i + 3) % N): 0.3 for i in range(N)})
OPTIONS = {"steps": 20, "warmup": 10, "thin": 5, "save_every": 6}


def chains(n=6, model=MODEL, sampler=HeatBath(), **options):  # noqa: B008  (frozen)
    return js.sample_spins(KEY, model, (n, N), sampler, **(OPTIONS | options))


def bad(**change):
    given = {"key": KEY, "model": MODEL, "shape": (6, N), "steps": 20, "warmup": 10} | change
    return inspect.unwrap(js.sample_spins)(**given)


@pytest.fixture(scope="module")
def whole():
    return chains()


def check_same(a, b, rows=slice(None)):
    for name in ("x", "draws", "path"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name)[rows])
    np.testing.assert_allclose(a.exponent, b.exponent[rows], rtol=1e-5)
    np.testing.assert_allclose(a.stats["exponent"], b.stats["exponent"][rows], rtol=1e-5)


def test_spins_are_int8_and_the_exponent_is_that_of_every_draw(whole):
    assert whole.x.shape == (6, N) and whole.draws.shape == (6, 4, N) and whole.path.shape == (6, 6, N)
    for states in (whole.x, whole.draws, whole.path):
        assert states.dtype == jnp.int8 and set(np.unique(states)) == {-1, 1}
    np.testing.assert_allclose(whole.exponent, jax.vmap(MODEL.exponent)(whole.draws), rtol=1e-5)
    np.testing.assert_allclose(whole.stats["exponent"], MODEL.exponent(whole.x), rtol=1e-5)
    np.testing.assert_array_equal(whole.draws[:, -1], whole.x)  # 20 sweeps after the warm-up
    assert (whole.stats["rounds"] == 30).all() and whole.stats["finite"].all()
    assert whole.effective_sample_size().shape == (N,) and whole.rhat(of="exponent").shape == ()
    assert whole.summary(lambda draws: {"magnetization": draws.mean(-1)}).shape[0] == 1
    with pytest.raises(ValueError, match="of must be one of 'draws', 'exponent'; got 'energy'"):
        whole.rhat(of="energy")
    assert repr(whole).startswith("SpinChains(x=int8[6, 10], draws=int8[6, 4, 10], exponent=float32[6, 4]")


@pytest.mark.parametrize(
    "options",
    [
        {"microbatch": 4},
        {"mesh": 4},
        pytest.param({"microbatch": 4, "progress": True}, marks=pytest.mark.slow),
        pytest.param({"mesh": 4, "microbatch": 1}, marks=pytest.mark.slow),
        pytest.param({"mesh": 4, "progress": True}, marks=pytest.mark.slow),
    ],
)
def test_microbatches_progress_and_devices_change_nothing(whole, options, capsys):
    if "mesh" in options:
        options |= {"mesh": js.mesh(4, devices=jax.devices()[:4])}
    check_same(chains(**options), whole)


def test_chains_can_be_run_in_parts(whole):
    check_same(chains(n=2, first=3), whole, slice(3, 5))


@pytest.mark.parametrize("model", [MODEL, SPARSE, TERMS], ids=["dense", "sparse", "terms"])
def test_new_couplings_and_numbers_of_sweeps_do_not_compile_anew(model):
    first, doubled = chains(model=model), model.scaled(2.0)
    with jax.no_tracing(True):
        second = chains(model=doubled)
        longer = chains(model=model, steps=23, warmup=11)
    assert not np.array_equal(first.draws, second.draws) and longer.draws.shape == first.draws.shape


def test_inside_jit_and_vmap(whole):
    def draw(key, scale):
        return js.sample_spins(key, MODEL.scaled(scale), (6, N), **OPTIONS).draws

    two = jax.jit(jax.vmap(draw))(jnp.stack([KEY, jax.random.key(5)]), jnp.array([1.0, 0.5]))
    np.testing.assert_array_equal(two[0], whole.draws)
    assert not np.array_equal(two[1], whole.draws)


def test_terms_are_taken_inside_jit_as_an_argument_too():
    inside = jax.jit(lambda model: chains(model=model).x)(TERMS)
    np.testing.assert_array_equal(inside, chains(model=TERMS).x)


class Ring:
    """A ring of a user's own, with nothing but what the protocol asks for."""

    event_shape = (N,)

    def __init__(self, coupling):
        self.coupling = jnp.asarray(coupling, float)

    def exponent(self, x):
        return self.coupling * (x * jnp.roll(x, 1, 1)).sum(1)

    def local_fields(self, x):
        return self.coupling * (jnp.roll(x, 1, 1) + jnp.roll(x, -1, 1))


class Shown(Ring):
    """The same ring, which shows couplings and fields, right or wrong."""

    def __init__(self, coupling, factor=1.0):
        super().__init__(coupling)
        self.couplings = factor * coupling * (jnp.eye(N, k=1) + jnp.eye(N, k=-1) + jnp.eye(N, k=9) + jnp.eye(N, k=-9))
        self.fields = jnp.zeros(N)


def test_a_plain_class_of_a_user_is_taken():
    ours = chains(model=SPARSE)
    for mine in (Ring(0.4), Shown(0.4)):
        np.testing.assert_array_equal(chains(model=mine).draws, ours.draws)
    with pytest.raises(ValueError, match=r"model must have local_fields\(x\) = couplings x \+ fields if it has"):
        chains(model=Shown(0.4, factor=2.0))


class Stating(Shown):
    """It says what its fields are made of, and is believed, because its `local_fields` are of the same class."""

    structure = "pairs"

    def local_fields(self, x):
        return x @ self.couplings + self.fields


class Turned(Stating):
    """Other local fields, with which the structure above says nothing."""

    def local_fields(self, x):
        return -super().local_fields(x)


def test_a_structure_goes_with_the_local_fields_of_its_class():
    assert [structure(law) for law in (MODEL, SPARSE, TERMS, Ring(0.4))] == ["pairs", "neighbors", "terms", None]
    assert structure(Stating(0.4)) == "pairs" and structure(Turned(0.4)) is None
    with pytest.raises(ValueError, match=r"model must have local_fields\(x\) = couplings x \+ fields if it has"):
        HeatBath().prepared(Turned(0.4))


class Copied(SpinSampler):
    """A sampler of a user's own: it stays where it is, and says so."""

    def __init__(self):
        self.number = jnp.ones(())

    def step(self, model, state, i, rng):
        return state

    def stats(self, model, state):
        return {"number": self.number * state.x.sum()}


def test_a_sampler_of_a_user_is_taken_with_its_stats_and_starts_are_kept():
    start = np.where(np.arange(6 * N).reshape(6, N) % 3, 1, -1)
    out = chains(sampler=Copied(), init=start)
    np.testing.assert_array_equal(out.x, start)
    np.testing.assert_array_equal(out.path[:, 0], start)
    np.testing.assert_array_equal(out.stats["number"], start.sum(1))


def test_default_starts_are_fair_and_their_own():
    x = np.asarray(js.sample_spins(KEY, MODEL, (4_000, N), Copied(), 1, warmup=0, thin=0).x, float)
    assert abs(x.mean()) < 4 / np.sqrt(x.size)  # 6e-5
    assert abs((x[:, 0] * x[:, 1]).mean()) < 4 / np.sqrt(len(x))


def test_shards_hold_the_last_states_and_go_on(tmp_path):
    options = {"steps": 12, "warmup": 3}
    plain = js.sample_spins(KEY, MODEL, (7, N), thin=0, **options)
    begun = js.sample_spins_shards(tmp_path, KEY, MODEL, (7, N), shard_size=3, process=(0, 2), **options)
    assert begun.missing == ["shard-000001.npz"]
    shards = js.sample_spins_shards(tmp_path, KEY, MODEL, (7, N), shard_size=3, **options)
    assert shards.complete and shards.manifest["dtype"] == "int8"
    assert shards.manifest["costs"] == {"rounds": 15.0, "rounds_most": 15, "converged": 7}
    assert shards[:].dtype == np.int8
    np.testing.assert_array_equal(shards[:], plain.x)
    with pytest.raises(js.running.shards.OtherSettings, match="steps is 12 there and 13 here"):
        js.sample_spins_shards(tmp_path, KEY, MODEL, (7, N), steps=13, warmup=3, shard_size=3)
    with pytest.raises(js.running.shards.OtherSettings, match="weights is"):
        js.sample_spins_shards(tmp_path, KEY, MODEL.scaled(2.0), (7, N), shard_size=3, **options)


def test_the_doors_of_shards_take_their_arguments_in_one_order():
    spins, density = (
        list(inspect.signature(door).parameters) for door in (js.sample_spins_shards, js.sample_density_shards)
    )
    density.remove("polish")  # of Langevin samplers alone
    assert spins == ["model" if name == "target" else name for name in density]


def test_a_default_shard_of_spins_counts_bytes_of_int8():
    wide = (2**14 * 2,)
    assert js.running.shards.default_size(wide) == 2**11
    assert js.running.shards.default_size(wide, "int8") == 2**13


class Broken(Ring):
    def exponent(self, x):
        return jnp.full(len(x), jnp.nan)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"key": 3}, TypeError, "key must be a typed key"),
        ({"model": 3}, TypeError, "model must have event_shape, exponent and local_fields, such as a jaxsamp.discrete"),
        ({"shape": (6, 9)}, ValueError, r"shape must be \(n, \*event\) with the model's event shape \(10,\)"),
        (
            {"sampler": js.mcmc.Underdamped(0.1)},
            TypeError,
            r"sampler must be one of .* for spins, such as HeatBath\(\)",
        ),
        ({"sampler": HeatBath(block=0)}, ValueError, "block must be at least 1; got 0"),
        ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
        ({"thin": 21}, ValueError, "thin must be at most steps = 20, or 0 to keep no draws; got 21"),
        ({"warmup": -1}, ValueError, "warmup must be at least 0"),
        ({"microbatch": 0}, ValueError, "microbatch must be at least 1"),
        ({"save_every": -1}, ValueError, "save_every must be at least 0"),
        ({"first": 2**32}, ValueError, "first must be at most"),
        ({"init": np.ones((6, 9))}, ValueError, r"init must have the given shape \(6, 10\); got \(6, 9\)"),
        ({"init": np.zeros((6, N))}, ValueError, r"init must be \+1 or -1; got 0 at index \(0, 0\)"),
        ({"model": Broken(0.1)}, ValueError, "the exponent of the last states of 6 of 6 chains is NaN or infinite"),
        (
            {"model": js.discrete.lattice(5, 2, 0.1), "shape": (6, 25), "sampler": Enumerate()},
            ValueError,
            "Enumerate takes models of at most 22 spins; got n = 25, which has",
        ),
    ],
)
def test_bad_arguments_are_named(change, error, words):
    with pytest.raises(error, match=words) as at:
        bad(**change)
    assert "\n" not in str(at.value)


def test_other_doors_name_this_one():
    with pytest.raises(TypeError, match="jaxsamp.sample_spins takes the samplers of spins"):
        inspect.unwrap(js.sample_density)(KEY, js.targets.ring(), (6, 2), HeatBath())
