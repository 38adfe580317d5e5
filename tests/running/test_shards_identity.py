"""A job is continued by the program that began it, and by no other; what is read is what was written."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.running import shards
from jaxsamp.running.shards import files
from jaxsamp.running.shards.identity import process

SHAPE, SIZE, SCHEDULE = (12, 2), 4, js.schedules.VariancePreserving()
OtherSettings = shards.OtherSettings


@pytest.fixture(scope="module", autouse=True)
def quick_disk():
    """No test ends with a crash of the machine, so none waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def network(changed=False):
    """One of two functions of one name."""
    if changed:

        def apply(params, x, t, cond):
            return 0.5 * jnp.tanh(x)

    else:

        def apply(params, x, t, cond):
            return 0.5 * x

    return apply


def job(folder, apply=None, process=None, **options):
    denoiser = js.denoiser(apply or network(), None, SCHEDULE, prediction="x0")
    options = {"steps": 2, "shard_size": SIZE} | options
    return js.sample_shards(folder, jax.random.key(0), denoiser, SHAPE, process=process, **options)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_another_body_of_apply_is_refused(tmp_path):
    job(tmp_path / "half", process=(0, 2))
    before = content(tmp_path / "half")
    with pytest.raises(OtherSettings, match=r"settings: programs.denoiser is '\w{16}' there and '\w{16}' here\. Give"):
        job(tmp_path / "half", network(changed=True))
    assert content(tmp_path / "half") == before
    # Another object with the same body, and the same from another line, are the same program.
    assert job(tmp_path / "half", network()).complete
    job(tmp_path / "whole")
    assert content(tmp_path / "half") == content(tmp_path / "whole")


def test_other_flags_of_jax_or_another_jax_are_refused_by_their_names(tmp_path, monkeypatch):
    whole = {"transform": lambda x: jnp.round(8 * x).astype(jnp.int8)}  # of one dtype, whatever x has
    job(tmp_path, process=(0, 2), **whole)
    with jax.threefry_partitionable(False), pytest.raises(OtherSettings, match="jax_threefry_partitionable is True th"):
        job(tmp_path, **whole)
    with jax.enable_x64(True), pytest.raises(OtherSettings, match="jax_enable_x64 is False there and True here"):
        job(tmp_path, **whole)
    with jax.default_matmul_precision("float32"), pytest.raises(OtherSettings, match="jax_default_matmul_precision is"):
        job(tmp_path, **whole)
    with monkeypatch.context() as patch, pytest.raises(OtherSettings, match=r"XLA_FLAGS.* is"):
        patch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"] + " --xla_cpu_enable_fast_math=true")
        job(tmp_path, **whole)
    with (
        monkeypatch.context() as patch,
        pytest.raises(OtherSettings, match=r"settings: jax is '.*' there and '0.0.1'"),
    ):
        patch.setattr(jax, "__version__", "0.0.1")
        job(tmp_path, **whole)
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=3")
    assert job(tmp_path, **whole).complete


def test_another_body_of_a_transform_or_of_an_own_sampler_is_refused(tmp_path):
    def transform(changed):
        return (lambda x: x[:, :1]) if changed else (lambda x: x[:, 1:])

    job(tmp_path / "transform", process=(0, 2), transform=transform(False))
    with pytest.raises(OtherSettings, match="settings: programs.transform is"):
        job(tmp_path / "transform", transform=transform(True))

    class Own(js.samplers.DDIM):
        def step(self, problem, state, i, rng):
            out = super().step(problem, state, i, rng)
            return out._replace(x=factor() * out.x)

    def factor():
        return 1.0

    job(tmp_path / "sampler", process=(0, 2), sampler=Own())
    assert job(tmp_path / "sampler", process=(2, 3), sampler=Own()).missing == ["shard-000001.npz"]

    def factor():  # noqa: F811
        return 0.5

    with pytest.raises(OtherSettings, match="settings: programs.sampler is"):
        job(tmp_path / "sampler", sampler=Own())


def test_the_devices_that_hold_a_network_are_no_part_of_its_program():
    from jaxsamp.running.shards.identity import program

    weights, x = jnp.ones((2, 2)), jax.ShapeDtypeStruct((2,), jnp.float32)
    over = js.devices.replicate(weights, js.mesh(devices=jax.devices()[:4]))
    assert program(jnp.matmul, over, x) == program(jnp.matmul, weights, x) != program(jnp.add, weights, x)


