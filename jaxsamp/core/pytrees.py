"""Settings and laws as pytrees."""

from collections.abc import Callable
from dataclasses import fields
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import jax
import numpy as np

T = TypeVar("T")


def pytree(cls: type[T]) -> type[T]:
    """Register a frozen dataclass as a pytree: fields are leaves, except those with metadata {"static": True}.

    Unflattening skips the constructor, so tracers and placeholders pass through unchecked.
    `jax.tree_util.register_dataclass` is not used, because under JAX 0.10 and 0.12 two classes registered by it have
    equal tree structures if their fields are equal, and `jit` may then run the program compiled for the other class.
    """
    static = [f.name for f in fields(cls) if f.metadata.get("static")]  # type: ignore[arg-type]
    leaves = [f.name for f in fields(cls) if not f.metadata.get("static")]  # type: ignore[arg-type]
    _register(cls, lambda made: (leaves, static))
    return cls


def adopted(argument: str, thing: T) -> T:
    """Return `thing`, after registering its class as a pytree if it is an object of a plain class.

    Attributes that are arrays, or trees of arrays and numbers, become leaves, so new values do not recompile; all
    others are static and are compared by `==`. Objects in its attributes that hold arrays are registered in the same
    way. A class is registered once, when its first object is seen.

    Args:
        argument: name of `thing` in errors.
        thing: any object.

    Raises:
        TypeError: an attribute is neither made of arrays nor hashable.
    """
    if not _foreign(thing):
        return thing
    for name, value in vars(thing).items():
        if _foreign(value) and any(map(_holds_arrays, vars(value).values())):
            adopted(f"{argument}.{name}", value)
    for name, value in vars(thing).items():
        if not _holds_arrays(value) and not _hashable(value):
            raise TypeError(
                f"{argument} must have attributes that are arrays or hashable, or a class decorated with "
                f"jaxsamp.pytree; {type(thing).__name__}.{name} is a {type(value).__name__}."
            )
    _register(type(thing), _by_value)
    return thing


def _register(cls: type, names: Callable[[Any], tuple[list[str], list[str]]]) -> None:
    """Register a class as a pytree; `names` gives the names of leaves and of static attributes."""

    def flatten(made: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        leaves, static = names(made)
        return tuple(getattr(made, name) for name in leaves), _known(made, leaves, static)

    def flatten_with_keys(made: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        leaves, static = names(made)
        keyed = ((jax.tree_util.GetAttrKey(name), getattr(made, name)) for name in leaves)
        return tuple(keyed), _known(made, leaves, static)

    def unflatten(known: tuple[Any, ...], traced: Any) -> Any:
        made = object.__new__(cls)
        for name, value in zip((*known[0], *known[1]), (*traced, *known[2]), strict=True):
            object.__setattr__(made, name, value)
        return made

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def _known(made: Any, leaves: list[str], static: list[str]) -> tuple[Any, ...]:
    return tuple(leaves), tuple(static), tuple(getattr(made, name) for name in static)


def _by_value(made: Any) -> tuple[list[str], list[str]]:
    """Arrays are leaves. A placeholder object that a transformation substitutes has no attributes of its own."""
    leaves = [name for name, value in vars(made).items() if _holds_arrays(value)]
    return leaves, [name for name in vars(made) if name not in leaves]


def _holds_arrays(value: Any) -> bool:
    """Whether a value is a tree of arrays and possibly numbers."""
    found = jax.tree.leaves(value)
    arrays = [isinstance(leaf, jax.Array | np.ndarray) for leaf in found]
    return any(arrays) and all(a or isinstance(leaf, int | float) for a, leaf in zip(arrays, found, strict=True))


def _foreign(thing: Any) -> bool:
    """Whether it is an object of a plain class, unknown to JAX."""
    known = type | ModuleType | FunctionType | MethodType | jax.Array | np.ndarray | np.generic
    return hasattr(thing, "__dict__") and not isinstance(thing, known) and jax.tree_util.all_leaves([thing])


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
