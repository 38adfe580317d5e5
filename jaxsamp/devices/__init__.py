"""Meshes of devices, hosts, and what devices exchange: the only package that knows devices."""

from jaxsamp.devices.hosts import Process, agree, initialize_distributed, wait_for_hosts
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
    placed,
    replicate,
    several_hosts,
    share,
)

__all__ = [
    "BATCH",
    "Process",
    "TIME",
    "agree",
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
    "placed",
    "several_hosts",
    "share",
    "wait_for_hosts",
]
