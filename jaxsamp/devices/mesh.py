"""Meshes of devices, and functions that run over them: the only file that knows devices."""

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxsamp.core import checks
from jaxsamp.core.types import Array, PyTree

BATCH, TIME = "batch", "time"


def mesh(batch: int | None = None, time: int = 1, *, devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of devices for `jaxsamp.sample` and `jaxsamp.fit`.

    Samples are divided over its axis "batch", and the nodes that a parallel-in-time sampler evaluates at once over its
    axis "time". Devices that share a row of "time" talk to each other in every round; they are neighbors.

    Args:
        batch: size of that axis; by default as many as there are devices for.
        time: size of that axis.
        devices: all of them by default, those of other hosts included.

    Returns:
        A `jax.sharding.Mesh` of shape (batch, time).

    Raises:
        ValueError: sizes whose product is not the number of devices.
    """
    found = list(jax.devices() if devices is None else devices)
    checks.at_least("time", time, 1)
    batch = max(1, len(found) // time) if batch is None else checks.at_least("batch", batch, 1)
    if batch * time != len(found):
        raise ValueError(
            f"batch * time must be the number of devices, {len(found)}; got {batch} * {time}. "
            "For a part of them give devices=jax.devices()[:count]."
        )
    _warn_of_few_threads(found)
    return jax.make_mesh((batch, time), (BATCH, TIME), (AxisType.Auto,) * 2, devices=found)


def _warn_of_few_threads(devices: Sequence[Any]) -> None:
    """XLA gives the devices of a CPU as many threads as there are processors; where each waits in one, none is left."""
    here = sum(device.platform == "cpu" and device.process_index == jax.process_index() for device in devices)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if 1 < here and threads < 2 * here and not {"NPROC", "PJRT_NPROC"} & set(os.environ):
        warnings.warn(
            f"{here} devices of a CPU with {threads} processors can wait for each other for ever; start Python "
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
    """The next number of samples that divides over the mesh."""
    parts = 1 if over is None else over.shape[BATCH]
    return -(-count // parts) * parts


def several_hosts(over: Mesh | None) -> bool:
    """Whether devices of other processes are in the mesh."""
    return over is not None and over.is_multi_process


def leads(over: Mesh | None) -> bool:
    """Whether this process is the one that writes and shows what all of the mesh have in common."""
    return not several_hosts(over) or jax.process_index() == 0


def share(over: Mesh | None) -> tuple[int, int]:
    """(h, n): the devices of this process hold part h of n equal parts of the samples.

    Raises:
        ValueError: the rows of a process do not lie side by side, in equal parts.
    """
    if over is None or not over.is_multi_process:
        return 0, 1
    devices = np.moveaxis(over.devices, over.axis_names.index(BATCH), 0)
    here = [any(device.process_index == jax.process_index() for device in np.ravel(row)) for row in devices]
    count, first, parts = sum(here), here.index(True) if any(here) else 0, len(here)
    if not (count and all(here[first : first + count]) and first % count == parts % count == 0):
        raise ValueError(
            "mesh must have devices of every process, those of one side by side along its axis 'batch' and as many of "
            f"each; this process has places {np.flatnonzero(here).tolist()} of {parts}."
        )
    return first // count, parts // count


def any_host(flag: bool, over: Mesh | None) -> bool:
    """Whether the flag is up in any process of the mesh; all of them must ask."""
    if not several_hosts(over):
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


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
        def part(*args: PyTree) -> PyTree:
            count = len(jax.tree.leaves(args)[0])
            size = -(-count // parts)
            mine = jax.numpy.minimum(lax.axis_index(TIME) * size + jax.numpy.arange(size), count - 1)
            out = function(*jax.tree.map(lambda leaf: leaf[mine], args))
            return jax.tree.map(lambda leaf: lax.all_gather(leaf, TIME, tiled=True)[:count], out)

        return function if parts == 1 else part

    return divided


def replicate(tree: PyTree, over: Mesh | None) -> PyTree:
    """The arrays of a tree on every device of the mesh; what is there already stays."""
    return tree if over is None else _placed(tree, NamedSharding(over, PartitionSpec()))


def divide(tree: PyTree, over: Mesh | None) -> PyTree:
    """The arrays of a tree with their first axis divided over the mesh's axis "batch"."""
    return tree if over is None else _placed(tree, NamedSharding(over, PartitionSpec(BATCH)))


def assemble(tree: PyTree, over: Mesh, count: int) -> PyTree:
    """The same for `count` rows, of which each process gives only the part that `share` says."""
    sharding = NamedSharding(over, PartitionSpec(BATCH))
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, leaf, (count, *leaf.shape[1:])), tree
    )


def constrain(leaf: Array, over: Mesh, axis: int | None = None) -> Array:
    """Inside jit: an array that is divided over "batch" along one of its axes, or all of it on every device."""
    spec = PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, BATCH)
    return lax.with_sharding_constraint(leaf, NamedSharding(over, spec))


def _placed(tree: PyTree, sharding: NamedSharding) -> PyTree:
    def put(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray):  # numbers, which are on every device as they are
            return leaf
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        if sharding.is_fully_addressable or not getattr(leaf, "is_fully_addressable", True):
            return jax.device_put(leaf, sharding)
        # Every process has the same values; slices of what is on a device are not waited for.
        places = sharding.addressable_devices_indices_map(leaf.shape)
        parts = [jax.device_put(leaf[index], device) for device, index in places.items()]
        return jax.make_array_from_single_device_arrays(leaf.shape, sharding, parts)

    return jax.tree.map(put, tree)
