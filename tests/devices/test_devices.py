"""Samples do not depend on the devices that draw them, and devices exchange no more than they must."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.devices.collectives import Collective, collectives
from jaxsamp.samplers import DDIM, ParallelMidpoint, SlidingWindow
from tests.cases import SAMPLERS, SCHEDULES, g64, network, run, small_mixture

STOPPING = {"tolerance": ParallelMidpoint(6, 8, tolerance=1e-3)}
FAST = {"ddpm": (4, 1), "sliding": (2, 2)}
MESHES = [(4, 1), (2, 2), (1, 4)]
PAIRS = [
    pytest.param(name, mesh, marks=() if FAST.get(name) == mesh else pytest.mark.slow, id=f"{name}-{mesh[0]}x{mesh[1]}")
    for name in SAMPLERS | STOPPING
    for mesh in MESHES
]


@pytest.mark.parametrize(("name", "mesh"), PAIRS)
def test_devices_do_not_change_a_sample(x64, name, mesh):
    # 18 samples and nodes by 4, 6 and 16: neither divides everywhere. Rounds differ between samples, so that devices
    # of different rows leave their loops at different times.
    denoiser, steps = g64().denoiser(SCHEDULES["ou"]), 2 if name == "tolerance" else 8
    one, many = (run_stats(name, denoiser, 18, steps, over) for over in (None, js.mesh(*mesh)))
    np.testing.assert_allclose(many.x, one.x, rtol=1e-10, atol=1e-10)
    for stat in ("rounds", "evaluations", "converged", "first_bad_step"):
        np.testing.assert_array_equal(one.stats[stat], many.stats[stat])
    if name in ("sliding", "tolerance", "speculative"):
        assert len(np.unique(one.stats["rounds"])) > 1


@pytest.mark.parametrize("name", ["ddpm", pytest.param("unipc3", marks=pytest.mark.slow)])
def test_devices_change_samples_in_float32_by_rounding_alone(name):
    # In g64 rounding grows up to a thousandfold in samples near the boundary of two modes, one in a hundred.
    denoiser = small_mixture().denoiser(SCHEDULES["ou"])
    one, many = (run(SAMPLERS[name], denoiser, 4096, 8, mesh=over) for over in (None, js.mesh(4)))
    assert np.isclose(one, many, 1e-5, 1e-5).all(1).mean() >= 0.999


def run_stats(name, denoiser, n, steps, mesh):
    options = {"mesh": mesh, "final_denoise": False}
    return js.sample(jax.random.key(0), denoiser, (n, 64), (SAMPLERS | STOPPING)[name], steps, **options)


def test_the_same_bits_are_drawn_on_every_mesh():
    noise = [
        js.sample(jax.random.key(0), network(), (8, 2), DDIM(), 3, save_every=1, mesh=mesh).path[:, 0]
        for mesh in (None, js.mesh(4), js.mesh(2, 2))
    ]
    np.testing.assert_array_equal(noise[0], noise[1])
    np.testing.assert_array_equal(noise[0], noise[2])


@pytest.mark.slow
def test_progress_microbatch_start_and_conditions_over_devices(capsys):
    def network(params, x, t, cond):
        return params * x / (1 + t[:, None]) + cond[:, None]

    denoiser = js.denoiser(network, jnp.float32(0.5), SCHEDULES["ou"], "x0")
    init, cond = jax.random.normal(jax.random.key(1), (10, 3)), jnp.arange(10.0)
    draw = lambda **options: js.sample(  # noqa: E731
        jax.random.key(0), denoiser, (10, 3), SAMPLERS["ddpm"], 6, init=init, cond=cond, **options
    )
    one = draw()
    for options in ({}, {"microbatch": 2}, {"progress": True}, {"progress": True, "microbatch": 2}):
        np.testing.assert_allclose(draw(mesh=js.mesh(2, 2), **options).x, one.x, rtol=1e-5, atol=1e-6)
    inside = jax.jit(lambda key: js.sample(key, denoiser, (10, 3), SAMPLERS["ddpm"], 6, init=init, cond=cond,
                                           mesh=js.mesh(4)).x)  # fmt: skip
    np.testing.assert_allclose(inside(jax.random.key(0)), one.x, rtol=1e-5, atol=1e-6)


def test_samples_stay_divided_over_the_devices():
    drawn = run(SAMPLERS["unipc2"], network(), 8, 3, event=(2,), mesh=js.mesh(4))
    assert {shard.data.shape for shard in drawn.addressable_shards} == {(2, 2)}


def compiled(sampler, steps, n, mesh, **options):
    draw = jax.jit(lambda key: js.sample(key, network(), (n, 64), sampler, steps, mesh=mesh, **options).x)
    return draw.lower(jax.random.key(0)).compile()


def test_samples_on_different_devices_exchange_nothing():
    """Not even where each sample decides by itself when to stop; and memory is that of a device's own samples."""
    for sampler in (SAMPLERS["unipc2"], SlidingWindow(8)):
        assert collectives(compiled(sampler, 9, 8, js.mesh(4))) == []


