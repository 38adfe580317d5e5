"""The metrics that `evaluate` knows by name, in the order of its results."""

from jaxsamp.core.checks import one_of
from jaxsamp.metrics.c2st import SPEC as C2ST
from jaxsamp.metrics.energy import SPEC as ENERGY
from jaxsamp.metrics.frechet import SPEC as FRECHET
from jaxsamp.metrics.log_density import SPEC as LOG_DENSITY
from jaxsamp.metrics.memorization import SPEC as MEMORIZATION
from jaxsamp.metrics.mmd import SPEC as MMD
from jaxsamp.metrics.occupancy import SPEC as OCCUPANCY
from jaxsamp.metrics.rao_score_test import SPECS as RAO
from jaxsamp.metrics.sliced_w2 import SPEC as SLICED_W2
from jaxsamp.metrics.spec import MetricSpec

METRICS: tuple[MetricSpec, ...] = (
    SLICED_W2,
    ENERGY,
    MMD,
    C2ST,
    OCCUPANCY,
    LOG_DENSITY,
    *RAO,
    FRECHET,
    MEMORIZATION,
)
GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS if metric.group is not None))
NAMES = (*(metric.name for metric in METRICS), *GROUPS)


def named(name: str) -> list[MetricSpec]:
    """The metric of that name, or all metrics of that group; ValueError if there is none."""
    one_of("metrics", name, NAMES)
    return [metric for metric in METRICS if name in (metric.name, metric.group)]


def label(name: str) -> str:
    """The name of a metric in tables, from its key in the results of `evaluate`; ValueError if there is none."""
    by_name = {metric.name: metric.label for metric in METRICS}
    return by_name[one_of("name", name, by_name)]


def table() -> str:
    """A table of all metrics: their names, what they apply to and what they see."""
    rows = [("name", "applies to", "sees"), *((m.name, m.applies_to, m.sees) for m in METRICS)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = tuple("=" * width for width in widths)
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (rule, rows[0], rule, *rows[1:], rule)
    )
    return "\n".join(lines)
