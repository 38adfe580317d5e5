"""Big jobs: samples streamed to disk in shards, by one process or many, and resumed after any stop; their reader."""

from jaxsamp.running.shards.doors import sample_density_shards, sample_shards
from jaxsamp.running.shards.files import Damaged
from jaxsamp.running.shards.ledger import OtherSettings, clear
from jaxsamp.running.shards.reader import Shards
from jaxsamp.running.shards.record import KNOWN_BY
from jaxsamp.running.shards.spins import sample_spins_shards
from jaxsamp.running.shards.stream import default_size

__all__ = [
    "KNOWN_BY",
    "Damaged",
    "OtherSettings",
    "Shards",
    "clear",
    "default_size",
    "sample_density_shards",
    "sample_shards",
    "sample_spins_shards",
]
