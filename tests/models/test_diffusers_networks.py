"""Networks of diffusers in Flax give the numbers of torch, from weights as diffusers names and orders them.

tests/models/frozen is written by benchmarks/frozen/diffusers_networks.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.models.diffusers.configs import network_of
from jaxsamp.models.diffusers.transformer2d import LAYERS
from jaxsamp.models.diffusers.weights import load_weights
from tests.models.diffusers_cases import FROZEN, about, freeze, frozen, written

KINDS = ("AutoencoderKL", "DiTTransformer2DModel", "UNet2DModel")
CASES = {f"{kind}-{name}": case for kind in KINDS for name, case in frozen(kind).items()}
# In float64 an error of the architecture shows best; those that take longest to compile, or repeat others, are slow.
LONG = {f"UNet2DModel-{name}" for name in ("attention", "learned-time", "class-time")} | {"AutoencoderKL-three-levels"}
BOTH = {"AutoencoderKL-one-level", "DiTTransformer2DModel-pixels"}  # by default in float32 too
FLOAT32, FLOAT64 = 1e-4, 1e-10  # of outputs of the order of 1; the largest differences were 6e-6 and 1e-14


def some(default):
    """All cases, of which only these are not slow."""
    return [pytest.param(name, marks=() if name in default else pytest.mark.slow) for name in CASES]


def arguments(case, dtype):
    """What the network is called with."""
    given = [case[key] for key in ("x", "t", "cond") if key in case]
    return tuple(jnp.asarray(a, dtype if a.dtype.kind == "f" else None) for a in given)


def loaded(folder, case, dtype):
    network = network_of(written(folder, about(case["about"])))
    stacked = LAYERS if hasattr(network, "patch_size") else ""
    part = () if "t" in case else ("decoder.", "post_quant_conv.")
    given = arguments(case, dtype)
    return network, load_weights(folder, network, given, stacked, part), given


def difference(folder, case, dtype):
    network, params, given = loaded(folder, case, dtype)
    out = jax.jit(network.apply)({"params": params}, *given)
    assert out.dtype == dtype
    return np.abs(np.asarray(out) - case[np.dtype(dtype).name]).max()


@pytest.mark.parametrize("name", some({*CASES} - LONG))
def test_outputs_in_float64(tmp_path, name):
    with jax.enable_x64(True):
        assert difference(tmp_path, CASES[name], jnp.float64) < FLOAT64


@pytest.mark.parametrize("name", some(BOTH))
def test_outputs_in_float32(tmp_path, name):
    assert difference(tmp_path, CASES[name], jnp.float32) < FLOAT32


@pytest.mark.slow
def test_the_frozen_numbers_are_still_those_of_diffusers():
    pytest.importorskip("diffusers", reason="diffusers and torch are in the extra 'bench'")
    live = freeze.frozen()
    for name in (*KINDS, "pipelines"):
        with np.load(FROZEN / f"{name}.npz") as then:
            assert {*then.files} == {*live[name]}
            for key in then.files:
                if key.endswith(("about", "scheduler")):
                    continue
                atol = 1e-12 if key.endswith("float64") else 2e-5
                np.testing.assert_allclose(live[name][key], then[key], atol=atol, err_msg=key)
