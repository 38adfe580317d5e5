"""Two-sample and known-law metrics, each with its standard error or its null band.

Each metric has its own file, with the function and a `MetricSpec`: its name, its label, what it needs and how to run
it. `registry` lists them for `evaluate`, which also takes metrics defined by the user.
"""

from jaxsamp.metrics.c2st import c2st, tv_bound
from jaxsamp.metrics.energy import energy, energy_distance
from jaxsamp.metrics.evaluate import evaluate
from jaxsamp.metrics.flow import flow_kl, flow_tv
from jaxsamp.metrics.frechet import frechet, frechet_distance
from jaxsamp.metrics.log_density import log_density
from jaxsamp.metrics.memorization import memorization
from jaxsamp.metrics.mmd import mmd, mmd_distance
from jaxsamp.metrics.null import Metric, compare, judged
from jaxsamp.metrics.null_bank import NullBank
from jaxsamp.metrics.occupancy import occupancy
from jaxsamp.metrics.rao_score_test import rao_score_test
from jaxsamp.metrics.registry import METRICS, NAMES, label
from jaxsamp.metrics.sbc import SBC, sbc_ranks
from jaxsamp.metrics.score_error import ScoreError, score_error
from jaxsamp.metrics.sliced_w2 import sliced_w2, sliced_wasserstein
from jaxsamp.metrics.spec import Comparison, MetricSpec
from jaxsamp.metrics.tarp import TARP, tarp

__all__ = [
    "METRICS",
    "NAMES",
    "SBC",
    "TARP",
    "Comparison",
    "Metric",
    "MetricSpec",
    "NullBank",
    "ScoreError",
    "c2st",
    "compare",
    "energy",
    "energy_distance",
    "evaluate",
    "flow_kl",
    "flow_tv",
    "frechet",
    "frechet_distance",
    "judged",
    "label",
    "log_density",
    "memorization",
    "mmd",
    "mmd_distance",
    "occupancy",
    "rao_score_test",
    "sbc_ranks",
    "score_error",
    "sliced_w2",
    "sliced_wasserstein",
    "tarp",
    "tv_bound",
]
