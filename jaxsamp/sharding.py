"""Meshes of devices, and functions that run over them: the only file that knows devices."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxsamp import checks
from jaxsamp.types import PyTree

BATCH, TIME = "batch", "time"


def mesh(batch: int | None = None, time: int = 1, *, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of devices for `jaxsamp.sample` and `jaxsamp.fit`.

    Samples are divided over its axis "batch", and the nodes that a parallel-in-time sampler evaluates at once over its
    axis "time". Devices that share a row of "time" talk to each other in every round; they are neighbours.

    Args:
        batch: size of that axis; by default as many as there are devices for.
        time: size of that axis.
        devices: all of them by default, those of other hosts included.

    Raises:
        ValueError: sizes whose product is not the number of devices.
    """
    found = list(jax.devices() if devices is None else devices)
    checks.at_least("time", time, 1)
    batch = len(found) // time if batch is None else checks.at_least("batch", batch, 1)
    if batch * time != len(found):
        raise ValueError(
            f"batch * time must be the number of devices, {len(found)}; got {batch} * {time}. "
            "For a part of them give devices=jax.devices()[:count]."
        )
    return jax.make_mesh((batch, time), (BATCH, TIME), (AxisType.Auto,) * 2, devices=found)


def check_mesh(got: Any) -> None:
    """Raise unless `got` is None or a mesh of `mesh`'s two axes."""
    if got is None:
        return
    if not isinstance(got, Mesh):
        raise TypeError(f"mesh must be a mesh of devices, jaxsamp.mesh(); got {got!r}.")
    if not {BATCH} <= set(got.axis_names) <= {BATCH, TIME}:
        raise ValueError(f"mesh must have the axis 'batch', and may have 'time'; got {got.axis_names}.")


def rows(count: int, over: Mesh | None) -> int:
    """The next number of samples that divides over the mesh."""
    parts = 1 if over is None else over.shape[BATCH]
    return -(-count // parts) * parts


def on_batch(function: Callable[[PyTree, PyTree], PyTree], over: Mesh | None) -> Callable[[PyTree, PyTree], PyTree]:
    """function(shared, rows) -> rows, each device with rows of its own and all that is shared.

    Manual on both axes: under shardings that the compiler propagates, a `while_loop` of a batch would ask all devices
    in every round whether to go on.
    """
    if over is None:
        return function
    return jax.shard_map(
        function,
        mesh=over,
        in_specs=(PartitionSpec(), PartitionSpec(BATCH)),
        out_specs=PartitionSpec(BATCH),
        check_vma=False,
    )


def on_time(over: Mesh | None) -> Callable[[Callable[..., PyTree]], Callable[..., PyTree]]:
    """Turns a function of R rows into one that computes a share of them on each device, and then gathers all.

    One all-gather for each leaf of the result; rows are repeated where R does not divide.
    """
    parts = 1 if over is None else over.shape.get(TIME, 1)

    def divided(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
        def share(*args: PyTree) -> PyTree:
            count = len(jax.tree.leaves(args)[0])
            size = -(-count // parts)
            mine = jax.numpy.minimum(lax.axis_index(TIME) * size + jax.numpy.arange(size), count - 1)
            out = function(*jax.tree.map(lambda leaf: leaf[mine], args))
            return jax.tree.map(lambda leaf: lax.all_gather(leaf, TIME, tiled=True)[:count], out)

        return function if parts == 1 else share

    return divided


def replicate(tree: PyTree, over: Mesh | None) -> PyTree:
    """The arrays of a tree on every device of the mesh; what is there already stays."""
    return tree if over is None else _placed(tree, NamedSharding(over, PartitionSpec()))


def divide(tree: PyTree, over: Mesh | None) -> PyTree:
    """The arrays of a tree with their first axis divided over the mesh's axis "batch"."""
    return tree if over is None else _placed(tree, NamedSharding(over, PartitionSpec(BATCH)))


def _placed(tree: PyTree, sharding: NamedSharding) -> PyTree:
    def put(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray):  # numbers, which are on every device as they are
            return leaf
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        if sharding.is_fully_addressable or not getattr(leaf, "is_fully_addressable", True):
            return jax.device_put(leaf, sharding)
        host = np.asarray(leaf)  # every process has the same values
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(put, tree)
