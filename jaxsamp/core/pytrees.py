"""Settings and laws as pytrees."""

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import jax
import numpy as np

from jaxsamp.core import shown

T = TypeVar("T")

_ADOPTED: set[type] = set()
_LEAVES = "_names_of_leaves"


def pytree(cls: type[T]) -> type[T]:
    """Register a frozen dataclass as a pytree: fields are leaves, except those with metadata {"static": True}.

    It prints as one line, with arrays by dtype and shape, unless the class has a `__repr__` of its own or repr=False.
    Unflattening skips the constructor, so tracers and placeholders pass through unchecked.
    `jax.tree_util.register_dataclass` is not used, because under JAX 0.10 and 0.12 two classes registered by it have
    equal tree structures if their fields are equal, and `jit` may then run the program compiled for the other class.
    """
    static = [f.name for f in fields(cls) if f.metadata.get("static")]  # type: ignore[arg-type]
    leaves = [f.name for f in fields(cls) if not f.metadata.get("static")]  # type: ignore[arg-type]
    _register(cls, lambda made: (leaves, static))
    if shown.is_default(cls):
        cls.__repr__ = shown.line  # type: ignore[method-assign]
    return cls


def adopted(argument: str, thing: T, _above: tuple[Any, ...] = ()) -> T:
    """`thing`, after making pytrees of the classes of all plain objects that it is or holds.

    An attribute that is a number, a string, a function, or a tuple of those is static and compared by `==`; any other
    is part of the tree, so that other values of its arrays do not compile anew. A class is registered once, when the
    first object of it is seen; every object is looked at again each time.

    Args:
        argument: what an error calls it.
        thing: any object.

    Raises:
        TypeError: something in it is neither an array nor a number nor such an object; or an attribute holds no arrays
            and cannot be hashed, or refers to the object itself.
    """
    for leaf in _parts(thing):
        if isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
            continue
        if any(leaf is part for part in _above):
            raise TypeError(
                f"{argument} must not refer to the {type(leaf).__name__} that holds it: JAX takes trees alone."
            )
        if not _plain(leaf):
            raise TypeError(
                f"{argument} must be made of arrays, numbers, and objects of plain classes or of those decorated with "
                f"jaxsamp.pytree; got a {type(leaf).__name__} in it."
            )
        if type(leaf) not in _ADOPTED:
            _register(type(leaf), _by_value)
            _ADOPTED.add(type(leaf))
        for name in _by_value(leaf)[0]:
            value = getattr(leaf, name)
            if isinstance(value, list | dict | set) and not any(map(_array_or_object, _parts(value))):
                raise TypeError(
                    f"{argument} must have attributes that hold arrays or can be hashed, or a class decorated with "
                    f"jaxsamp.pytree; {type(leaf).__name__}.{name} is a {type(value).__name__}."
                )
            adopted(f"{argument}.{name}", value, (*_above, leaf))
    return thing


def _parts(thing: Any) -> list[Any]:
    """The leaves of a tree, and the objects in it that are looked into one by one."""
    return jax.tree.leaves(thing, is_leaf=lambda part: type(part) in _ADOPTED)


def is_function(thing: Any) -> bool:
    """Whether it is known by what it computes and holds no state: a function, a method, or what was made of one."""
    kinds = FunctionType | MethodType | BuiltinFunctionType | partial
    return (isinstance(thing, kinds) or hasattr(thing, "__wrapped__")) and not isinstance(thing, jax.tree_util.Partial)


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
        if cls in _ADOPTED:  # placeholders of a transformation do not show which attributes are leaves
            object.__setattr__(made, _LEAVES, known[0])
        return made

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def _known(made: Any, leaves: list[str], static: list[str]) -> tuple[Any, ...]:
    return tuple(leaves), tuple(static), tuple(getattr(made, name) for name in static)


def _by_value(made: Any) -> tuple[list[str], list[str]]:
    """The attributes that are part of the tree, and those that are static; what is cached is neither."""
    names = [name for name in vars(made) if name != _LEAVES and not _cached(made, name)]
    known = vars(made).get(_LEAVES)
    leaves = [name for name in names if (not _static(vars(made)[name]) if known is None else name in known)]
    return leaves, [name for name in names if name not in leaves]


def _cached(made: Any, name: str) -> bool:
    return isinstance(getattr(type(made), name, None), cached_property)


def _static(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(map(_static, value))
    plain = str | bytes | bool | int | float | complex | type | ModuleType | np.dtype | Enum | None
    return isinstance(value, plain) or is_function(value)


def _array_or_object(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray) or _plain(leaf)


def _plain(thing: Any) -> bool:
    """Whether it is an object of a plain class, which can be taken apart and put together again."""
    return hasattr(thing, "__dict__") and type(thing).__new__ is object.__new__ and not _static(thing)
