"""The flags that say what a network learns, and how its weights move."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import arg

from jaxsamp import losses, schedules
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.setup import named
from jaxsamp.core import checks
from jaxsamp.plots import is_image

PREDICTS = ("edm", "x0", "epsilon", "v", "score", "velocity")
LEVELS = ("log-normal", "uniform-time", "uniform-log-snr")
WEIGHTINGS = ("edm", "unit", "snr", "min-snr", "none")
# Of log(sigma / alpha), for data of standard deviation 0.5. EDM's mean is -1.2; -0.5 gives digits of lower Frechet
# distance (1.6 in the place of 1.9).
MEAN_OF_IMAGES, MEAN, STD, SCALE = -0.5, -1.2, 1.2, 0.5


@dataclass(frozen=True)
class Objective:
    """The denoising loss."""

    schedule: Annotated[str, named("How noise grows", schedules.BY_NAME)] = "edm"
    predicts: Annotated[str, named("What the network predicts", PREDICTS)] = "edm"
    levels: Annotated[str, named("Which noise levels it is trained at", LEVELS)] = "log-normal"
    level_mean: Annotated[
        float | None,
        arg(
            metavar="FLOAT",
            help_behavior_hint="(default: -0.5 for images, else -1.2, for data of standard deviation 0.5)",
        ),
    ] = None
    """Mean of log(sigma / alpha) of log-normal levels."""
    level_std: float = STD
    """Standard deviation of the same."""
    weighting: Annotated[str, named("How much the error at a level counts", WEIGHTINGS)] = "edm"
    drop: float = 0.1
    """Share of the labels that are dropped, for guidance."""

    def check(self) -> None:
        """Raise one sentence for a flag that no data can make right."""
        checks.one_of("--schedule", self.schedule, schedules.BY_NAME)
        checks.one_of("--predicts", self.predicts, PREDICTS)
        checks.one_of("--levels", self.levels, LEVELS)
        checks.one_of("--weighting", self.weighting, WEIGHTINGS)
        if self.level_mean is not None and not math.isfinite(self.level_mean):
            raise BadArgument(f"--level-mean must be finite; got {self.level_mean}.")
        if not 0 < self.level_std < math.inf:
            raise BadArgument(f"--level-std must be finite and above 0; got {self.level_std}.")
        if not 0 <= self.drop < 1:
            raise BadArgument(f"--drop must be in [0, 1); got {self.drop}.")

    def model(self, network: Any, std: float) -> Any:
        """The network with its schedule, for data of that standard deviation."""
        from jaxsamp.models import Model

        return Model(network, schedules.BY_NAME[self.schedule], self.predicts, std)

    def loss(self, std: float, event: tuple[int, ...], labels: bool) -> Any:
        """What `fit` descends, for data of that standard deviation and shape."""
        from jaxsamp.training import denoising_loss

        mean = (MEAN_OF_IMAGES if is_image(event) else MEAN) + math.log(std / SCALE)
        mean = mean if self.level_mean is None else self.level_mean
        levels: dict[str, losses.NoiseLevelDistribution] = {
            "log-normal": losses.LogNormal(mean, self.level_std),
            "uniform-time": losses.UniformTime(),
            "uniform-log-snr": losses.UniformLogSNR(),
        }
        weightings: dict[str, losses.Weighting | None] = {
            "edm": losses.EDMWeighting(std),
            "unit": losses.UnitWeighting(),
            "snr": losses.SNRWeighting(),
            "min-snr": losses.MinSNRWeighting(),
            "none": None,
        }
        return denoising_loss(levels[self.levels], weightings[self.weighting], self.drop if labels else 0.0)


@dataclass(frozen=True)
class Optimizer:
    """How weights move."""

    batch_size: int = 128
    """Samples of one update."""
    accumulate: int = 1
    """Parts that a batch is split into, against running out of memory."""
    learning_rate: float = 1e-3
    """The highest rate."""
    warmup: float = 0.05
    """Share of the steps over which the rate rises; then it falls along a cosine."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    weight_decay: float = 0.0
    """Weight decay, per step and unit of rate."""
    ema: float = 0.9999
    """Largest decay of the average of the weights, which is what is sampled."""

    def check(self) -> None:
        """Raise one sentence for a flag that no data can make right."""
        for flag, value in (("--batch-size", self.batch_size), ("--accumulate", self.accumulate)):
            checks.at_least(flag, value, 1)
        if self.batch_size % self.accumulate:
            raise BadArgument(
                f"--batch-size must be divisible by --accumulate = {self.accumulate}; got {self.batch_size}."
            )
        for flag, value in (("--learning-rate", self.learning_rate), ("--clip", self.clip)):
            if not value > 0:
                raise BadArgument(f"{flag} must be above 0; got {value}.")
        for flag, value in (("--warmup", self.warmup), ("--ema", self.ema)):
            if not 0 <= value < 1:
                raise BadArgument(f"{flag} must be in [0, 1); got {value}.")
        if not self.weight_decay >= 0:
            raise BadArgument(f"--weight-decay must be at least 0; got {self.weight_decay}.")

    def build(self) -> Any:
        """The `AdamW` of these settings."""
        from jaxsamp.training import AdamW

        return AdamW(self.learning_rate, self.warmup, clip=self.clip, weight_decay=self.weight_decay)
