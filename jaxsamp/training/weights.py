"""Weights as one safetensors file, which any framework can read."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import extras
from jaxsamp.core.pytrees import is_function
from jaxsamp.core.random import is_key
from jaxsamp.core.types import PyTree

SAFETENSORS = ".safetensors"


def save_safetensors(params: PyTree, path: str | Path, about: dict[str, str] | None = None) -> None:
    """Write weights, each named by its path in the tree joined by "/", such as "params/Dense_0/kernel".

    Args:
        params: a pytree of arrays; random keys in it are written as their numbers, and functions are left out.
        path: the file.
        about: names and texts to keep in the file's header.
    """
    with extras.needed("save_safetensors"):
        from safetensors.flax import save_file

    leaves = {name: jax.random.key_data(leaf) if is_key(leaf) else jnp.asarray(leaf) for name, leaf in _named(params)}
    save_file(leaves, str(Path(path).expanduser()), {"format": "flax", **(about or {})})


def load_safetensors(path: str | Path, like: PyTree) -> PyTree:
    """The weights in a file, as a tree like `like`: arrays, or jax.eval_shape of the model's init.

    Raises:
        ValueError: a name or shape differs, and the first one is named; or there is no such file.
    """
    stored = _stored(path)
    wanted = _named(like)
    names = {name for name, _ in wanted}
    for name in sorted(names ^ set(stored)):
        have, lack = (path, "the network") if name in stored else ("the network", path)
        raise ValueError(f"path must hold the weights of this network; {have} has {name!r} and {lack} does not.")
    for name, leaf in wanted:
        shape = jax.eval_shape(jax.random.key_data, leaf).shape if is_key(leaf) else leaf.shape
        if stored[name].shape != shape:
            raise ValueError(f"{name!r} must have shape {shape} for this network; {path} has {stored[name].shape}.")
        if is_key(leaf):
            stored[name] = jax.random.wrap_key_data(stored[name], impl=str(jax.random.key_impl(leaf)))
    found = iter([stored[name] for name, _ in wanted])
    leaves, structure = jax.tree.flatten(like)
    return jax.tree.unflatten(structure, [leaf if is_function(leaf) else next(found) for leaf in leaves])


def nested(path: str | Path) -> dict[str, Any]:
    """The weights in a file as nested dicts of NumPy arrays, by their names split at "/"."""
    tree: dict[str, Any] = {}
    for name, array in _stored(path).items():
        *above, last = name.split("/")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[last] = np.asarray(array)
    return tree


def _stored(path: str | Path) -> dict[str, Any]:
    """The arrays in a file by their names."""
    with extras.needed("a .safetensors file"):
        from safetensors import SafetensorError
        from safetensors.flax import load_file
    try:
        return load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"path must be a safetensors file; {path} could not be read ({error}).") from error


def _named(tree: PyTree) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    named = [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]
    return [(name, leaf) for name, leaf in named if not is_function(leaf)]  # which a module may hold
