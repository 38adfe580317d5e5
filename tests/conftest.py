"""Shared test settings: float64 available, shapes and types checked on every public call."""

import jax
import jaxtyping
import pytest

jaxtyping.install_import_hook("jaxsamp", "beartype.beartype")

# The suite compiles several hundred small programs and runs most of them once: spend less on optimising them.
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def x64():
    """Run one test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)
