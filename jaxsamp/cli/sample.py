"""`jaxsamp sample`: draw samples by an exact score and test that their law is right."""

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from tyro.conf import FlagCreatePairsOff, arg

import jaxsamp as js
from jaxsamp import checks, grids, plots, samplers, schedules
from jaxsamp.cli import data, output, report
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.laws import MODELS
from jaxsamp.cli.picture import beside_truth
from jaxsamp.targets.toys import TOYS

FILES = ("samples.npz", "samples.png", "report.json")


def _named(what: str, names: Iterable[str]) -> Any:
    return arg(metavar="NAME", help=f"{what}: {', '.join(names)}.")


@dataclass(frozen=True)
class Sample:
    """Draw samples by an exact score, and test that their law is right.

    Without arguments: fits a mixture of Gaussians to scikit-learn's handwritten digits, draws new digits, and writes
    them, a picture of them beside real ones, and a report to runs/digits.
    """

    target: Annotated[
        str,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"What to sample: digits; {', '.join(TOYS)}; a .npy or .npz file; a folder of images.",
        ),
    ] = "digits"
    model: Annotated[str, _named("How data become a law", MODELS)] = "mixture"
    components: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 20, fewer for few data)")] = None
    """Size of the mixture fitted to data."""
    image_size: int = 16
    """Height and width that the images of a folder are cropped to."""
    sampler: Annotated[str, _named("How to step", samplers.BY_NAME)] = "unipc"
    steps: int = 32
    """Number of steps."""
    schedule: Annotated[str, _named("How noise grows", schedules.BY_NAME)] = "vp"
    grid: Annotated[str, _named("How the steps are spaced", grids.RULES)] = "log_snr"
    sigma_max: float = grids.SIGMA_MAX
    """Noise level sigma / alpha to start from."""
    sigma_min: float = grids.SIGMA_MIN
    """Noise level sigma / alpha to end at; that much noise stays in the samples."""
    num_samples: int = 2000
    """Number of samples."""
    seed: int = 0
    """Seed of the fit, the samples and the metrics."""
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """At most so many samples at a time, against running out of memory."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: runs/TARGET)")] = None
    """Where to write."""
    force: FlagCreatePairsOff[bool] = False
    """Overwrite the results of an earlier run."""
    metrics: bool = True
    """Compare the samples with the law, and with held-out data."""
    progress: bool = True
    """Show progress, on a terminal."""

    def run(self) -> None:
        """Fit, sample, test, draw, write and print."""
        watched = self.progress and sys.stdout.isatty()
        stages = report.Stages(watched)
        with complaints():
            out, levels = self._checked()
            with stages("load"):
                source = data.load(self.target, self.image_size)
        with output.folder(out, FILES, self.force) as folder:
            with complaints():
                law = source.law
                if law is None:
                    with stages("fit", f"fitting to {len(source.train):,} samples"):
                        law = MODELS[self.model](source.train, self.components, self.seed)
                keys = jax.random.split(jax.random.key(self.seed), 4)
                with stages("sample"):
                    x, costs = self._draw(keys[0], law, levels, watched)
            x, last, found = x.reshape(-1, *source.event), js.Level(1.0, float(levels[-1])), {}
            if self.metrics:
                with stages("metrics", "comparing with the truth"):
                    found["law"] = report.against_law(x, law, keys[1], last)
                    if source.train is not None:
                        found["data"] = report.against_data(x, source, keys[2])
            with stages("picture"):
                title = f"{source.name}: {len(x):,} samples by {self.sampler} in {self.steps} steps"
                plots.save(beside_truth(x, source, law, last, keys[3], title), folder / "samples.png")
            facts = {"target": source.name, "settings": asdict(self), "noise_levels": [float(levels[0]), last.sigma]}
            facts |= {**costs, "metrics": found, "seconds": stages.seconds, **report.about(law, source), "files": FILES}
            np.savez(folder / "samples.npz", samples=x, grid=levels, seed=self.seed)
            report.write_json(facts, folder / "report.json")
        headline = (
            f"{self.num_samples:,} samples by {self.sampler} in {self.steps} steps, {costs['evaluations']} evaluations "
            f"and {costs['rounds']} rounds each"
        )
        report.show(source.name, headline, facts, out)

    def _checked(self) -> tuple[Path, np.ndarray]:
        """Check every flag that can be checked without data; the folder to write and the levels to visit."""
        checks.one_of("--model", self.model, MODELS)
        checks.one_of("--sampler", self.sampler, samplers.BY_NAME)
        checks.one_of("--schedule", self.schedule, schedules.BY_NAME)
        checks.one_of("--grid", self.grid, grids.RULES)
        checks.at_least("--steps", self.steps, 1)
        checks.at_least("--image-size", self.image_size, 1)
        # One sample can be drawn; to compare it with anything takes two.
        checks.at_least("--num-samples", self.num_samples, 2 if self.metrics else 1)
        for flag, value in (("--components", self.components), ("--microbatch", self.microbatch)):
            if value is not None:
                checks.at_least(flag, value, 1)
        if not 0 <= self.seed < 2**32:
            raise BadArgument(f"--seed must be at least 0 and below 2^32; got {self.seed}.")
        if not self.sigma_min > 0:
            raise BadArgument(f"--sigma-min must be above 0; got {self.sigma_min}.")
        if not self.sigma_min < self.sigma_max or not isfinite(self.sigma_max):
            raise BadArgument(f"--sigma-max must be finite and above {self.sigma_min}; got {self.sigma_max}.")
        rule = partial(grids.RULES[self.grid], sigma_max=self.sigma_max, sigma_min=self.sigma_min)
        levels = np.asarray(rule(schedules.BY_NAME[self.schedule], self.steps))
        out = self.out or Path("runs") / Path(self.target).expanduser().resolve().stem
        output.check_free(out, FILES, self.force)
        return out, levels

    def _draw(self, key: jax.Array, law: Any, levels: np.ndarray, watched: bool) -> tuple[np.ndarray, dict[str, int]]:
        """Samples at the last level in the scale of the data, x_0 + (sigma / alpha) z, and the cost of each."""
        schedule = schedules.BY_NAME[self.schedule]
        drawn = js.sample(
            key,
            law.denoiser(schedule),
            (self.num_samples, *law.event_shape),
            samplers.by_name(self.sampler),
            grid=levels,
            final_denoise=False,
            microbatch=self.microbatch,
            progress=watched,
        )
        x = np.asarray(drawn.x / schedule.level(-jnp.log(levels[-1])).alpha)
        return x, {cost: int(drawn.stats[cost][0]) for cost in ("evaluations", "rounds")}
