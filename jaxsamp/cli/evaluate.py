"""`jaxsamp evaluate`: compare samples that are already there with the truth."""

import sys
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

import jax
from tyro.conf import FlagCreatePairsOff, Positional, arg

import jaxsamp as js
from jaxsamp import plots
from jaxsamp.cli import data, learned, output, report
from jaxsamp.cli.errors import BadArgument, check_seed, complaints
from jaxsamp.cli.picture import beside_truth
from jaxsamp.core import checks
from jaxsamp.metrics import NAMES

FILES = ("comparison.png", "report.json")


@dataclass(frozen=True)
class Evaluate:
    """Compare samples with the truth: a law known by name, digits, or true samples of your own.

    Prints every metric with the band where true samples fall, and writes a report and a picture.
    """

    samples: Annotated[
        Positional[Path],
        arg(metavar="SAMPLES", help="A .npy or .npz file, such as `jaxsamp sample` writes; or a folder of images."),
    ]
    reference: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"The truth: {data.PLACES}",
            help_behavior_hint="(required, or --checkpoint)",
        ),
    ] = None
    checkpoint: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(optional)")] = None
    """The truth: what the network was trained on that `jaxsamp train` has trained in this folder."""
    metrics: Annotated[
        tuple[str, ...],
        arg(metavar="NAME ...", help=f"Which: {', '.join(NAMES)}.", help_behavior_hint="(default: all that apply)"),
    ] = ()
    sigma: Annotated[
        float | None, arg(metavar="FLOAT", help_behavior_hint="(default: the last of `grid` in SAMPLES, or 0)")
    ] = None
    """Noise level sigma / alpha that is left in the samples; the truth is noised alike."""
    image_size: int = 16
    """Height and width that images of a folder or of a set by name are cropped to."""
    seed: int = 0
    """Seed of the metrics."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: beside SAMPLES)")] = None
    """Where to write."""
    force: FlagCreatePairsOff[bool] = False
    """Overwrite the results of an earlier run."""
    progress: bool = True
    """Show progress, on a terminal."""

    def run(self) -> None:
        """Load, compare, draw, write and print."""
        stages = report.Stages(self.progress and sys.stdout.isatty())
        with complaints():
            out = self._checked()
            with stages("load"):
                x, sigma = data.load_samples(self.samples.expanduser(), self.image_size)
                source = self._truth()
        sigma = sigma if self.sigma is None else self.sigma
        if x.shape[1:] != source.event:
            flag = "--reference" if self.checkpoint is None else "--checkpoint"
            raise BadArgument(f"{flag} must have samples of the shape of SAMPLES, {x.shape[1:]}; got {source.event}.")
        level = None if sigma == 0 else js.Level(1.0, sigma)
        with output.folder(out, FILES, self.force) as folder:
            keys = jax.random.split(jax.random.key(self.seed))
            with complaints(), stages("metrics", "comparing with the truth"):
                found = report.against_reference(x, source, keys[0], level, self.metrics or None)
            headline = f"{len(x):,} samples at noise level {sigma:g} against {source.name}"
            with stages("picture"):
                picture = beside_truth(x, source, source.law, level or js.Level(1.0, 0.0), keys[1], headline)
                plots.save(picture, folder / "comparison.png")
            kind = "law" if source.law is not None else "samples" if source.train is source.held_out else "data"
            facts = {"samples": str(self.samples), "reference": source.name, "noise_level": sigma}
            facts |= {"num_samples": len(x), "settings": asdict(self), "metrics": {kind: found}}
            facts |= {"seconds": stages.seconds, **report.about(source.law, source), "files": FILES}
            report.write_json(facts, folder / "report.json")
        report.show(self.samples.name, headline, facts, out)

    def _truth(self) -> data.Source:
        """What --reference names, or what a network was trained on: its own split into training and held-out data."""
        if self.checkpoint is not None:
            return data.load(*learned.trained_on(self.checkpoint, "--reference"))
        return data.load_reference(str(self.reference), self.image_size)

    def _checked(self) -> Path:
        """Check every flag that can be checked without data; the folder to write."""
        if (self.reference is None) == (self.checkpoint is None):
            raise BadArgument("--reference or --checkpoint must say what the truth is, one of them.")
        for name in self.metrics:
            checks.one_of("--metrics", name, NAMES)
        checks.at_least("--image-size", self.image_size, 1)
        check_seed(self.seed)
        if self.sigma is not None and not (self.sigma >= 0 and isfinite(self.sigma)):
            raise BadArgument(f"--sigma must be finite and at least 0; got {self.sigma}.")
        samples = self.samples.expanduser()
        out = self.out or samples.with_name(f"{samples.resolve().stem}-evaluation")
        output.check_free(out, FILES, self.force)
        return out
