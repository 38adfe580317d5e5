"""The front door of the metrics."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxsamp.checks import one_of
from jaxsamp.metrics.energy import energy
from jaxsamp.metrics.frechet import frechet
from jaxsamp.metrics.known_law import log_density, occupancy
from jaxsamp.metrics.memorisation import memorisation
from jaxsamp.metrics.null import Metric
from jaxsamp.metrics.sliced_w2 import sliced_w2
from jaxsamp.metrics.truth import Truth, checked
from jaxsamp.types import Array, Level

METRICS = ("sliced_w2", "energy", "occupancy", "log_density", "frechet", "memorisation")


def evaluate(
    x: Float[Array | np.ndarray, "n *event"],
    reference: Any,
    key: Array,
    features: Callable[[Array], Any] | None = None,
    metrics: Sequence[str] | None = None,
    level: Level | None = None,
) -> dict[str, Metric]:
    """Compare samples with the truth: every number comes with the band where true samples fall.

    ============  ==========================================  ===================================================
    name          applies to                                  sees
    ============  ==========================================  ===================================================
    sliced_w2     any reference                               shifts, scales, lost modes
    energy        any reference                               the same; more sensitive to weights of modes
    occupancy     a law with `weights`, `responsibilities`    lost or overweighted modes
    log_density   a law with `log_prob`                       noise left over, wrong scale
    frechet       any reference, if `features` are given      means and covariances of the features
    memorisation  an array (the training set), no `level`     copied training points
    ============  ==========================================  ===================================================

    True samples are inside each band 99 times in 100: of many metrics, one may be outside by chance.

    Args:
        x: samples, (n, *event), n >= 2; NumPy or JAX.
        reference: an array of true clean samples, (m, *event), or a law: `sample(key, n)`,
            `log_prob(x, level=None)` and, for mixtures, `weights` and `responsibilities(x, level=None)`.
        key: a typed key. The key that drew the samples may be used again: what is drawn here is independent of it.
        features: (n, *event) -> (n, F) for "frechet".
        metrics: names from the table; None for all that apply.
        level: the noise level of x, with scalar alpha and sigma: the truth is then the law of alpha x_0 + sigma z.
            None for clean samples.

    Returns:
        `Metric`s by name, in the order asked for; `metric._asdict()` is ready for JSON.

    Raises:
        TypeError: `key` is not a typed key, or `reference` is neither an array nor a law.
        ValueError: x or the reference is not finite, has fewer than 2 samples or the wrong event shape; a name is
            unknown, or its metric does not apply.
    """
    x, truth = checked(x, reference, key, level)
    names = (metrics,) if isinstance(metrics, str) else metrics
    if names is None:
        names = [name for name in METRICS if _lacks(name, truth, features) is None]
    for name in names:
        lacks = _lacks(one_of("metrics", name, METRICS), truth, features)
        if lacks is not None:
            raise ValueError(f"metrics: {name!r} does not apply here, because it needs {lacks}.")

    run = {
        "sliced_w2": lambda: sliced_w2(x, truth, key),
        "energy": lambda: energy(x, truth, key),
        "occupancy": lambda: occupancy(x, truth, key),
        "log_density": lambda: log_density(x, truth, key),
        "frechet": lambda: frechet(x, truth, key, features),
        "memorisation": lambda: memorisation(x, truth.samples),
    }
    return {name: run[name]() for name in names}


def _lacks(name: str, truth: Truth, features: Callable[[Array], Any] | None) -> str | None:
    """What a metric needs and has not got, in words; None where it applies."""
    trained_on = truth.level is None and truth.samples is not None and len(truth.samples) > 2
    needs = {
        "occupancy": (truth.has_components, "a law with `responsibilities` and two or more `weights`"),
        "log_density": (truth.has_density, "a law with `log_prob` at this level"),
        "frechet": (features is not None, "`features`"),
        "memorisation": (trained_on, "an array of 3 training samples or more, and no `level`"),
    }
    has, what = needs.get(name, (True, ""))
    return None if has else what
