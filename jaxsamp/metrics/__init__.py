"""Two-sample and known-law metrics, each with its standard error or its null band."""

from jaxsamp.metrics.block_rao import block_rao
from jaxsamp.metrics.c2st import c2st, tv_bound
from jaxsamp.metrics.energy import energy, energy_distance
from jaxsamp.metrics.evaluate import evaluate
from jaxsamp.metrics.flow import flow_kl, flow_tv
from jaxsamp.metrics.frechet import frechet, frechet_distance
from jaxsamp.metrics.known_law import log_density, occupancy
from jaxsamp.metrics.memorization import memorization
from jaxsamp.metrics.mmd import mmd, mmd_distance
from jaxsamp.metrics.null import Metric
from jaxsamp.metrics.null_bank import NullBank
from jaxsamp.metrics.score_error import ScoreError, score_error
from jaxsamp.metrics.sliced_w2 import sliced_w2, sliced_wasserstein

__all__ = [
    "Metric",
    "NullBank",
    "ScoreError",
    "block_rao",
    "c2st",
    "energy",
    "energy_distance",
    "evaluate",
    "flow_kl",
    "flow_tv",
    "frechet",
    "frechet_distance",
    "log_density",
    "memorization",
    "mmd",
    "mmd_distance",
    "occupancy",
    "score_error",
    "sliced_w2",
    "sliced_wasserstein",
    "tv_bound",
]
