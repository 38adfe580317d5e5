"""`jaxsamp evaluate`: compare existing samples with the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
from tyro.conf import Positional, arg

from jaxsamp import recipes
from jaxsamp.cli import printing
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, named, truth
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Stages
from jaxsamp.cli.words import ImageSize
from jaxsamp.core import checks
from jaxsamp.core.types import CLEAN, Level
from jaxsamp.datasets.images import FITS
from jaxsamp.metrics import NAMES
from jaxsamp.recipes.data import PLACES


@dataclass(frozen=True)
class Evaluate(ReportingCommand):
    """Compare samples with the truth: a law known by name, digits, or true samples of your own.

    Prints every metric with the band where true samples fall, and writes a report and a picture.
    """

    samples: Annotated[
        Positional[Path],
        arg(metavar="SAMPLES", help="A .npy or .npz file, as written by `jaxsamp sample`, or a folder of images."),
    ]
    reference: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"The truth: {PLACES}",
            help_behavior_hint="(required, or --checkpoint)",
        ),
    ] = None
    checkpoint: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(optional)")] = None
    """The truth: the training data of the network that `jaxsamp train` has trained in this folder; of measurements,
    what the held-out operators see of the samples is compared with what was held out."""
    metrics: Annotated[
        tuple[str, ...],
        arg(metavar="NAME ...", help=f"Metrics: {', '.join(NAMES)}.", help_behavior_hint="(default: all that apply)"),
    ] = ()
    sigma: Annotated[
        float | None, arg(metavar="FLOAT", help_behavior_hint="(default: the last of `grid` in SAMPLES, or 0)")
    ] = None
    """Noise level sigma / alpha that is left in the samples; the same noise is added to the truth."""
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    common: Shared = Common()

    files: ClassVar = ("comparison.png", "report.json")

    @property
    def names(self) -> Mapping[str, str]:  # type: ignore[override]
        """The flag that gives the truth is either --reference or --checkpoint."""
        given = "--reference" if self.checkpoint is None else "--checkpoint"
        return {"samples": "SAMPLES", "data": "--reference", "reference": given}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        if (self.reference is None) == (self.checkpoint is None):
            raise BadArgument("one of --reference and --checkpoint must say what the truth is, not both.")
        for name in self.metrics:
            checks.one_of("metrics", name, NAMES)
        if self.sigma is not None and not (self.sigma >= 0 and isfinite(self.sigma)):
            raise BadArgument(f"--sigma must be finite and at least 0; got {self.sigma}.")

    def default_out(self) -> Path:
        """SAMPLES-evaluation, next to the samples."""
        samples = self.samples.expanduser()
        return samples.with_name(f"{samples.resolve().stem}-evaluation")

    def work(self, stages: Stages) -> Made:
        """Load, compare and plot."""
        with stages("load"):
            x, sigma = recipes.load_samples(self.samples, self.image_size, self.image_fit)
            if self.reference is None:
                data = truth(None, self.checkpoint, self.image_size)
            else:
                data = recipes.load_reference(self.reference, self.image_size, self.image_fit)
        sigma = sigma if self.sigma is None else self.sigma
        level, keys = None if sigma == 0 else Level(1.0, sigma), jax.random.split(jax.random.key(self.common.seed))
        with stages("metrics", "comparing with the truth"):
            results = recipes.against_reference(x, data, keys[0], level, self.metrics or None)
        headline = f"{len(x):,} samples at noise level {sigma:g} against {data.name}"
        with stages("picture"):
            picture = recipes.beside_truth(keys[1], x, data, level or CLEAN, title=headline)
        kind = "law" if data.law is not None else "samples" if data.train is data.held_out else "data"
        kind = kind if data.measured is None else "measurements"
        facts = {"samples": str(self.samples), "reference": data.name, "noise_level": sigma, "num_samples": len(x)}
        facts |= {"metrics": {kind: results}, **recipes.about(data.law, data), "headline": headline}
        return Made(facts, picture)

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        printing.show(self.samples.name, facts["headline"], facts, out)
