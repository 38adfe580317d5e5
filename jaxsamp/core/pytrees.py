"""Settings and laws as pytrees."""

from dataclasses import fields
from typing import Any, TypeVar

import jax

T = TypeVar("T")


def pytree(cls: type[T]) -> type[T]:
    """Register a frozen dataclass as a pytree: fields are leaves, except those with metadata {"static": True}.

    Unflattening skips the constructor, so tracers and placeholders pass through unchecked. Not
    `jax.tree_util.register_dataclass`: under JAX 0.10 and 0.12 two classes registered so have equal tree structures
    if their fields are equal, and `jit` may then run the program that it compiled for the other one.
    """
    static = [f.name for f in fields(cls) if f.metadata.get("static")]  # type: ignore[arg-type]
    leaves = [f.name for f in fields(cls) if not f.metadata.get("static")]  # type: ignore[arg-type]

    def values(made: Any, names: list[str]) -> tuple:
        return tuple(getattr(made, name) for name in names)

    def flatten_with_keys(made: Any) -> tuple[tuple, tuple]:
        keyed = ((jax.tree_util.GetAttrKey(name), getattr(made, name)) for name in leaves)
        return tuple(keyed), values(made, static)

    def unflatten(known: tuple, traced: Any) -> Any:
        made = object.__new__(cls)
        for name, value in zip((*leaves, *static), (*traced, *known), strict=True):
            object.__setattr__(made, name, value)
        return made

    jax.tree_util.register_pytree_with_keys(
        cls, flatten_with_keys, unflatten, lambda made: (values(made, leaves), values(made, static))
    )
    return cls
