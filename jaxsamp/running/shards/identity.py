"""What the bytes of a job's shards depend on, as plain values."""

import hashlib
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.random import is_key
from jaxsamp.core.types import PyTree
from jaxsamp.core.version import VERSION

# Flags of JAX on which bits depend.
FLAGS = (
    "jax_enable_x64",
    "jax_threefry_partitionable",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_disable_most_optimizations",
    "jax_optimization_level",
)
# Parts of names of flags of XLA on which bits do not depend: how many devices there are, and what is written about.
NO_MATTER = ("device_count", "dump", "verbosity", "log")


def identity(
    samples: int,
    size: int,
    written: jax.ShapeDtypeStruct,
    key: jax.Array,
    settings: dict[str, Any],
    programs: dict[str, str],
) -> dict[str, Any]:
    """All values that a folder of shards must share with a job to be continued by it.

    Args:
        samples: number of all samples.
        size: samples per shard.
        written: shape and dtype of a shard.
        key: the key of all samples.
        settings: everything else that the bytes depend on, by name.
        programs: what is computed, by name, as `program` gives it.
    """
    known = {"samples": samples, "event": list(written.shape[1:]), "dtype": str(written.dtype), "shard_size": size}
    known |= {"key": {"impl": str(jax.random.key_impl(key)), "data": describe(key)}}
    known |= {"settings": {name: describe(value) for name, value in settings.items()}}
    return known | {"flags": flags(), "jax": jax.__version__, "programs": programs}


def program(function: Callable[..., Any], *given: PyTree) -> str:
    """A checksum of what a function computes, so that other code under the same name is noticed.

    It is that of the text of the program that JAX makes of the function, StableHLO without places in files. Values of
    arrays among the arguments do not matter, nor does the number of devices that hold them.

    Args:
        function: of arrays, or pytrees of them, for one sample.
        given: its arguments, or their shapes.
    """
    shapes = jax.tree.map(_shape, given)
    return hashlib.sha256(jax.jit(function).lower(*shapes).as_text().encode()).hexdigest()[:16]


def foreign(sampler: Any) -> bool:
    """Whether code of other packages steps: the class of a sampler, or of a sampler or corrector in it, is theirs."""
    held = (value for value in vars(sampler).values() if hasattr(value, "step"))
    return not type(sampler).__module__.startswith("jaxsamp.") or any(map(foreign, held))


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else jax.eval_shape(lambda: leaf)


def flags() -> dict[str, Any]:
    """The flags of JAX and XLA on which bits depend."""
    known = {name: getattr(jax.config, name, None) for name in FLAGS}
    words = [word for word in os.environ.get("XLA_FLAGS", "").split() if not any(part in word for part in NO_MATTER)]
    return known | {"XLA_FLAGS": sorted(words)}


def versions() -> dict[str, str]:
    """Versions that are written down but not compared, so that an update does not lose half a job."""
    return {"jaxsamp": VERSION, "numpy": np.__version__}


def checksum(tree: PyTree) -> str:
    """A checksum of the dtypes, shapes and values of all leaves of a pytree."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        digest.update(f"{jnp.result_type(leaf)} {jnp.shape(leaf)}".encode())
        digest.update(np.ascontiguousarray(plain(leaf)).tobytes())
    return digest.hexdigest()[:16]


def plain(leaf: Any) -> np.ndarray:
    """The numbers of a leaf, also if they are keys."""
    leaf = jnp.asarray(leaf) if not hasattr(leaf, "dtype") else leaf
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def devices(mesh: Any) -> dict[str, Any]:
    """The kind and the arrangement of the devices of a process."""
    used = next(iter(jnp.zeros(()).devices())) if mesh is None else mesh.devices.flat[0]
    return {"kind": used.device_kind, **({"batch": 1, "time": 1} if mesh is None else {"time": 1, **mesh.shape})}


def process(given: Any) -> tuple[int, int]:
    """(index, count): the number of this process, from 0, and the number of processes."""
    if given is not None and not (isinstance(given, tuple) and len(given) == 2):
        raise ValueError(f"process must be (index, count), such as (0, 4); got {given!r}.")
    index, count = (jax.process_index(), jax.process_count()) if given is None else given
    checks.at_least("the count of process", count, 1)
    if not 0 <= checks.at_least("the index of process", index, 0) < count:
        raise ValueError(f"process must be (index, count) with an index below the count; got {given}.")
    return index, count
