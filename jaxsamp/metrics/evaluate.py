"""The front door of the metrics."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxsamp.core.checks import one_of
from jaxsamp.core.types import Array, Level
from jaxsamp.metrics.block_rao import BLOCKS, block_rao, parameters
from jaxsamp.metrics.c2st import LEAST, WIDEST, c2st
from jaxsamp.metrics.energy import energy
from jaxsamp.metrics.frechet import frechet
from jaxsamp.metrics.known_law import log_density, occupancy
from jaxsamp.metrics.memorization import memorization
from jaxsamp.metrics.mmd import mmd
from jaxsamp.metrics.null import NULL_SETS, Metric
from jaxsamp.metrics.sliced_w2 import sliced_w2
from jaxsamp.metrics.truth import Truth, checked

RAO, ALL_BLOCKS = {f"rao_{block}": block for block in BLOCKS}, "block_rao"
METRICS = (
    "sliced_w2",
    "energy",
    "mmd",
    "c2st",
    "occupancy",
    "log_density",
    *RAO,
    "frechet",
    "memorization",
)
UNASKED = tuple(name for name in METRICS if name != "mmd")  # which costs as much as energy and sees no more
MOST_PARAMETERS = 1000  # of a block of Rao's test: some seconds
LEAST_WEIGHT = 0.01  # of a component: below, 100,000 draws hold too few of it for the covariance of its scores


def evaluate(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array | None = None,
    features: Callable[[Array], Any] | None = None,
    metrics: str | Sequence[str] | None = None,
    level: Level | None = None,
    null_sets: int = NULL_SETS,
) -> dict[str, Metric]:
    """Compare samples with the truth: every number comes with the band where true samples fall.

    ============  ==========================================  ===================================================
    name          applies to                                  sees
    ============  ==========================================  ===================================================
    sliced_w2     any reference                               shifts, scales, lost modes
    energy        any reference                               the same; more sensitive to weights of modes
    mmd           any reference; only if named                what energy sees
    c2st          at most 64 numbers a sample; scikit-learn   any difference of means and covariances, if large
    occupancy     a law with `weights`, `responsibilities`    lost or overweighted modes
    log_density   a law with `log_prob`                       noise left over, wrong scale
    rao_weights   a `GaussianMixture`                         wrong weights
    rao_means     the same                                    shifted components
    rao_cov_diag  the same                                    components too wide or narrow along their own axes
    rao_cov_off   the same                                    turned or wrongly correlated components
    frechet       any reference, if `features` are given      means and covariances of the features
    memorization  an array (the training set), no `level`     copied training points
    ============  ==========================================  ===================================================

    True samples are inside each band 99 times in 100: of many metrics, one may be outside by chance. The density of
    a deterministic sampler gives more than samples can: see `flow_tv`.

    Args:
        x: samples, (n, *event), n >= 2; NumPy or JAX.
        reference: an array of true clean samples, (m, *event), or a law: `sample(key, n)`,
            `log_prob(x, level=None)` and, for mixtures, `weights` and `responsibilities(x, level=None)`. To compare
            many sample sets with one law, a `NullBank` of it, which draws and scores the null sets once.
        key: a typed key. The key that drew the samples may be used again: what is drawn here is independent of it.
            With a bank it is used by c2st alone and may be None; see there.
        features: (n, *event) -> (n, F) for "frechet".
        metrics: names from the table, "block_rao" for all its four blocks that have a parameter; None for all that
            apply. A block of Rao's test applies unasked if it has at most n and at most 1,000 parameters, and no
            weight is below 0.01.
        level: the noise level of x, with scalar alpha and sigma: the truth is then the law of alpha x_0 + sigma z.
            None for clean samples.
        null_sets: how many null values of each distance, at least 20; the band then holds the central 99 % of them,
            or with fewer than 199 all of them.

    Returns:
        `Metric`s by name, in the order asked for; `metric._asdict()` is ready for JSON.

    Raises:
        TypeError: `key` is not a typed key, or `reference` is neither an array nor a law.
        ValueError: x or the reference is not finite, has fewer than 2 samples or the wrong event shape; a name is
            unknown, or its metric does not apply.
    """
    own = key
    x, truth, key = checked(x, reference, key, level)
    names = (metrics,) if isinstance(metrics, str) else metrics
    if names is not None and ALL_BLOCKS in names:
        blocks = [name for name in RAO if _lacks(name, x, truth, features) is None] or [*RAO]
        names = [part for name in names for part in (blocks if name == ALL_BLOCKS else [name])]
    if names is None:
        names = [name for name in UNASKED if _lacks(name, x, truth, features, unasked=True) is None]
    for name in names:
        lacks = _lacks(one_of("metrics", name, (*METRICS, ALL_BLOCKS)), x, truth, features)
        if lacks is not None:
            raise ValueError(f"metrics: {name!r} does not apply here, because it needs {lacks}.")

    run = {
        "sliced_w2": lambda: sliced_w2(x, truth, key, null_sets=null_sets),
        "energy": lambda: energy(x, truth, key, null_sets=null_sets),
        "mmd": lambda: mmd(x, truth, key, null_sets=null_sets),
        "c2st": lambda: c2st(x, truth, own),
        "occupancy": lambda: occupancy(x, truth, key),
        "log_density": lambda: log_density(x, truth, key),
        "frechet": lambda: frechet(x, truth, key, features, null_sets=null_sets),
        "memorization": lambda: memorization(x, truth.samples),
    }
    run |= {name: lambda block=block: block_rao(x, truth, key, blocks=(block,))[block] for name, block in RAO.items()}
    return {name: run[name]() for name in names}


def _lacks(
    name: str, x: Array, truth: Truth, features: Callable[[Array], Any] | None, unasked: bool = False
) -> str | None:
    """What a metric needs and has not got, in words; None where it applies."""
    enough = min(len(x), LEAST if truth.samples is None else len(truth.samples)) >= LEAST
    trained_on = truth.level is None and truth.samples is not None and len(truth.samples) > 2
    needs = {
        "c2st": (enough and x[0].size <= WIDEST, f"4 samples or more on both sides, of at most {WIDEST} numbers each"),
        "occupancy": (truth.has_components, "a law with `responsibilities` and two or more `weights`"),
        "log_density": (truth.has_density, "a law with `log_prob` at this level"),
        "frechet": (features is not None, "`features`"),
        "memorization": (trained_on, "an array of 3 training samples or more, and no `level`"),
    }
    if name in RAO:
        count = parameters(truth)[RAO[name]]
        needs[name] = (count > 0, "a GaussianMixture with such parameters and no singular covariance")
        if unasked and count and (count > min(len(x), MOST_PARAMETERS) or np.min(truth.law.weights) < LEAST_WEIGHT):
            return "fewer parameters and larger weights"
    if name == "c2st" and unasked and find_spec("sklearn") is None:
        return "scikit-learn"
    has, what = needs.get(name, (True, ""))
    return None if has else what
