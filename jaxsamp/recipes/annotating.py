"""Annotations of clean and damaged data: by each of the annotators of `jaxsamp.learning`, and their histogram."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxsamp import learning
from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.corruptions import Annotations
from jaxsamp.recipes.networks import network_for
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.tasks import schedule_of

# Per annotator its settings, and those of them that have no default.
ANNOTATORS = {
    "gaussian": (("eps",), ()),
    "classifier": (("eps", "per_sample", "steps"), ()),
    "fixed": (("sigma_min", "sigma_max"), ("sigma_min",)),
    "percentile": (("scores", "sigma_min", "share"), ("scores", "sigma_min")),
    "scores": (("scores", "table"), ("scores", "table")),
    "held-out": (("sigma_min", "steps"), ("sigma_min",)),
    "crops": (("sigma_min", "least", "steps"), ()),
}
BINS = 12  # rows of a histogram of levels that are all different
CROPPED = np.geomspace(0.02, 2, 12)  # levels of "crops", in standard deviations of the clean samples


def annotated(
    key: Array, data: LearningData, annotator: str = "gaussian", progress: bool = False, **settings: Any
) -> Annotations:
    """At which noise levels each training sample of clean and damaged data may train.

    Args:
        key: a typed key; for "classifier", "held-out" and "crops".
        data: clean and damaged data, see `load`; each damaged set is a kind of damage.
        annotator: "gaussian", "classifier", "fixed", "percentile", "scores", "held-out" or "crops": the function of
            `jaxsamp.learning` of that name. "percentile" and "scores" rate damaged samples alone; "crops" finds
            `sigma_max`, with the context of the clean images at 12 levels from 0.02 to 2 times their standard
            deviation, and takes `sigma_min` as "fixed" does, by default infinity.
        progress: show a progress bar while a classifier or a network trains.
        settings: arguments of that function, and `steps` of `jaxsamp.learning.fit_classifier`; `scores` are those of
            the damaged samples, of all sets one after the other, for "percentile" too.

    Raises:
        ValueError: a setting is missing, is not one of this annotator, or does not fit the data.
    """
    check_settings(annotator, settings)
    if data.kinds is None:
        raise ValueError(f"data must be clean and damaged samples, CLEAN+DAMAGED; got {data.name} alone.")
    x, kinds = data.train, data.kinds
    if annotator == "held-out":
        return compared_levels(key, data, progress, **settings).annotations
    if annotator == "gaussian":
        return learning.annotate_gaussian(x, kinds, **settings)
    if annotator == "fixed":
        return learning.annotate_fixed(x, kinds, **{name: _by_kind(value) for name, value in settings.items()})
    if annotator == "crops":
        high = learning.annotate_fixed(x, kinds, _by_kind(settings.pop("sigma_min", (math.inf,)))).sigma_min
        clean = x[kinds == 0]
        context = learning.measure_context(clean, CROPPED * np.std(clean - clean.mean(0)))
        return learning.annotate_crops(key, x, kinds > 0, context, high, progress=progress, **settings)
    if annotator == "classifier":
        for_fit, for_levels = jax.random.split(key)
        steps = {name: settings.pop(name) for name in ("steps",) if name in settings}
        classifier = learning.fit_classifier(for_fit, x, kinds > 0, **steps, progress=progress)
        return learning.annotate_classifier(for_levels, classifier, x, kinds > 0, **settings)
    if annotator == "percentile":
        quality, level, more = settings.pop("scores"), settings.pop("sigma_min"), settings
        if len(level) != 1:
            raise ValueError(f"sigma_min must be one number for percentile; got {len(level)}.")
        found = learning.annotate_percentile(x[kinds > 0], quality, level[0], **more)
    else:
        found = learning.annotate_scores(x[kinds > 0], **settings)
    return Annotations(np.concatenate([np.zeros(int((kinds == 0).sum())), found.sigma_min]), data=x)


def _by_kind(levels: Sequence[float]) -> float | list[float]:
    """One level for all kinds of damage, or a list of one for each."""
    return levels[0] if len(levels) == 1 else list(levels)


def compared_levels(
    key: Array, data: LearningData, progress: bool = False, *, sigma_min: Sequence[float], **settings: Any
) -> learning.HeldOut:
    """Levels compared by `jaxsamp.learning.annotate_held_out`, with the network that `jaxsamp train` has by default.

    Args:
        key, data: as for `annotated`.
        progress: show a progress bar for each level.
        sigma_min: the levels.
        settings: others of `annotate_held_out`.

    Raises:
        ValueError: as `annotated`.
    """
    if data.kinds is None:
        raise ValueError(f"data must be clean and damaged samples, CLEAN+DAMAGED; got {data.name} alone.")
    network, schedule = network_for(data.event, 0), schedule_of("edm")
    given = {"sigma_min": np.asarray(sigma_min, float), "progress": progress, **settings}
    return learning.annotate_held_out(key, network, data.train, data.kinds > 0, schedule, **given)


def check_settings(annotator: str, settings: dict[str, Any]) -> None:
    """Raise ValueError unless an annotator takes these settings, and needs no others."""
    own, needed = ANNOTATORS[checks.one_of("annotator", annotator, ANNOTATORS)]
    for name in settings:
        if name not in own:
            raise ValueError(f"{name} is not a setting of annotator {annotator}, which takes {', '.join(own)}.")
    for name in needed:
        if name not in settings:
            raise ValueError(f"{name} must be given for annotator {annotator}.")


def levels_histogram(sigma_min: np.ndarray) -> list[dict[str, Any]]:
    """How many samples train above which level: rows with "low", "high" and "count", in increasing order.

    Both ends are 0 for clean samples and None for those that never train at high noise. Of `sigma_max` above 0 they
    say how many train as clean up to which level. Up to 12 different levels have
    a row each; more are counted between 12 levels at equal ratios, from `low` on and below `high`.
    """
    rows = [{"low": 0.0, "high": 0.0, "count": int((sigma_min == 0).sum())}]
    middle = sigma_min[(sigma_min > 0) & np.isfinite(sigma_min)]
    values, counts = np.unique(middle, return_counts=True)
    ends = values, values
    if len(values) > BINS:
        edges = np.geomspace(values[0], values[-1], BINS + 1)
        edges[[0, -1]] = values[0], math.nextafter(values[-1], math.inf)
        counts, ends = np.histogram(middle, edges)[0], (edges[:-1], edges[1:])
    rows += [{"low": float(a), "high": float(b), "count": int(c)} for a, b, c in zip(*ends, counts, strict=True)]
    rows.append({"low": None, "high": None, "count": int(np.isinf(sigma_min).sum())})
    return [row for row in rows if row["count"] or row["low"] not in (0.0, None)]
