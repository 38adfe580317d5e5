"""`jaxsamp sample` and `compare` of a network that has learned from measurements: through which operators."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from jaxsamp import recipes
from jaxsamp.cli.command import clean
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Stages
from jaxsamp.corruptions import Measurements
from jaxsamp.datasets import DataWarning

# How samples were made, in the headline.
OPERATORS = {"fixed": ", each through an operator of its own", "full": ", with nothing hidden", None: ""}


def check_data(command: Any, data: recipes.LearningData) -> float | None:
    """Raise one sentence unless the flags, the data and the network are all of measurements, or all of clean data.

    Returns:
        The rate of the further corruption in training; None for clean data.
    """
    subject = command.subject
    further = None if subject.checkpoint is None else recipes.further_of(subject.checkpoint)
    learned = further is not None
    if learned and data.measured is None:
        clean_ones = " --reference compares with clean data." if hasattr(command, "reference") else ""
        raise BadArgument(
            "--target must be the measurements that the network in --checkpoint has learned from, or be left out; "
            f"{data.name} has none.{clean_ones}"
        )
    if not learned:
        clean(data)
        for name, flag in (("full_mask", "--full-mask"), ("reference", "--reference")):
            if getattr(command, name, None):
                raise BadArgument(f"{flag} is for a network that has learned from measurements, with --checkpoint.")
    if subject.checkpoint is not None and subject.guidance is not None:
        _check_guidance(subject)
    return further


def _check_guidance(subject: Any) -> None:
    """Raise one sentence if the network was never asked without a label."""
    if subject.classes and recipes.dropped_of(subject.checkpoint) == 0:
        raise BadArgument(
            "--guidance needs a network that was trained with some labels dropped, as `jaxsamp train --drop` does; for "
            "this one none were."
        )


def check_law(checkpoint: Path, measured: Measurements, stages: Stages) -> None:
    """Raise one sentence unless the network has learned from such measurements; warn if not by this very law."""
    if not recipes.check_learned(checkpoint, measured):
        sentence = f"The network has learned from measurements by another law of the same kind than {measured.law}."
        stages.warnings.append(DataWarning(sentence))


def through_operators(
    command: Any,
    key: jax.Array,
    data: recipes.LearningData,
    further: float,
    used: Sequence[Any],
    levels: Any,
    stages: Stages,
) -> recipes.SamplingTask:
    """The task of sampling through operators, by the samplers that are used."""
    subject = command.subject
    for sampler in used:
        if sampler.reads_calibration:
            flag = "--sampler" if hasattr(command, "sampler") else "--samplers"
            raise BadArgument(
                f"{flag} must not need a calibration, which is measured on clean data; {type(sampler).__name__} does "
                "with these settings."
            )
    if subject.placed:
        raise BadArgument("--grid must not be calibrated, which is measured on clean data.")
    least = recipes.trained_above(subject.checkpoint)
    if levels[-1] < 0.999 * least:
        sentence = f"The measurements have noise, so the network has not learned noise levels below {least:.3g}; "
        stages.warnings.append(DataWarning(f"{sentence}--sigma-min {least:.3g} leaves as much in the samples."))
    reference = None
    if getattr(command, "reference", None) is not None:
        with stages("reference"):
            reference = clean(recipes.load(command.reference, subject.image_size, subject.image_fit), "--reference")
    options = {"full": getattr(command, "full_mask", False), "label": subject.label, "reference": reference}
    options |= {"further": further, "table": recipes.trained_labels(subject.checkpoint), "guidance": subject.guiding}
    check_law(subject.checkpoint, data.measured, stages)
    task = recipes.measured_task(key, data, subject.network, command.num_samples, **options)
    return recipes.thresholded(task, subject.dynamic_threshold)


def operators_of(command: Any, task: recipes.SamplingTask) -> str | None:
    """How the samples of a task were made: "fixed", "full", or None for samples of clean data."""
    if task.data.measured is None:
        return None
    return "full" if command.full_mask else "fixed"
