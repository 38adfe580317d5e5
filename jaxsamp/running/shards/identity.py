"""What the bytes of a job's shards depend on, as plain values."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.types import PyTree
from jaxsamp.core.version import VERSION


def identity(
    samples: int, size: int, written: jax.ShapeDtypeStruct, key: jax.Array, settings: dict[str, Any]
) -> dict[str, Any]:
    """All values that a folder of shards must share with a job to be continued by it.

    Args:
        samples: number of all samples.
        size: samples per shard.
        written: shape and dtype of a shard.
        key: the key of all samples.
        settings: everything else that the bytes depend on, by name.
    """
    known = {"samples": samples, "event": list(written.shape[1:]), "dtype": str(written.dtype), "shard_size": size}
    known |= {"key": {"impl": str(jax.random.key_impl(key)), "data": describe(key)}}
    return known | {"settings": {name: describe(value) for name, value in settings.items()}}


def versions() -> dict[str, str]:
    """Versions of the software. They are written down but not compared, so that an update does not lose half a job."""
    return {"jaxsamp": VERSION, "jax": jax.__version__, "numpy": np.__version__}


def checksum(tree: PyTree) -> str:
    """A checksum of the dtypes, shapes and values of all leaves of a pytree."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        digest.update(f"{jnp.result_type(leaf)} {jnp.shape(leaf)}".encode())
        digest.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
    return digest.hexdigest()[:16]


def devices(mesh: Any) -> dict[str, Any]:
    """The kind and the arrangement of the devices of a process."""
    used = next(iter(jnp.zeros(()).devices())) if mesh is None else mesh.devices.flat[0]
    return {"kind": used.device_kind, **({"batch": 1, "time": 1} if mesh is None else {"time": 1, **mesh.shape})}


def process(given: tuple[int, int] | None) -> tuple[int, int]:
    """(index, count): the number of this process, from 0, and the number of processes."""
    index, count = (jax.process_index(), jax.process_count()) if given is None else given
    checks.at_least("the count of process", count, 1)
    if not 0 <= checks.at_least("the index of process", index, 0) < count:
        raise ValueError(f"process must be (index, count) with an index below the count; got {given}.")
    return index, count
