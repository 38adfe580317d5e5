"""What an object prints: one line, with arrays by dtype and shape and never by their numbers."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

LONGEST = 200  # characters of what another library prints


def line(thing: Any) -> str:
    """A dataclass or named tuple with its fields; those that are None by default are left out if they are None."""
    parts = [f"{name}={value(held)}" for name, held, always in _fields(thing) if always or held is not None]
    return f"{type(thing).__name__}({', '.join(parts)})"


def value(thing: Any) -> str:
    """A part of such a line."""
    if isinstance(thing, jax.Array | np.ndarray | np.generic):
        return _array(thing)
    if (isinstance(thing, tuple) and hasattr(thing, "_fields")) or is_default(type(thing)):
        return line(thing)
    if isinstance(thing, partial):
        return f"{type(thing).__name__}({value(thing.func)})"
    if callable(thing) and hasattr(thing, "__name__"):
        return thing.__name__
    if isinstance(thing, np.dtype):
        return str(thing)
    if isinstance(thing, dict | list | tuple) and (held := _arrays(thing)):
        return f"{len(held):,} array{'s' * (len(held) != 1)} of {sum(leaf.size for leaf in held):,} numbers"
    said = repr(thing)
    return said if "\n" not in said and len(said) <= LONGEST else f"{type(thing).__name__}(...)"


def is_default(cls: type) -> bool:
    """Whether a class prints what `dataclass` has written for it, by a function of its own or of the module reprlib."""
    home = getattr(cls.__repr__, "__globals__", {}).get("__name__")
    return dataclasses.is_dataclass(cls) and home in ("dataclasses", "reprlib")


def _fields(thing: Any) -> list[tuple[str, Any, bool]]:
    """Names and values, and whether None would be shown as well."""
    if dataclasses.is_dataclass(thing):
        names = [(field.name, field.default is not None) for field in dataclasses.fields(thing) if field.repr]
    else:
        names = [(name, thing._field_defaults.get(name, ...) is not None) for name in thing._fields]
    return [(name, getattr(thing, name, None), always) for name, always in names]


def _array(array: Any) -> str:
    known = not isinstance(array, Tracer) and getattr(array, "is_fully_addressable", True)
    if array.ndim == 0 and known and not jnp.issubdtype(array.dtype, jax.dtypes.extended):
        return str(array)
    return f"{array.dtype}[{', '.join(map(str, array.shape))}]"


def _arrays(tree: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array | np.ndarray)]
