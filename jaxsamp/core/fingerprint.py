"""A configuration as plain values: a checkpoint or a folder of shards can be continued only if it agrees with it."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core.random import is_key


def describe(thing: Any, _above: tuple[int, ...] = ()) -> Any:
    """`thing` as values for JSON, as far as it can be described.

    Dataclasses are described by their type and fields; arrays by shape, dtype and checksum; functions by their name and
    by what they hold (arguments of a partial, defaults, closure, the object of a bound method); callable objects by
    their attributes; jitted functions by the function inside. An optax transformation is a pair of functions, so its
    settings are in their closures. What a function does is not compared, nor are the globals it reads, nor fields of a
    dataclass with the metadata "fact", which say what is known of a thing and not what it is.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if id(thing) in _above:  # a function may hold a reference to itself
        return "itself"
    inner = partial(describe, _above=(*_above, id(thing)))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = [f.name for f in dataclasses.fields(thing) if f.init and not f.metadata.get("fact")]
        if "parent" in fields:  # of a Flax module; like its name, it says nothing about what the module computes
            fields = [name for name in fields if name not in ("parent", "name")]
        # A class of another package may have the same name as one of jaxsamp.
        kind = {"type": type(thing).__name__}
        kind |= {} if type(thing).__module__.startswith("jaxsamp.") else {"foreign": True}
        return kind | {name: inner(getattr(thing, name)) for name in fields}
    if isinstance(thing, Mapping):
        return {str(key): inner(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [inner(value) for value in thing]
    if isinstance(thing, jax.Array) and is_key(thing):
        return np.asarray(jax.random.key_data(thing)).tolist()
    if isinstance(thing, np.ndarray | jax.Array):
        array = np.asarray(thing)
        return {"shape": list(array.shape), "dtype": str(array.dtype), "crc32": zlib.crc32(array.tobytes())}
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, np.dtype) or thing in (jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64):
        return str(jnp.dtype(thing))
    return _function(thing, inner)


def _function(thing: Any, inner: Callable[[Any], Any]) -> Any:
    """A function or callable object by its name and what it holds; anything else by its type."""
    if isinstance(thing, partial):
        held: dict[str, Any] = {"args": thing.args, **thing.keywords}
        return {"partial": inner(thing.func)} | {
            name: inner(value) for name, value in held.items() if name != "args" or value
        }
    if hasattr(thing, "__wrapped__") and not isinstance(thing, FunctionType):  # by jit
        return inner(thing.__wrapped__)
    name = getattr(thing, "__qualname__", type(thing).__name__)
    owner = getattr(thing, "__self__", None)
    if attributes := _attributes(owner):
        owner = {"type": type(owner).__name__} | attributes
    held = _attributes(thing)
    held |= {"self": owner, **(getattr(thing, "__kwdefaults__", None) or {})}
    held["defaults"] = [value for value in getattr(thing, "__defaults__", None) or () if value is not None] or None
    if isinstance(thing, FunctionType) and thing.__closure__:
        held |= dict(zip(thing.__code__.co_freevars, map(_content, thing.__closure__), strict=True))
    held = {
        word: inner(value) for word, value in held.items() if value is not None and not isinstance(value, ModuleType)
    }
    return {"function": name} | held if held else name


def _attributes(thing: Any) -> dict[str, Any]:
    """Attributes of a plain object; none of dataclasses, which have fields, nor of what is known by its name."""
    known = type | ModuleType | FunctionType | MethodType
    if dataclasses.is_dataclass(thing) or isinstance(thing, known):
        return {}
    held = getattr(thing, "__dict__", {})
    return {name: value for name, value in held.items() if not _cached(thing, name)}


def _cached(thing: Any, name: str) -> bool:
    """Whether an attribute follows from the others, and is there only once it has been read."""
    return isinstance(getattr(type(thing), name, None), cached_property)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the cell is still empty
        return None


def differences(stored: Any, present: Any, name: str = "") -> list[str]:
    """One phrase per field that differs, such as "batch_size is 64 there and 128 here"."""
    if isinstance(stored, dict) and isinstance(present, dict):
        return [
            phrase
            for key in {**stored, **present}
            for phrase in differences(stored.get(key), present.get(key), f"{name}.{key}".lstrip("."))
        ]
    if isinstance(stored, list) and isinstance(present, list) and len(stored) == len(present):
        pairs = enumerate(zip(stored, present, strict=True))
        return [phrase for i, (a, b) in pairs for phrase in differences(a, b, f"{name}[{i}]")]
    both_nan = stored != stored and present != present
    return [] if stored == present or both_nan else [f"{name} is {stored!r} there and {present!r} here"]
