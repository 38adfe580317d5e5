"""Clean and damaged data as one set, for annotations: CLEAN+DAMAGED."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxsamp.datasets.files import Stored
from jaxsamp.recipes.parts import LearningData, labelled

PLUS = "+"


def several(data: str) -> list[str]:
    """The names, files and folders of CLEAN+DAMAGED; one if there is no plus, or if a file has it in its name."""
    parts = data.split(PLUS)
    whole = len(parts) == 1 or not all(parts) or Path(data).expanduser().exists()
    return [data] if whole else parts


def joined(clean: LearningData, damaged: Sequence[tuple[str, Stored]]) -> LearningData:
    """The training samples of clean data, then all samples of damaged sets, as one; held out are clean ones alone.

    Args:
        clean: data, not a known law.
        damaged: of each set its name, and its samples with labels as they are in the data and names of files, or None.

    Returns:
        The data with their `kinds`. They have labels if all of them do.

    Raises:
        ValueError: the first ones are no clean data, or another set has samples of another shape.
    """
    if clean.law is not None or clean.measured is not None:
        what = "a known law" if clean.law is not None else "measurements"
        raise ValueError(f"data must be clean samples before the first +; {clean.name} is {what}.")
    stored = [one for _, one in damaged]
    for name, one in damaged:
        if one.samples.shape[1:] != clean.event:
            raise ValueError(
                f"data must have samples of one shape, {clean.event} as in {clean.name}; {name} has "
                f"{one.samples.shape[1:]}."
            )
    sets = [clean.train, *(one.samples for one in stored)]
    parts = {"train": np.concatenate(sets), "kinds": np.repeat(np.arange(len(sets)), [len(x) for x in sets])}
    names = [clean.files, *(one.files for one in stored)]
    parts["files"] = None if any(known is None for known in names) else np.concatenate(names)
    whole = replace(clean, name=PLUS.join([clean.name, *(name for name, _ in damaged)]), **parts)
    labels = [None if clean.labels is None else clean.table[clean.labels], *(one.labels for one in stored)]
    if any(known is None for known in labels):
        return replace(whole, labels=None, held_out_labels=None, table=None)
    return labelled(whole, np.concatenate(labels), clean.table[clean.held_out_labels])
