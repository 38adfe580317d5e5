"""What every command that samples takes: a target, how it becomes a law, how noise grows, where to write."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tyro.conf import FlagCreatePairsOff, arg

from jaxsamp import checks, grids, schedules
from jaxsamp.cli.data import Source
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.laws import MODELS
from jaxsamp.cli.report import Stages
from jaxsamp.targets.toys import TOYS


def named(what: str, names: Iterable[str]) -> Any:
    """A flag that takes a name out of a list."""
    return arg(metavar="NAME", help=f"{what}: {', '.join(names)}.")


@dataclass(frozen=True)
class Setup:
    """The flags that commands share, and what they stand for."""

    target: Annotated[
        str,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"What to sample: digits; {', '.join(TOYS)}; a .npy or .npz file; a folder of images.",
        ),
    ] = "digits"
    model: Annotated[str, named("How data become a law", MODELS)] = "mixture"
    components: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 20, fewer for few data)")] = None
    """Size of the mixture fitted to data."""
    image_size: int = 16
    """Height and width that the images of a folder are cropped to."""
    schedule: Annotated[str, named("How noise grows", schedules.BY_NAME)] = "vp"
    grid: Annotated[str, named("How the steps are spaced", grids.RULES)] = "log_snr"
    sigma_max: float = grids.SIGMA_MAX
    """Noise level sigma / alpha to start from."""
    sigma_min: float = grids.SIGMA_MIN
    """Noise level sigma / alpha to end at; that much noise stays in the samples."""
    seed: int = 0
    """Seed of the fit, the samples and the metrics."""
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """At most so many samples at a time, against running out of memory."""
    force: FlagCreatePairsOff[bool] = False
    """Overwrite the results of an earlier run."""
    progress: bool = True
    """Show progress, on a terminal."""

    @property
    def schedule_used(self) -> schedules.Schedule:
        """The schedule of that name."""
        return schedules.BY_NAME[self.schedule]

    def check(self) -> None:
        """Raise one sentence for a flag that no data can make right."""
        checks.one_of("--model", self.model, MODELS)
        checks.one_of("--schedule", self.schedule, schedules.BY_NAME)
        checks.one_of("--grid", self.grid, grids.RULES)
        checks.at_least("--image-size", self.image_size, 1)
        for flag, value in (("--components", self.components), ("--microbatch", self.microbatch)):
            if value is not None:
                checks.at_least(flag, value, 1)
        if not 0 <= self.seed < 2**32:
            raise BadArgument(f"--seed must be at least 0 and below 2^32; got {self.seed}.")
        if not self.sigma_min > 0:
            raise BadArgument(f"--sigma-min must be above 0; got {self.sigma_min}.")
        if not self.sigma_min < self.sigma_max or not isfinite(self.sigma_max):
            raise BadArgument(f"--sigma-max must be finite and above {self.sigma_min}; got {self.sigma_max}.")

    def levels(self, steps: int) -> np.ndarray:
        """The noise levels that so many steps visit."""
        rule = partial(grids.RULES[self.grid], sigma_max=self.sigma_max, sigma_min=self.sigma_min)
        return np.asarray(rule(self.schedule_used, steps))

    def default_out(self, suffix: str) -> Path:
        """runs/TARGET, without the folders and the ending of a file."""
        return Path("runs") / (Path(self.target).expanduser().resolve().stem + suffix)

    def law(self, source: Source, stages: Stages) -> Any:
        """The law to sample: a known one, or what the data become."""
        if source.law is not None:
            return source.law
        with stages("fit", f"fitting to {len(source.train):,} samples"):
            return MODELS[self.model](source.train, self.components, self.seed)
