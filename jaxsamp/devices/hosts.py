"""Many processes as one program: how to start JAX's own distributed runtime."""

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxsamp.core import checks
from jaxsamp.core.fingerprint import describe
from jaxsamp.core.random import is_key

SLOTS = 32  # arguments that are compared
SEEN = 2**20  # numbers of an array that are compared, evenly spaced
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Process(NamedTuple):
    """The number of this process, from 0, and how many processes there are."""

    index: int
    count: int


def initialize_distributed(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: int = 100,
    wait: int = 300,
    join: int = 300,
    bind: str | None = None,
) -> Process:
    """Join the processes that call this into one program, in which each sees the devices of all of them.

    Starts JAX's own distributed runtime. Call it once in each process, before anything else of JAX. Under SLURM, Open
    MPI, Kubernetes (with the package `kubernetes`) and on Cloud TPU it finds all settings by itself; elsewhere give the
    first three arguments in every process.

    If a process dies, JAX ends all others, with a message that says so, once they have missed its signs of life for
    `timeout` seconds. A process that is done, or fails, waits up to `wait` seconds for the others, and then counts as
    dead.

    Args:
        coordinator: "host:port" of process 0, which all others can reach.
        num_processes: number of processes.
        process_id: number of this process, from 0.
        timeout: seconds without a sign of life after which a process counts as dead.
        wait: seconds that a process waits for the others at its end; give more if the processes do different work.
        join: seconds that a process waits at the start for all others to be there.
        bind: "host:port" at which process 0 listens. By default the coordinator's, if that is this machine alone, such
            as 127.0.0.1, and otherwise all its interfaces: whoever reaches the port can join, so shield it from others.

    Returns:
        `Process(index, count)`.

    Raises:
        ValueError: a number is out of range, or an argument is missing where JAX cannot find it by itself.
        RuntimeError: JAX has been used already, or the coordinator cannot be started. If processes do not come in time,
            or two have the same process_id, JAX ends the process itself once `join` seconds are over, with a message.
    """
    checks.at_least("timeout", timeout, 1)
    checks.at_least("wait", wait, 1)
    checks.at_least("join", join, 1)
    if num_processes is not None and process_id is not None:
        checks.at_least("num_processes", num_processes, 1)
        if checks.at_least("process_id", process_id, 0) >= num_processes:
            raise ValueError(f"process_id must be below num_processes, {num_processes}; got {process_id}.")
    if coordinator is not None and not re.fullmatch(r".+:\d+", coordinator):
        raise ValueError(f"coordinator must be host:port, such as 10.0.0.1:8476; got {coordinator!r}.")
    if bind is not None and not re.fullmatch(r".+:\d+", bind):
        raise ValueError(f"bind must be host:port, such as 10.0.0.1:8476; got {bind!r}.")
    if bind is None and coordinator is not None and coordinator.rpartition(":")[0] in LOOPBACK:
        bind = coordinator
    # The handler of that service would swallow the SIGTERM with which schedulers end a job.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=timeout,
            shutdown_timeout_seconds=wait,
            initialization_timeout=join,
            coordinator_bind_address=bind,
        )
    except jax.errors.JaxRuntimeError as error:
        first = str(error).partition("\n")[0]
        raise RuntimeError(
            f"process_id must be another one in each of the {num_processes} processes, and coordinator one that all "
            f"can reach within {join} seconds; process {process_id} could not join {coordinator} ({first})."
        ) from error
    except ValueError as error:
        raise ValueError(
            "coordinator, num_processes and process_id must all be given where there is no SLURM, Open MPI, Kubernetes "
            f"or Cloud TPU to ask; got {coordinator}, {num_processes} and {process_id} ({error})"
        ) from error
    return Process(jax.process_index(), jax.process_count())


def wait_for_hosts(place: str) -> None:
    """Wait until every process has come to this `place` in the program; at once if there is only one process."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"jaxsamp {place}")


def agree(arguments: Mapping[str, Any], several: bool) -> None:
    """Raise ValueError in every process unless all of them call with the same arguments; name those that differ.

    Arrays are compared by their shapes, dtypes and up to SEEN of their numbers; arrays that already lie on devices of
    several processes are one and the same. One exchange of SLOTS numbers.

    Args:
        arguments: values by name.
        several: whether there are other processes to compare with; without them nothing happens.
    """
    if not several:
        return
    names = list(arguments)[:SLOTS]
    mine = np.zeros(SLOTS, np.uint32)
    mine[: len(names)] = [fingerprint(arguments[name]) for name in names]
    everyone = np.asarray(multihost_utils.process_allgather(mine)).reshape(-1, SLOTS)
    differ = [name for i, name in enumerate(names) if (everyone[:, i] != everyone[0, i]).any()]
    if differ or (everyone != everyone[0]).any():
        what = ", ".join(differ) or "the function that is called"
        raise ValueError(f"every process must call with the same arguments; these differ between processes: {what}.")


def fingerprint(thing: Any) -> int:
    """32 bits that agree wherever a value does: of its arrays, its structure and its settings."""
    leaves, structure = jax.tree.flatten(thing)
    rest = describe(jax.tree.unflatten(structure, [None] * len(leaves)))
    seen = [_seen(leaf) for leaf in leaves]
    return zlib.crc32(json.dumps([rest, seen], sort_keys=True, default=str).encode())


def _seen(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array | np.ndarray):
        return describe(leaf)
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return [list(leaf.shape), str(leaf.dtype)]
    if is_key(leaf):
        leaf = jax.random.key_data(leaf)
    return describe(leaf.reshape(-1)[:: max(1, leaf.size // SEEN)]) | {"shape": list(leaf.shape)}
