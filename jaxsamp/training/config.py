"""A run's configuration as plain values: what a checkpoint must agree with to be continued."""

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def describe(thing: Any) -> Any:
    """`thing` as values for JSON: dataclasses by their type and fields, arrays by shape, dtype and checksum."""
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        # Flax modules carry a parent and a name, which say nothing about what they compute.
        fields = [f.name for f in dataclasses.fields(thing) if f.name not in ("parent", "name") and f.init]
        return {"type": type(thing).__name__} | {name: describe(getattr(thing, name)) for name in fields}
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(value) for value in thing]
    if isinstance(thing, jax.Array) and jnp.issubdtype(thing.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(thing)).tolist()
    if isinstance(thing, np.ndarray | jax.Array):
        array = np.asarray(thing)
        return {"shape": list(array.shape), "dtype": str(array.dtype), "crc32": zlib.crc32(array.tobytes())}
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, np.dtype) or thing in (jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64):
        return str(jnp.dtype(thing))
    return getattr(thing, "__qualname__", type(thing).__name__)


def differences(stored: Any, present: Any, name: str = "") -> list[str]:
    """One phrase for each field that differs, such as "batch_size is 64 there and 128 here"."""
    if isinstance(stored, dict) and isinstance(present, dict):
        return [
            phrase
            for key in {**stored, **present}
            for phrase in differences(stored.get(key), present.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if stored == present else [f"{name} is {stored!r} there and {present!r} here"]
