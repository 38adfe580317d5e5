"""Clean and damaged data as one set, for annotations: CLEAN+DAMAGED."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp.recipes.parts import LearningData, labelled

PLUS = "+"


def several(data: str) -> list[str]:
    """The names, files and folders of CLEAN+DAMAGED; one if there is no plus, or if a file has it in its name."""
    parts = data.split(PLUS)
    whole = len(parts) == 1 or not all(parts) or Path(data).expanduser().exists()
    return [data] if whole else parts


def joined(clean: LearningData, damaged: Sequence[tuple[str, np.ndarray, Any]]) -> LearningData:
    """The training samples of clean data, then all samples of damaged sets, as one; held out are clean ones alone.

    Args:
        clean: data, not a known law.
        damaged: of each set its name, samples (n, *event), and labels as they are in the data, or None.

    Returns:
        The data with their `kinds`. They have labels if all of them do.

    Raises:
        ValueError: the first ones are no clean data, or another set has samples of another shape.
    """
    if clean.law is not None or clean.measured is not None:
        what = "a known law" if clean.law is not None else "measurements"
        raise ValueError(f"data must be clean samples before the first +; {clean.name} is {what}.")
    for name, x, _ in damaged:
        if x.shape[1:] != clean.event:
            raise ValueError(
                f"data must have samples of one shape, {clean.event} as in {clean.name}; {name} has {x.shape[1:]}."
            )
    sets = [clean.train, *(x for _, x, _ in damaged)]
    parts = {"train": np.concatenate(sets), "kinds": np.repeat(np.arange(len(sets)), [len(x) for x in sets])}
    whole = replace(clean, name=PLUS.join([clean.name, *(name for name, *_ in damaged)]), **parts)
    labels = [None if clean.labels is None else clean.table[clean.labels], *(known for *_, known in damaged)]
    if any(known is None for known in labels):
        return replace(whole, labels=None, held_out_labels=None, table=None)
    return labelled(whole, np.concatenate(labels), clean.table[clean.held_out_labels])
