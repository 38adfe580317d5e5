"""Two-sample and known-law metrics, each with its standard error or its null band."""

from jaxsamp.metrics.energy import energy, energy_distance
from jaxsamp.metrics.evaluate import evaluate
from jaxsamp.metrics.frechet import frechet, frechet_distance
from jaxsamp.metrics.known_law import log_density, occupancy
from jaxsamp.metrics.memorisation import memorisation
from jaxsamp.metrics.null import Metric
from jaxsamp.metrics.sliced_w2 import sliced_w2, sliced_wasserstein

__all__ = [
    "Metric",
    "energy",
    "energy_distance",
    "evaluate",
    "frechet",
    "frechet_distance",
    "log_density",
    "memorisation",
    "occupancy",
    "sliced_w2",
    "sliced_wasserstein",
]