def test_swapped_shards_are_not_read_in_the_wrong_order(tmp_path):
    job(tmp_path)
    read = js.Shards(tmp_path)
    whole = read[:]
    with np.load(tmp_path / "shard-000001.npz") as stored:
        assert int(stored["first"]) == SIZE
    a, b = tmp_path / "shard-000000.npz", tmp_path / "shard-000001.npz"
    both = a.read_bytes(), b.read_bytes()
    a.write_bytes(both[1]), b.write_bytes(both[0])
    with pytest.raises(shards.Damaged, match="shard-000000.npz must have the checksum that was written"):
        js.Shards(tmp_path)[:]
    # Checksums are compared once, and numbers each time.
    with pytest.raises(shards.Damaged, match="shard-000001.npz must hold the samples from number 4 on, and"):
        read[4:8]
    np.testing.assert_array_equal(job(tmp_path)[:], whole)
    assert (a.read_bytes(), b.read_bytes()) == both
    # A file that has changed is compared again: this one holds the samples of its number, of another job.
    job(tmp_path / "other", apply=network(changed=True))
    a.write_bytes((tmp_path / "other" / a.name).read_bytes())
    with pytest.raises(shards.Damaged, match="shard-000000.npz must have the checksum that was written"):
        read[:4]


def test_the_checksum_of_a_shard_is_computed_once_by_a_reader(tmp_path, monkeypatch):
    job(tmp_path)
    read, asked = js.Shards(tmp_path), []

    plain = files.read_shard
    monkeypatch.setattr(files, "read_shard", lambda *given: asked.append(given[2]) or plain(*given))
    list(read), list(read)
    assert [given is None for given in asked] == [False] * 3 + [True] * 3


def test_settings_are_plain_values_under_names_of_their_own(tmp_path):
    for value in (tmp_path, b"1", {1}, 1j, {"a": [tmp_path]}):
        with pytest.raises(ValueError, match="settings must be a dict of numbers, strings, arrays, lists and dicts; "):
            job(tmp_path, settings={"data": value})
    for name in ("denoiser", "weights", "transform", "devices"):
        with pytest.raises(ValueError, match=f"settings must not have the name '{name}'"):
            job(tmp_path, settings={name: "mine"})
    assert not content(tmp_path)
    for _ in range(2):  # NaN is what it was
        assert job(tmp_path, settings={"rate": float("nan"), "data": {"digits": [0, 1]}}).complete
    with pytest.raises(OtherSettings, match="settings.data.digits|data.digits"):
        job(tmp_path, settings={"rate": float("nan"), "data": {"digits": [0, 2]}})


@jax.tree_util.register_pytree_node_class
class Slotted:
    """Conditions into which nobody can look."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def tree_flatten(self):
        return (self.value,), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)


def test_conditions_of_every_kind_are_compared(tmp_path):
    assert job(tmp_path, cond=Slotted(jnp.zeros(SHAPE[0]))).complete
    with pytest.raises(OtherSettings, match="conditions is"):
        job(tmp_path, cond=Slotted(jnp.ones(SHAPE[0])))


def test_keys_may_be_weights_and_conditions(tmp_path):
    def apply(params, x, t, cond):
        return x * jax.random.uniform(params) + jax.vmap(lambda key: jax.random.normal(key, SHAPE[1:]))(cond)

    denoiser = js.denoiser(apply, jax.random.key(1), SCHEDULE, prediction="x0")
    cond = jax.random.split(jax.random.key(2), SHAPE[0])
    found = js.sample_shards(tmp_path, jax.random.key(0), denoiser, SHAPE, steps=2, shard_size=SIZE, cond=cond)
    whole = js.sample(jax.random.key(0), denoiser, SHAPE, steps=2, cond=cond).x
    np.testing.assert_allclose(found[:], whole, rtol=1e-5, atol=1e-6)
    with pytest.raises(OtherSettings):
        js.sample_shards(tmp_path, jax.random.key(0), denoiser, SHAPE, steps=2, shard_size=SIZE, cond=cond[::-1])


def test_arguments_of_other_kinds_are_named(tmp_path):
    for wrong in (3, (0, 1, 2)):
        with pytest.raises(ValueError, match=r"process must be \(index, count\), such as"):
            process(wrong)
    with pytest.raises(ValueError, match="transform must keep the number of samples, 4; got the shape"):
        job(tmp_path, transform=lambda x: (x, x))
