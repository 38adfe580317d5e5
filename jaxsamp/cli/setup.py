"""What every command that samples takes: a target, how it becomes a law, how noise grows, where to write."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tyro.conf import FlagCreatePairsOff, arg

import jaxsamp as js
from jaxsamp import grids, schedules
from jaxsamp.cli import learned
from jaxsamp.cli.data import PLACES, Source, load
from jaxsamp.cli.errors import BadArgument, check_seed
from jaxsamp.cli.laws import MODELS
from jaxsamp.cli.report import Stages
from jaxsamp.core import checks
from jaxsamp.samplers import by_name

DEFAULT = "digits"
LARGEST = 1024  # samples that a network is calibrated on


def named(what: str, names: Iterable[str]) -> Any:
    """A flag that takes a name out of a list."""
    return arg(metavar="NAME", help=f"{what}: {', '.join(names)}.")


class Problem(NamedTuple):
    """What is sampled.

    Attributes:
        law: the exact law, or None if it is not known.
        denoiser: that of the law, or a network.
        event: shape of one sample of the denoiser.
        cond: labels (n,), or None.
    """

    law: Any
    denoiser: Any
    event: tuple[int, ...]
    cond: Any


@dataclass(frozen=True)
class Setup:
    """The flags that commands share, and what they stand for."""

    target: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"What to sample: {PLACES}",
            help_behavior_hint="(default: digits, or what --checkpoint was trained on)",
        ),
    ] = None
    model: Annotated[str, named("How data become a law", MODELS)] = "mixture"
    components: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 20, fewer for few data)")] = None
    """Size of the mixture fitted to data."""
    checkpoint: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(optional)")] = None
    """Sample the network that `jaxsamp train` has trained in this folder, in the place of a law."""
    label: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: as in the data)")] = None
    """Label to sample, of a network that was trained with labels."""
    guidance: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(default: none, which is 1)")] = None
    """Scale of classifier-free guidance toward the label."""
    image_size: int = 16
    """Height and width that images of a folder or of a set by name are cropped to."""
    schedule: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help=f"How noise grows: {', '.join(schedules.BY_NAME)}.",
            help_behavior_hint="(default: vp, or that of --checkpoint)",
        ),
    ] = None
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

    @cached_property
    def network(self) -> Any:
        """The denoiser that --checkpoint has learned, or None."""
        return None if self.checkpoint is None else learned.network(self.checkpoint)

    @property
    def schedule_used(self) -> schedules.Schedule:
        """The schedule of that name, or that of the network."""
        return schedules.BY_NAME[self.schedule or "vp"] if self.network is None else self.network.schedule

    def check(self) -> None:
        """Raise one sentence for a flag that no data can make right."""
        checks.one_of("--model", self.model, MODELS)
        if self.schedule is not None:
            checks.one_of("--schedule", self.schedule, schedules.BY_NAME)
        checks.one_of("--grid", self.grid, grids.RULES)
        checks.at_least("--image-size", self.image_size, 1)
        for flag, value in (("--components", self.components), ("--microbatch", self.microbatch)):
            if value is not None:
                checks.at_least(flag, value, 1)
        check_seed(self.seed)
        if not self.sigma_min > 0:
            raise BadArgument(f"--sigma-min must be above 0; got {self.sigma_min}.")
        if not self.sigma_min < self.sigma_max or not isfinite(self.sigma_max):
            raise BadArgument(f"--sigma-max must be finite and above {self.sigma_min}; got {self.sigma_max}.")
        self._check_network()

    def levels(self, steps: int) -> np.ndarray:
        """The noise levels that so many steps visit."""
        rule = partial(grids.RULES[self.grid], sigma_max=self.sigma_max, sigma_min=self.sigma_min)
        return np.asarray(rule(self.schedule_used, steps))

    def default_out(self, command: str, suffix: str) -> Path:
        """runs/TARGET and a suffix, without the folders and the ending of a file; or inside the run of a network."""
        if self.checkpoint is not None:
            return self.checkpoint / command
        return Path("runs") / (Path(self.target or DEFAULT).expanduser().resolve().stem + suffix)

    def source(self) -> Source:
        """The data or the law that --target names, or that the network was trained on; of --label alone."""
        target, size = self.target or DEFAULT, self.image_size
        if self.checkpoint is not None and self.target is None:
            target, size = learned.trained_on(self.checkpoint)
        source = load(target, size)
        return source if self.label is None else source.only(self.label)

    def problem(self, key: jax.Array, source: Source, n: int, stages: Stages) -> Problem:
        """What is sampled: a known law, what the data become, or a network, with labels for `n` samples."""
        if self.network is None:
            law = source.law
            if law is None:
                with stages("fit", f"fitting to {len(source.train):,} samples"):
                    law = MODELS[self.model](source.train, self.components, self.seed)
            return Problem(law, law.denoiser(self.schedule_used), law.event_shape, None)
        count, cond = learned.classes(self.network), None
        if self.label is not None:
            cond = jnp.full(n, self.label)
        elif count:
            cond = learned.draw_labels(key, source.labels, count, n)
        learned.check_event(self.network, source.event, cond)
        guided = self.network if self.guidance is None else js.guide(self.network, self.guidance, count)
        return Problem(source.law, guided, source.event, cond)

    def calibrated(
        self, key: jax.Array, problem: Problem, source: Source, samplers: Sequence[str], stages: Stages
    ) -> Problem:
        """The problem, with a network's linear part measured on held-out data where one of the samplers needs it."""
        needed = any(by_name(name).reads_calibration for name in samplers)
        if self.network is None or not needed:
            return problem
        data, cond = source.law if source.held_out is None else source.held_out, None
        with stages("calibrate", "measuring the linear part of the network"):
            if problem.cond is not None:
                n = LARGEST if source.held_out is None else min(LARGEST, len(data))
                cond = problem.cond[jnp.arange(n) % len(problem.cond)]
                if self.label is None and source.held_out_labels is not None:
                    cond = jnp.asarray(source.held_out_labels[:n], jnp.int32)
            found = js.calibrate(
                key, problem.denoiser, data, samples=LARGEST, cond=cond, microbatch=self.microbatch,
                sigma_max=self.sigma_max, sigma_min=self.sigma_min,
            )  # fmt: skip
        return problem._replace(denoiser=problem.denoiser.with_calibration(found))

    def _check_network(self) -> None:
        """What goes with --checkpoint, and what does not."""
        if self.checkpoint is None:
            for flag, value in (("--label", self.label), ("--guidance", self.guidance)):
                if value is not None:
                    raise BadArgument(f"{flag} is for a network that was trained with labels: give its --checkpoint.")
            return
        for flag, given in (
            ("--schedule", self.schedule is not None),
            ("--components", self.components is not None),
            ("--model", self.model != "mixture"),
        ):
            if given:
                raise BadArgument(
                    f"{flag} must be left out with --checkpoint, whose network has its own law and schedule."
                )
        count = learned.classes(self.network)
        for flag, value in (("--label", self.label), ("--guidance", self.guidance)):
            if value is not None and not count:
                raise BadArgument(f"{flag} is for a network that was trained with labels; {self.checkpoint} was not.")
        if self.label is not None and not 0 <= self.label < count:
            raise BadArgument(f"--label must be from 0 to {count - 1}; got {self.label}.")
        if self.guidance is not None and not isfinite(self.guidance):
            raise BadArgument(f"--guidance must be finite; got {self.guidance}.")
