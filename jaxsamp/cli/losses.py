"""Which loss `jaxsamp train` minimizes: that of clean samples, of measurements, or of annotated samples."""

from typing import Any

from jaxsamp import losses, recipes, training
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.settings import value_of
from jaxsamp.core import checks
from jaxsamp.corruptions import Annotations

DROP = 0.1  # fraction of the labels
LEVELS = {
    "log-normal": losses.LogNormal(),
    "uniform-time": losses.UniformTime(),
    "uniform-log-snr": losses.UniformLogSNR(),
}
WEIGHTINGS = {
    "edm": "edm",
    "unit": losses.UnitWeighting(),
    "snr": losses.SNRWeighting(),
    "min-snr": losses.MinSNRWeighting(),
    "none": None,
}


def check_loss(command: Any) -> None:
    """Raise one sentence if a flag of the loss is wrong whatever the data."""
    for name, known in (("levels", LEVELS), ("weighting", WEIGHTINGS)):
        checks.one_of(name, getattr(command, name), known)
    settings = value_of(command, "levels"), value_of(command, "weighting")
    training.denoising_loss(*settings, command.drop)
    if command.further is not None:
        training.ambient_loss(command.further)
    if command.annotations is not None:
        Annotations.load(command.annotations.expanduser())


def loss_for(command: Any, data: recipes.LearningData) -> tuple[Any, Any]:
    """The loss for the data, and their annotations or None.

    Raises:
        BadArgument: a flag does not go with the data.
        ValueError: the annotations are those of other data.
    """
    levels, weighting = value_of(command, "levels"), value_of(command, "weighting")
    for flag, given in (("--further", command.further is not None), ("--gsure", command.gsure)):
        if data.measured is None and given:
            raise BadArgument(
                f"{flag} is for measurements, which `jaxsamp corrupt` writes; {data.name} has clean samples."
            )
    if command.annotations is not None:
        if data.train is None:
            what = "measurements" if data.law is None else "samples of a known law"
            raise BadArgument(f"--annotations is for clean and damaged samples; {data.name} has {what}.")
        files = None if data.files is None else data.files.tolist()
        annotations = Annotations.load(command.annotations.expanduser(), data.train, files)
        return training.omni_loss(levels, weighting, command.drop), annotations
    if data.kinds is not None:
        raise BadArgument(
            "--annotations must be given for clean and damaged samples, as `jaxsamp annotate` writes them, or the "
            "damaged ones would be learned as they are; put all samples into one file for that."
        )
    if data.measured is None:
        return training.denoising_loss(levels, weighting, command.drop), None
    if command.gsure and not data.measured.law.noise:
        raise BadArgument(
            f"--gsure is for measurements with noise, as `jaxsamp corrupt --noise` makes them; those of {data.name} "
            "have none, so that it would train the same at twice the cost."
        )
    if weighting is None:
        raise BadArgument("--weighting must not be none for measurements, whose loss is an error of x_0.")
    options = {"levels": levels, "weighting": weighting, "gsure": command.gsure}
    options |= {} if command.further is None else {"further": command.further}
    options |= {"drop": command.drop} if command.labels else {}
    return training.ambient_loss(**options), None
