"""The devices and the processes that a command runs on."""

from typing import Any

import jax

from jaxsamp.cli.errors import BadArgument
from jaxsamp.devices import Process, initialize_distributed, mesh

AUTO = "auto"
WEEK = 7 * 24 * 3600  # seconds; shards take their time, and process 0 holds the others together


def chosen(devices: str) -> Any:
    """The mesh of --devices, a number or "all" of this process; None for the one device that JAX prefers."""
    there = jax.local_devices()
    if devices != "all" and not (devices.isdecimal() and 1 <= int(devices) <= len(there)):
        raise BadArgument(f"--devices must be all or a number from 1 to {len(there)}; got {devices}.")
    count = len(there) if devices == "all" else int(devices)
    return None if count == 1 else mesh(devices=there[:count])


def joined(coordinator: str | None, num_processes: int | None, process_id: int | None) -> Process:
    """This process among those that share the job; alone without --coordinator."""
    if coordinator is None:
        for flag, value in (("--num-processes", num_processes), ("--process-id", process_id)):
            if value is not None:
                raise BadArgument(f"{flag} is for processes that share a job: give their --coordinator.")
        return Process(0, 1)
    place = None if coordinator == AUTO else coordinator
    return initialize_distributed(place, num_processes, process_id, wait=WEEK)
