"""The devices and the processes that a command runs on."""

from typing import Any

import jax

from jaxsamp import hosts, sharding
from jaxsamp.cli.errors import BadArgument, complaints

AUTO = "auto"


def chosen(devices: str) -> Any:
    """The mesh of --devices, a number or "all" of this process; None for the one device that JAX prefers."""
    there = jax.local_devices()
    if devices != "all" and not (devices.isdecimal() and 1 <= int(devices) <= len(there)):
        raise BadArgument(f"--devices must be all or a number from 1 to {len(there)}; got {devices}.")
    count = len(there) if devices == "all" else int(devices)
    return None if count == 1 else sharding.mesh(devices=there[:count])


def joined(coordinator: str | None, num_processes: int | None, process_id: int | None) -> hosts.Process:
    """This process among those that share the job; alone without --coordinator."""
    if coordinator is None:
        for flag, value in (("--num-processes", num_processes), ("--process-id", process_id)):
            if value is not None:
                raise BadArgument(f"{flag} is for processes that share a job: give their --coordinator.")
        return hosts.Process(0, 1)
    with complaints():
        return hosts.initialize_distributed(None if coordinator == AUTO else coordinator, num_processes, process_id)
