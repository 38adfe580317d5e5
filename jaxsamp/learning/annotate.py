"""From which noise level on damaged samples may train: by a number, or by their quality."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp import datasets
from jaxsamp.core import checks
from jaxsamp.core.types import Data
from jaxsamp.corruptions import Annotations


def annotate_fixed(data: Data, damaged: Data, sigma_min: Data | float, sigma_max: Data | float = 0.0) -> Annotations:
    """The same levels for all samples with the same damage; clean samples train at every level.

    Args:
        data: samples (n, *event).
        damaged: (n,), whether each is damaged; or integers, 0 for clean and k for damage of kind k.
        sigma_min, sigma_max: as in `jaxsamp.corruptions.Annotations`; one number, or one for each kind.

    Raises:
        ValueError: the arguments do not fit each other, or a level makes no sense.
    """
    x = datasets.as_samples(data)
    kinds = kinds_of(damaged, len(x))
    by_kind = []
    for name, levels in (("sigma_min", sigma_min), ("sigma_max", sigma_max)):
        values = np.asarray(levels, float)
        if values.ndim and values.shape != (kinds.max(),):
            raise ValueError(f"{name} must be one number, or one for each of {kinds.max()} kinds; got {levels!r}.")
        by_kind.append(np.r_[0.0, np.broadcast_to(values, kinds.max())][kinds])
    return Annotations(by_kind[0], by_kind[1], x)


def annotate_percentile(data: Data, quality: Data, sigma_min: float, share: float = 0.8) -> Annotations:
    """The given share of the samples, those of lowest quality, trains above sigma_min, and the others at every level.

    Args:
        data: samples (n, *event).
        quality: (n,), higher is better; of equal ones the first count as lower.
        sigma_min: the level of those of low quality.
        share: in (0, 1).

    Raises:
        ValueError: an argument is out of range, or quality is not (n,).
    """
    x = datasets.as_samples(data)
    scores = _per_sample("quality", quality, len(x))
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1); got {share}.")
    levels = np.zeros(len(x))
    levels[np.argsort(scores, kind="stable")[: round(share * len(x))]] = sigma_min
    return Annotations(levels, data=x)


def annotate_scores(data: Data, scores: Data, table: Mapping[Any, Any] | str | Path) -> Annotations:
    """The level of each sample by a table of its score, such as {90: 0.0, 80: 0.5, 70: 2.0} for confidence in percent.

    Args:
        data: samples (n, *event).
        scores: (n,), higher is better.
        table: {least score: sigma_min}, or a file of that in JSON. A sample has the level of the highest score that
            its own reaches; below all of them it never trains.

    Raises:
        ValueError: the table is empty or cannot be read, or has a higher level for a higher score.
    """
    x = datasets.as_samples(data)
    values = _per_sample("scores", scores, len(x))
    found: Any = table
    if isinstance(table, str | Path):
        try:
            found = json.loads(Path(table).read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"table must be a dict, or a file of one in JSON; got {table} ({error}).") from None
    try:
        steps = np.array(sorted((float(score), float(level)) for score, level in found.items()))
    except (AttributeError, TypeError, ValueError):
        steps = np.zeros(0)
    if not steps.size or np.isnan(steps).any():
        raise ValueError(f"table must be {{least score: sigma_min}}, both numbers; got {table!r}.")
    if (wrong := np.diff(steps[:, 1]) > 0).any():
        first = int(np.argmax(wrong))
        raise ValueError(
            "table must not have a higher sigma_min for a higher score, which is a better one; got "
            f"{steps[first, 1]:g} for {steps[first, 0]:g} and {steps[first + 1, 1]:g} for {steps[first + 1, 0]:g}."
        )
    return Annotations(np.r_[np.inf, steps[:, 1]][np.searchsorted(steps[:, 0], values, side="right")], data=x)


def kinds_of(damaged: Any, n: int) -> np.ndarray:
    """0 for clean samples and 1, 2, ... for kinds of damage, (n,); raises ValueError unless there are both."""
    kinds = np.asarray(damaged)
    if kinds.dtype.kind not in "biu" or kinds.shape != (n,):
        raise ValueError(
            f"damaged must say of each sample whether it is damaged, booleans or integers of shape ({n},); got "
            f"{kinds.dtype} of shape {kinds.shape}."
        )
    kinds = kinds.astype(int)
    counts = np.bincount(kinds) if kinds.min() >= 0 else np.zeros(1)
    if len(counts) < 2 or counts.min() == 0:
        raise ValueError(
            "damaged must have clean samples, False or 0, and damaged ones, True or every number from 1 to the "
            f"largest; got {np.unique(kinds).tolist()}."
        )
    return kinds


def _per_sample(name: str, got: Any, n: int) -> np.ndarray:
    values = checks.finite(name, got)
    if values.shape != (n,):
        raise ValueError(f"{name} must have one number per sample, ({n},); got shape {values.shape}.")
    return values
