"""The flags that say what is sampled (a target and how it becomes a law, or a network) and how noise grows."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from tyro.conf import arg

from jaxsamp import grids, recipes, samplers, schedules
from jaxsamp.cli.command import named, truth
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Stages
from jaxsamp.cli.words import ImageSize
from jaxsamp.datasets.images import FITS
from jaxsamp.recipes.data import PLACES
from jaxsamp.recipes.laws import MODELS
from jaxsamp.recipes.pretrained import stem_of
from jaxsamp.recipes.sampling import GRIDS
from jaxsamp.recipes.tasks import classes_of, schedule_of

# The settings of guidance and clipping as the library's errors call them, and their flags.
GUIDED = {"interval": "--guidance-interval", "rescale": "--guidance-rescale", "percentile": "--dynamic-threshold"}


@dataclass(frozen=True)
class Subject:
    """What is sampled, and between which noise levels."""

    target: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"What to sample: {PLACES}",
            help_behavior_hint="(default: digits, what --checkpoint was trained on, or none with --pretrained)",
        ),
    ] = None
    model: Annotated[str, named("How data become a law", MODELS)] = "mixture"
    components: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 20, fewer for few data)")] = None
    """Size of the mixture fitted to data."""
    checkpoint: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(optional)")] = None
    """Sample the network that `jaxsamp train` has trained in this folder, instead of a law."""
    pretrained: Annotated[str | None, arg(metavar="FOLDER|hf:REPO", help_behavior_hint="(optional)")] = None
    """Sample a network that diffusers has saved: the folder of a pipeline, or a repository on the Hugging Face hub."""
    label: Annotated[str | None, arg(metavar="INT|NAME", help_behavior_hint="(default: as in the data)")] = None
    """Label to sample, as it is in the data, for a network that was trained with labels."""
    guidance: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(default: none, which is 1)")] = None
    """Scale of classifier-free guidance toward the label."""
    guidance_interval: Annotated[tuple[float, ...], arg(metavar="LOW HIGH", help_behavior_hint="(default: all)")] = ()
    """Noise levels sigma / alpha between which guidance is on."""
    guidance_rescale: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(default: none, 0)")] = None
    """From 0 to 1, how far guidance leaves the spread of the numbers of a sample as it is without."""
    dynamic_threshold: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(optional)")] = None
    """Percentile, such as 99.5, of the dynamic thresholding of a network's images to [-1, 1]."""
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    schedule: Annotated[
        str | None, named("How noise grows", schedules.BY_NAME, "(default: vp, or that of the network)")
    ] = None
    grid: Annotated[str, named("How the steps are spaced", GRIDS)] = "log_snr"
    sigma_max: float = grids.SIGMA_MAX
    """Noise level sigma / alpha at the start."""
    sigma_min: float = grids.SIGMA_MIN
    """Noise level sigma / alpha at the end; this noise stays in the samples."""
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Largest number of samples at a time, to limit memory."""

    @cached_property
    def _pretrained(self) -> tuple[Any, Any]:
        """The denoiser of --pretrained, and the decoder of its latents or None."""
        return (None, None) if self.pretrained is None else recipes.pretrained_denoiser(self.pretrained)

    @cached_property
    def network(self) -> Any:
        """The learned denoiser in --checkpoint or of --pretrained, or None."""
        return self._pretrained[0] if self.checkpoint is None else recipes.learned_denoiser(self.checkpoint)

    @property
    def decoder(self) -> Any:
        """What makes images of the samples of --pretrained if these are latents, or None."""
        return self._pretrained[1]

    @property
    def classes(self) -> int:
        """The number of labels of the network."""
        return classes_of(self.network)

    @property
    def span(self) -> dict[str, float]:
        """The first and the last noise level."""
        return {"sigma_max": self.sigma_max, "sigma_min": self.sigma_min}

    def check(self) -> None:
        """Raise one sentence for flags that do not go together."""
        learned = {"label": self.label, "guidance": self.guidance}
        for name in ("guidance_interval", "guidance_rescale"):
            if getattr(self, name) not in (None, ()) and self.guidance is None:
                raise BadArgument(f"--{name.replace('_', '-')} needs --guidance, whose scale it changes.")
        exact = {"schedule": self.schedule, "components": self.components}
        exact |= {"model": None if self.model == "mixture" else self.model}
        given = [name for name in ("checkpoint", "pretrained") if getattr(self, name) is not None]
        if len(given) > 1:
            raise BadArgument("one of --checkpoint and --pretrained must say which network, not both.")
        for name, value in (exact if given else learned).items():
            if value is not None and not given:
                raise BadArgument(
                    f"--{name} is for a network trained with labels, so --checkpoint or --pretrained is needed too."
                )
            if value is not None:
                raise BadArgument(f"--{name} must be left out with --{given[0]}, which has its own law and schedule.")
        if self.dynamic_threshold is not None and not given:
            raise BadArgument(
                "--dynamic-threshold is for a learned network, so --checkpoint or --pretrained is needed too."
            )
        if self.decoder is not None and self.dynamic_threshold is not None:
            raise BadArgument("--dynamic-threshold must be left out with --pretrained of a pipeline of latents.")
        if self.decoder is not None and self.target is not None:
            raise BadArgument("--target must be left out with --pretrained of a pipeline whose samples are latents.")

    @property
    def guiding(self) -> recipes.Guidance | None:
        """The settings of guidance, if there is one."""
        if self.guidance is None:
            return None
        return recipes.Guidance(self.guidance, self.guidance_interval or None, self.guidance_rescale)

    def levels(self, steps: int, denoiser: Any = None, sampler: Any = samplers.UniPC()) -> np.ndarray:  # noqa: B008
        """The noise levels of a run of `steps` steps; those of --grid calibrated are even until a denoiser is given."""
        schedule = schedule_of(self.schedule or "vp") if self.network is None else self.network.schedule
        grid = "log_snr" if self.placed and denoiser is None else self.grid
        return recipes.noise_levels(schedule, steps, grid, **self.span, denoiser=denoiser, sampler=sampler)

    @property
    def placed(self) -> bool:
        """Whether the levels are measured."""
        return self.grid == "calibrated"

    def default_out(self, command: str, suffix: str) -> Path:
        """runs/STEM and a suffix, STEM being --target or --pretrained without folders; or a folder in --checkpoint."""
        if self.checkpoint is not None:
            return self.checkpoint / command
        if self.pretrained is not None:
            return Path("runs") / (stem_of(self.pretrained) + suffix)
        return Path("runs") / (Path(self.target or "digits").expanduser().resolve().stem + suffix)

    def load(self) -> recipes.LearningData:
        """The data or the law that --target names, or that the network was trained on; of --pretrained its shape."""
        if self.pretrained is not None and self.target is None:
            return recipes.pretrained_data(self.pretrained, self.network)
        return truth(self.target, self.checkpoint, self.image_size, self.image_fit)

    def _table(self) -> Any:
        """The labels of the network in --checkpoint as they are in its data, in the order of its numbers."""
        table = None if self.checkpoint is None else recipes.trained_labels(self.checkpoint)
        return np.arange(self.classes) if table is None else table

    def task(
        self,
        keys: tuple[jax.Array, jax.Array],
        data: recipes.LearningData,
        n: int,
        seed: int,
        used: Sequence[samplers.Sampler],
        stages: Stages,
    ) -> recipes.SamplingTask:
        """The task: a known law, the law that data become, or a network, calibrated if a sampler needs it."""
        if self.network is None:
            fitted = stages("fit", f"fitting to {len(data.train):,} samples") if data.law is None else nullcontext()
            with fitted:
                return recipes.exact_task(data, self.schedule or "vp", self.model, self.components, seed)
        table = self._table()
        task = recipes.learned_task(keys[0], data, self.network, n, self.label, self.guiding, table)
        task = recipes.thresholded(task, self.dynamic_threshold)
        if not self.placed and not any(sampler.reads_calibration for sampler in used):
            return task
        with stages("calibrate", "measuring the linear part of the network"):
            options: dict[str, Any] = {**self.span, "microbatch": self.microbatch, "grid": self.placed}
            return recipes.calibrated(keys[1], task, used, **options)

    def followed(self, task: recipes.SamplingTask, sampler: samplers.Sampler) -> samplers.Sampler:
        """The sampler, with the draft of --checkpoint as its surrogate if a trial has kept it."""
        return sampler if self.checkpoint is None else recipes.follow_draft(task, sampler, self.checkpoint)
