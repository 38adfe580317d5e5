"""A job is continued by the program that began it, and by no other; what is read is what was written."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.running import shards
from jaxsamp.running.shards import files

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


def test_the_checksum_of_a_shard_is_computed_once_by_a_reader(tmp_path, monkeypatch):
    job(tmp_path)
    read, asked = js.Shards(tmp_path), []

    plain = files.read_shard
    monkeypatch.setattr(files, "read_shard", lambda *given: asked.append(given[2]) or plain(*given))
    list(read), list(read)
    assert [given is None for given in asked] == [False] * 3 + [True] * 3
