"""Meshes of devices, and functions that run over them."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxsamp.core import checks
from jaxsamp.core.random import is_key
from jaxsamp.core.types import Array, PyTree

BATCH, TIME = "batch", "time"


def mesh(batch: int | None = None, time: int = 1, *, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of devices for `jaxsamp.sample` and `jaxsamp.fit`.

    Samples are divided over its axis "batch", and the nodes that a parallel-in-time sampler evaluates at once over its
    axis "time". Devices that share a row of "time" exchange data in every round; they are neighbors.

    Args:
        batch: size of the axis "batch"; by default the number of devices divided by `time`.
        time: size of the axis "time".
        devices: by default all devices, those of other hosts included.

    Returns:
        A `jax.sharding.Mesh` of shape (batch, time).

    Raises:
        ValueError: batch * time is not the number of devices, or one of them is given twice.
        TypeError: `devices` is not a list of devices.
    """
    chosen = jax.devices() if devices is None else _distinct(devices)
    checks.at_least("time", time, 1)
    batch = max(1, len(chosen) // time) if batch is None else checks.at_least("batch", batch, 1)
    if batch * time != len(chosen):
        raise ValueError(
            f"batch * time must be the number of devices, {len(chosen)}; got {batch} * {time}. "
            "For a part of them give devices=jax.devices()[:count]."
        )
    _warn_of_few_threads(chosen)
    return jax.make_mesh((batch, time), (BATCH, TIME), (AxisType.Auto,) * 2, devices=chosen)


def _distinct(devices: Any) -> list[Any]:
    """The devices as a list, each of them once; errors are those of `mesh`."""
    chosen = list(devices) if isinstance(devices, Iterable) else []
    if not isinstance(devices, Iterable) or not all(hasattr(device, "process_index") for device in chosen):
        raise TypeError(f"devices must be a list of devices, such as jax.devices()[:2]; got {devices!r}.")
    device, times = max(Counter(chosen).items(), key=lambda item: item[1], default=(None, 0))
    if times > 1:
        raise ValueError(f"devices must be different ones; got {device} {times} times.")
    return chosen


def _warn_of_few_threads(devices: Sequence[Any]) -> None:
    """XLA gives all devices of a CPU one thread per processor; if each device waits in a thread, none may be left."""
    here = sum(device.platform == "cpu" and device.process_index == jax.process_index() for device in devices)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if 1 < here and threads < 2 * here and not {"NPROC", "PJRT_NPROC"} & set(os.environ):
        warnings.warn(
            f"{here} devices of a CPU with {threads} processors can wait for each other forever; start Python "
            f"with PJRT_NPROC={4 * here} in the environment.",
            stacklevel=3,
        )


def check_mesh(got: Any) -> None:
    """Raise unless `got` is None or a mesh of `mesh`'s two axes."""
    if got is None:
        return
    if not isinstance(got, Mesh):
        raise TypeError(f"mesh must be a mesh of devices, jaxsamp.mesh(); got {got!r}.")
    if not {BATCH} <= set(got.axis_names) <= {BATCH, TIME}:
        raise ValueError(f"mesh must have the axis 'batch', and may have 'time'; got {got.axis_names}.")
    if several_hosts(got) and len({device.process_index for device in got.devices.flat}) < jax.process_count():
        raise ValueError("mesh must have devices of this process alone, or of every process; got those of some.")


def padded(count: int, over: Mesh | None) -> int:
    """`count`, rounded up to a number of samples that divides evenly over the mesh."""
    parts = 1 if over is None else over.shape[BATCH]
    return -(-count // parts) * parts


def several_hosts(over: Mesh | None) -> bool:
    """Whether the mesh has devices of other processes."""
    return over is not None and over.is_multi_process


def leads(over: Mesh | None) -> bool:
    """Whether this process is the one, among all of the mesh, that writes files and shows progress."""
    return not several_hosts(over) or jax.process_index() == 0


def share(over: Mesh | None) -> tuple[int, int]:
    """(h, n): the devices of this process hold part h of n equal parts of the samples.

    Raises:
        ValueError: the rows of some process do not lie side by side, or the parts are not equal.
    """
    if over is None or not over.is_multi_process:
        return 0, 1
    devices = np.moveaxis(over.devices, over.axis_names.index(BATCH), 0)
    here = [any(device.process_index == jax.process_index() for device in np.ravel(row)) for row in devices]
    count, first, parts = sum(here), here.index(True) if any(here) else 0, len(here)
    if not (count and all(here[first : first + count]) and first % count == parts % count == 0):
        raise ValueError(
            "mesh must have equally many devices of every process, and those of one side by side along its axis "
            f"'batch'; this process has places {np.flatnonzero(here).tolist()} of {parts}."
        )
    return first // count, parts // count


def any_host(flag: bool, over: Mesh | None) -> bool:
    """Whether `flag` is true in any process of the mesh; all of them must call this."""
    if not several_hosts(over):
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def on_batch(function: Callable[[PyTree, PyTree], PyTree], over: Mesh | None) -> Callable[[PyTree, PyTree], PyTree]:
    """function(shared, rows) -> rows, where each device has its own part of the rows, and all of `shared`.

    Manual on both axes: under shardings that the compiler propagates, a `while_loop` of a batch would exchange data
    between all devices in every round, to decide whether to go on.
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
    """A decorator of functions of R rows: each device computes its share of the rows, and then all are gathered.

    One all-gather for each leaf of the result; rows are repeated if R does not divide evenly.
    """
    parts = 1 if over is None else over.shape.get(TIME, 1)

    def divided(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
        def part(*args: PyTree) -> PyTree:
            count = len(jax.tree.leaves(args)[0])
            size = -(-count // parts)
            mine = jax.numpy.minimum(lax.axis_index(TIME) * size + jax.numpy.arange(size), count - 1)
            out = function(*jax.tree.map(lambda leaf: leaf[mine], args))
            return jax.tree.map(lambda leaf: lax.all_gather(leaf, TIME, tiled=True)[:count], out)

        return function if parts == 1 else part

    return divided


def replicate(tree: PyTree, over: Mesh | None) -> PyTree:
    """The arrays of a tree on every device of the mesh; arrays that are there already are not moved."""
    return tree if over is None else _placed(tree, NamedSharding(over, PartitionSpec()))


def divide(tree: PyTree, over: Mesh | None) -> PyTree:
    """The arrays of a tree with their first axis divided over the mesh's axis "batch"."""
    return tree if over is None else _placed(tree, NamedSharding(over, PartitionSpec(BATCH)))


def placed(rows: PyTree, over: Mesh | None) -> PyTree:
    """Rows divided over the mesh if their number divides, and otherwise all of them on every device."""
    count = len(jax.tree.leaves(rows)[0])
    return (divide if count == padded(count, over) else replicate)(rows, over)


def assemble(tree: PyTree, over: Mesh, count: int) -> PyTree:
    """The same as `divide` for `count` rows, of which each process gives only its own part, see `share`."""
    sharding = NamedSharding(over, PartitionSpec(BATCH))
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, leaf, (count, *leaf.shape[1:])), tree
    )


def constrain(leaf: Array, over: Mesh, axis: int | None = None) -> Array:
    """Inside jit: an array, divided over "batch" along one of its axes, or whole on every device (axis=None)."""
    spec = PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, BATCH)
    return lax.with_sharding_constraint(leaf, NamedSharding(over, spec))


def _placed(tree: PyTree, sharding: NamedSharding) -> PyTree:
    def put(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray):  # plain numbers need no placement
            return leaf
        if is_key(leaf):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        if sharding.is_fully_addressable or not getattr(leaf, "is_fully_addressable", True):
            return jax.device_put(leaf, sharding)
        # Every process has the same values, so each places its own slices, without waiting for the others.
        places = sharding.addressable_devices_indices_map(leaf.shape)
        parts = [jax.device_put(leaf[index], device) for device, index in places.items()]
        return jax.make_array_from_single_device_arrays(leaf.shape, sharding, parts)

    return jax.tree.map(put, tree)
