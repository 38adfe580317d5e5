"""Many processes as one program: JAX's own distributed runtime, started."""

import re
from typing import NamedTuple

import jax

from jaxsamp.core import checks


class Process(NamedTuple):
    """Which process this is, and of how many."""

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
    """Make the processes that call this one program, each seeing the devices of all; JAX's own distributed runtime.

    To be called once in each process, before anything else of JAX. Under SLURM, Open MPI, Kubernetes (with the package
    `kubernetes`) and on Cloud TPU it finds everything by itself; elsewhere every process is told.

    If a process dies, JAX ends all others once they have missed its signs of life for `timeout` seconds, with a message
    that says so. A process that is done, or fails, waits for the others for `wait` seconds, and counts as dead after.

    Args:
        coordinator: "host:port" of process 0, where all others can reach it.
        num_processes: how many there are.
        process_id: which one this is, from 0.
        timeout: seconds without a sign of life after which a process counts as dead.
        wait: seconds that a process waits for the others at its end; more for processes that do different work.

    Returns:
        `Process(index, count)`.

    Raises:
        ValueError: numbers out of range, or missing where nothing else tells.
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
    # Its handler would swallow the SIGTERM with which schedulers end a job.
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
