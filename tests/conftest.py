"""Shared test settings: float64 available, shapes and types checked on every public call."""

import os

import jax
import jaxlib
import jaxtyping
import pytest

jaxtyping.install_import_hook("jaxsamp", "beartype.beartype")

# The suite compiles several hundred small programs and runs most of them once: spend less on optimising them.
jax.config.update("jax_disable_most_optimizations", True)
# For the tests of meshes; all others run on the first.
jax.config.update("jax_num_cpu_devices", 4)
# The fusion emitters of XLA double the time to compile for a CPU; after jaxlib 0.10 there is no switch for them.
if jaxlib.version.__version_info__[:2] == (0, 10):
    os.environ["XLA_FLAGS"] = f"--xla_cpu_use_fusion_emitters=false {os.environ.get('XLA_FLAGS', '')}"


@pytest.fixture
def x64():
    """Run one test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)
