"""Shared test settings: float64 available, shapes and types checked on every public call."""

import gc
import os
import shutil
import tempfile

import jax
import jaxlib
import jaxtyping
import pytest
from threadpoolctl import threadpool_limits

from tests.smoke import SMOKE

jaxtyping.install_import_hook("jaxsamp", "beartype.beartype")

# The suite compiles several hundred small programs and runs most of them once: spend less on optimizing them.
jax.config.update("jax_disable_most_optimizations", True)
# For the tests of meshes; all others run on the first. Devices that wait for each other hold a thread each, and XLA
# starts no more threads than there are processors unless told to.
jax.config.update("jax_num_cpu_devices", 4)
os.environ.setdefault("PJRT_NPROC", "16")
# What the fixture `optimized` gets: loops three times as fast, for half as much time again to compile.
FLAGS = "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true"
# The fusion emitters of XLA double the time to compile for a CPU; after jaxlib 0.10 there is no switch for them.
if jaxlib.version.__version_info__[:2] == (0, 10):
    FLAGS += " --xla_cpu_use_fusion_emitters=false"
FLAGS += " --xla_cpu_parallel_codegen_split_count=1"  # small programs in one piece, by one thread
os.environ["XLA_FLAGS"] = f"{FLAGS} {os.environ.get('XLA_FLAGS', '')}"


# Each worker of the suite has a processor of its own; more threads of linear algebra would wait for each other.
threadpool_limits(1)
for library in ("OMP", "OPENBLAS"):  # and those of the programs that the tests start
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_configure(config):
    """What one worker has compiled, the others and the programs that the tests start read from a folder of the run."""
    if hasattr(config, "workerinput"):
        return  # its environment is that of the process that started it
    folder = tempfile.mkdtemp()
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    for name, value in (("compilation_cache_dir", folder), ("persistent_cache_min_compile_time_secs", 0.05)):
        os.environ[f"JAX_{name.upper()}"] = str(value)
        jax.config.update(f"jax_{name}", value)


def pytest_collection_modifyitems(items):
    names = tuple(name for room in SMOKE.values() for name in room)
    for item in items:
        if item.name.startswith(names) and not item.get_closest_marker("slow"):
            item.add_marker("smoke")


def pytest_collection_finish():
    """Modules, and what they hold, live as long as the run: no collection of garbage looks at them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture
def optimized():
    """Compile one test for speed: for those that run longer than they compile."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def x64():
    """Run one test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)
