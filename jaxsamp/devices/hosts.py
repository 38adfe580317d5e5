"""Many processes as one program: how to start JAX's own distributed runtime."""

import re
from typing import NamedTuple

import jax
from jax.experimental import multihost_utils

from jaxsamp.core import checks


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

    Returns:
        `Process(index, count)`.

    Raises:
        ValueError: a number is out of range, or an argument is missing where JAX cannot find it by itself.
        RuntimeError: JAX has been used already, or the coordinator cannot be reached or started.
    """
    checks.at_least("timeout", timeout, 1)
    checks.at_least("wait", wait, 1)
    if num_processes is not None and process_id is not None:
        checks.at_least("num_processes", num_processes, 1)
        if checks.at_least("process_id", process_id, 0) >= num_processes:
            raise ValueError(f"process_id must be below num_processes, {num_processes}; got {process_id}.")
    if coordinator is not None and not re.fullmatch(r".+:\d+", coordinator):
        raise ValueError(f"coordinator must be host:port, such as 10.0.0.1:8476; got {coordinator!r}.")
    # The handler of that service would swallow the SIGTERM with which schedulers end a job.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=timeout,
            shutdown_timeout_seconds=wait,
        )
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
