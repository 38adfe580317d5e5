"""Meshes of devices, hosts, and what programs exchange: the only room that knows devices."""

from jaxsamp.devices.hosts import initialize_distributed
from jaxsamp.devices.mesh import (
    BATCH,
    TIME,
    any_host,
    assemble,
    check_mesh,
    constrain,
    divide,
    leads,
    mesh,
    on_batch,
    on_time,
    padded,
    replicate,
    several_hosts,
    share,
)

__all__ = [
    "BATCH",
    "TIME",
    "any_host",
    "assemble",
    "check_mesh",
    "constrain",
    "divide",
    "initialize_distributed",
    "leads",
    "mesh",
    "on_batch",
    "on_time",
    "replicate",
    "padded",
    "several_hosts",
    "share",
]