@pytest.mark.parametrize("name", ["sliding", pytest.param("parallel", marks=pytest.mark.slow)])
def test_nodes_on_different_devices_are_gathered_once_a_round(name):
    """However many samples there are, and nothing else is sent."""
    sampler = {"sliding": SlidingWindow(8), "parallel": ParallelMidpoint(8, 2)}[name]
    for n in (2, 16):
        sent = collectives(compiled(sampler, 9, n, js.mesh(2, 2)))
        assert sent == [Collective("all-gather", (n // 2) * 8 * 64 * 4, True)]


def test_microbatch_bounds_the_memory_of_a_device():
    def temporary(n, mesh, microbatch):
        program = compiled(SAMPLERS["unipc2"], 4, n, mesh, microbatch=microbatch)
        return program.memory_analysis().temp_size_in_bytes

    whole, parts, devices = temporary(4096, None, None), temporary(4096, None, 64), temporary(4096, js.mesh(4), None)
    assert parts < whole / 3 and devices < whole / 2


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((3, 1), "number of devices, 4; got 3"), ((None, 3), "got 1 \\* 3"), ((0, 1), "batch must be at least 1")],
)
def test_a_mesh_of_other_sizes_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        js.mesh(*sizes)


@pytest.mark.parametrize("devices", [2, "cpu", [0, 1]])
def test_devices_that_are_none_are_refused(devices):
    """A number was not iterable."""
    with pytest.raises(TypeError, match=r"devices must be a list of devices, such as jax.devices\(\)\[:2\]; got"):
        inspect.unwrap(js.mesh)(devices=devices)


def test_a_device_given_twice_is_refused():
    one, other = jax.devices()[:2]
    with pytest.raises(ValueError, match=r"devices must be different ones; got .* 2 times"):
        js.mesh(devices=[one, other, one])


def test_other_meshes_are_refused():
    denoiser = network()
    with pytest.raises(ValueError, match="axis 'batch'"):
        run(DDIM(), denoiser, 4, 2, event=(2,), mesh=jax.make_mesh((4,), ("data",)))
    with pytest.raises(TypeError, match="jaxsamp.mesh"):
        inspect.unwrap(js.sample)(jax.random.key(0), denoiser, (4, 2), DDIM(), 2, mesh=4)
    part = js.mesh(devices=jax.devices()[:2])
    assert run(DDIM(), denoiser, 3, 2, event=(2,), mesh=part).shape == (3, 2)


def test_parts_of_a_run_are_its_rows():
    denoiser = network()
    part = lambda n, first=0: run(SAMPLERS["ddpm"], denoiser, n, 5, event=(2,), first=first)  # noqa: E731
    whole = part(9)
    np.testing.assert_allclose(part(4, 5), whole[5:], rtol=1e-5, atol=1e-6)
    far = part(2, 2**32 - 2)
    assert jnp.isfinite(far).all() and not np.allclose(far, whole[:2])
    for first in (-1, 2**32 - 1):
        with pytest.raises(ValueError, match="first must be"):
            part(2, first)


def test_exchanges_are_read_from_every_form_that_they_have():
    text = """
%body (p: (f32[4])) -> (f32[4]) {
  %g = (f32[2]{0}, f32[4,2]{1,0}) all-gather-start(%p), dimensions={0}
  %r = bf16[8]{0} all-reduce(%q), to_apply=%add
  %c = (f8e4m3fn[16], f8e4m3fn[16], u32[], u32[]) collective-permute-start(%p)
}
ENTRY %main (a: f32[4]) -> f32[4] {
  %w = (f32[4]) while(%a), condition=%test, body=%body
  ROOT %s = (pred[3]{0}, c64[2]{0}) all-to-all(%w, %w)
}"""
    assert collectives(text) == [
        Collective("all-gather", 32, True),
        Collective("all-reduce", 16, True),
        Collective("collective-permute", 16, True),
        Collective("all-to-all", 19, False),
    ]
