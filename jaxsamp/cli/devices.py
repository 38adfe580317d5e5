"""The devices and the processes that a command runs on."""

from typing import Any

import jax

from jaxsamp import devices
from jaxsamp.cli.errors import BadArgument

AUTO = "auto"
WEEK = 7 * 24 * 3600  # seconds; shards may take days, and process 0 must outlive the other processes


def chosen(which: str) -> Any:
    """The mesh of --devices: a number of devices, or "all" of this process; None for JAX's default device alone."""
    there = jax.local_devices()
    if which != "all" and not (which.isdecimal() and 1 <= int(which) <= len(there)):
        raise BadArgument(f"--devices must be all or a number from 1 to {len(there)}; got {which}.")
    count = len(there) if which == "all" else int(which)
    return None if count == 1 else devices.mesh(devices=there[:count])


def joined(coordinator: str | None, num_processes: int | None, process_id: int | None) -> devices.Process:
    """This process among the processes that share the job; the only one without --coordinator."""
    if coordinator is None:
        for flag, value in (("--num-processes", num_processes), ("--process-id", process_id)):
            if value is not None:
                raise BadArgument(f"{flag} is for processes that share a job, so --coordinator is needed too.")
        return devices.Process(0, 1)
    place = None if coordinator == AUTO else coordinator
    return devices.initialize_distributed(place, num_processes, process_id, wait=WEEK)
