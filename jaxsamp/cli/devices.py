"""The devices that a command runs on."""

from typing import Any

import jax

from jaxsamp import sharding
from jaxsamp.cli.errors import BadArgument


def chosen(devices: str) -> Any:
    """The mesh of --devices, a number or "all"; None for the one device that JAX prefers."""
    there = jax.device_count()
    if devices != "all" and not (devices.isdecimal() and 1 <= int(devices) <= there):
        raise BadArgument(f"--devices must be all or a number from 1 to {there}; got {devices}.")
    count = there if devices == "all" else int(devices)
    return None if count == 1 else sharding.mesh(devices=jax.devices()[:count])
