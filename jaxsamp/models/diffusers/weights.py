"""Weights of diffusers' networks from safetensors files: torch's names and orders of axes as those of Flax modules."""

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import extras
from jaxsamp.core.types import PyTree

FILE = "diffusion_pytorch_model.safetensors"
INDEX = f"{FILE}.index.json"
LEAVES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}  # the rest have the same name in both
# torch has (out, in, h, w) and (out, in), Flax (h, w, in, out) and (in, out); embeddings and norms are the same.
AXES = {4: (2, 3, 1, 0), 2: (1, 0)}
FLOATS = ("F64", "F32", "F16", "BF16")
# What layers of attention were called in older files.
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
OLD_NAME = re.compile(rf"(?<=\.)({'|'.join(OLD)})(?=\.(weight|bias)$)")


def load_weights(
    folder: Path, network: Any, arguments: tuple[Any, ...], stacked: str = "", part: tuple[str, ...] = ()
) -> PyTree:
    """The weights of a network, in the precision in which they are stored, read one tensor at a time.

    Args:
        folder: holds diffusion_pytorch_model.safetensors, or several such files and their index.
        network: a Flax module whose submodules have the names of torch's.
        arguments: with which it is called.
        stacked: the name of a list of equal submodules whose weights are stacked.
        part: beginnings of the names of the network's tensors; others in the file are left out. () for all.

    Raises:
        ValueError: a file is missing or damaged, or lacks a tensor of the network, or has another or one of another
            shape; the first one is named.
    """
    with extras.needed("a network of diffusers"):
        from safetensors import SafetensorError, safe_open
    like = jax.eval_shape(network.init, jax.random.key(0), *arguments)["params"]
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    with ExitStack() as stack:
        stored = {}
        for path in weight_files(folder):
            try:
                file = stack.enter_context(safe_open(str(path), "numpy"))
            except (OSError, SafetensorError) as error:
                raise ValueError(f"place must hold safetensors files; {path} could not be read ({error}).") from error
            stored |= {OLD_NAME.sub(lambda old: OLD[old[0]], name): (file, name) for name in file.keys()}  # noqa: SIM118
        stored = {name: at for name, at in stored.items() if name.startswith(part or ("",))}
        wanted = [_Leaf(path, leaf.shape, stacked) for path, leaf in paths]
        _check(folder, type(network).__name__, wanted, stored)
        read: Callable[[str], np.ndarray] = lambda name: stored[name][0].get_tensor(stored[name][1])  # noqa: E731
        # The largest first: the copy of a tensor while its axes are turned then comes on top of few others.
        leaves = {leaf.names[0]: leaf.read(read) for leaf in sorted(wanted, key=lambda leaf: -leaf.size)}
        return jax.tree.unflatten(structure, [leaves[leaf.names[0]] for leaf in wanted])


def torch_tensors(params: PyTree, stacked: str = "") -> dict[str, np.ndarray]:
    """The inverse of `load_weights`: weights by torch's names, in torch's orders of axes."""
    tensors = {}
    for path, array in jax.tree_util.tree_leaves_with_path(params):
        leaf, array = _Leaf(path, np.shape(array), stacked), np.asarray(array)
        for name, one in zip(leaf.names, array if leaf.stacked else array[None], strict=True):
            turned = one if leaf.axes is None else one.transpose(np.argsort(leaf.axes))
            tensors[name] = np.ascontiguousarray(turned)
    return tensors


class _Leaf:
    """A weight of the network: where it comes from, and how its axes are turned."""

    def __init__(self, path: tuple[Any, ...], shape: tuple[int, ...], stacked: str):
        *modules, last = (str(key.key) for key in path)
        self.stacked = bool(stacked) and modules[:1] == [stacked]
        inner = shape[1:] if self.stacked else shape
        self.axes = AXES.get(len(inner)) if last == "kernel" else None
        self.shape, self.size = inner, math.prod(shape)
        self.theirs = inner if self.axes is None else tuple(inner[i] for i in np.argsort(self.axes))
        end = [*modules[1:], LEAVES.get(last, last)] if self.stacked else [*modules, LEAVES.get(last, last)]
        starts = [f"{stacked}.{i}." for i in range(shape[0])] if self.stacked else [""]
        self.names = [start + ".".join(end) for start in starts]

    def read(self, read: Callable[[str], np.ndarray]) -> jax.Array:
        """The weight; a stack is filled layer by layer."""
        if not self.stacked:
            return jnp.asarray(self._turned(read(self.names[0])))
        whole = None
        for i, name in enumerate(self.names):
            one = read(name)
            whole = np.empty((len(self.names), *self.shape), one.dtype) if whole is None else whole
            whole[i] = one if self.axes is None else one.transpose(self.axes)
        return jnp.asarray(whole)

    def _turned(self, array: np.ndarray) -> np.ndarray:
        return array if self.axes is None else np.ascontiguousarray(array.transpose(self.axes))


def _check(folder: Path, network: str, wanted: list[_Leaf], stored: dict[str, tuple[Any, str]]) -> None:
    """Raise one sentence unless the files have exactly the tensors of the network."""
    shapes = {name: leaf.theirs for leaf in wanted for name in leaf.names}
    for name in sorted(shapes.keys() ^ stored.keys()):
        have, lack = (f"{folder} has", f"{network} has not") if name in stored else (f"{network} has", "the files lack")
        raise ValueError(f"place must hold the weights of {network} with its config; {have} {name!r}, which {lack}.")
    for name, (file, own) in stored.items():
        tensor = file.get_slice(own)
        if (shape := tuple(tensor.get_shape())) != shapes[name] or tensor.get_dtype() not in FLOATS:
            raise ValueError(
                f"{name!r} must have shape {shapes[name]} and real numbers for {network} with its config; {folder} has "
                f"shape {shape} of {tensor.get_dtype()}."
            )


def weight_files(folder: Path) -> Iterator[Path]:
    """The files of weights in a folder."""
    if (index := folder / INDEX).exists():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"place must hold a readable {INDEX}; got {type(error).__name__} of {index}.") from error
        for name in names:
            if Path(name).name != name:  # an index must not lead out of its folder
                raise ValueError(f"{INDEX} must name files of its own folder; got {name!r}.")
            yield folder / name
    elif (whole := folder / FILE).exists():
        yield whole
    else:
        pickled = any((folder / name).exists() for name in ("diffusion_pytorch_model.bin", "pytorch_model.bin"))
        hint = " Files of pickled weights are not read: save them with safe_serialization=True." * pickled
        raise ValueError(f"place must hold {FILE} or {INDEX}; {folder} has neither.{hint}")
