"""`jaxsamp annotate`: from which noise level on damaged samples may train beside clean ones."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import FlagCreatePairsOff, arg

from jaxsamp import plots, recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, named
from jaxsamp.cli.corrupt import quoted
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.cli.words import ImageSize
from jaxsamp.corruptions import Annotations
from jaxsamp.datasets import read_file
from jaxsamp.datasets.images import FITS
from jaxsamp.recipes.annotating import ANNOTATORS, check_settings
from jaxsamp.recipes.data import PLACES, check_data, stem
from jaxsamp.recipes.joined import PLUS

WRITTEN, WIDTH = "annotations.jsonl", 40
TRAINED = ("classifier", "held-out", "crops")  # annotators that show progress
SETTINGS = ("sigma_min", "sigma_max", "scores", "table", "share", "eps", "least", "per_sample", "steps")


def _of(*annotators: str, metavar: str, default: str = "") -> Any:
    """A setting of these annotators."""
    names = ", ".join(annotators)
    return arg(metavar=metavar, help_behavior_hint=f"({names}; default: {default})" if default else f"({names})")


@dataclass(frozen=True)
class Annotate(ReportingCommand):
    """Find the noise levels at which damaged samples may train beside clean ones, because noise hides their damage.

    `jaxsamp train --data CLEAN+DAMAGED --annotations FILE` learns from both. A part of the clean samples is held out,
    the same part in every command; all damaged samples are annotated.
    """

    data: Annotated[str, arg(metavar="NAME|FILE|FOLDER", help=f"The clean samples: {PLACES}")]
    damaged: Annotated[tuple[str, ...], arg(metavar="FILE|FOLDER ...")]
    """The damaged samples, a file or folder for each kind of damage."""
    annotator: Annotated[str, named("How the levels are found", ANNOTATORS)] = "gaussian"
    sigma_min: Annotated[tuple[float, ...], _of("fixed", "percentile", "held-out", "crops", metavar="FLOAT ...")] = ()
    """Noise level sigma / alpha above which damaged samples train; for fixed and crops one number, or one for each
    kind, for crops by default inf; for held-out the levels to compare, 0 for samples that count as clean and inf for
    none of them."""
    sigma_max: Annotated[tuple[float, ...], _of("fixed", metavar="FLOAT ...", default="0")] = ()
    """Noise level up to which they train as clean ones, too."""
    scores: Annotated[Path | None, _of("percentile", "scores", metavar="FILE")] = None
    """A .npy or .npz file of one number for each damaged sample, higher for better ones."""
    table: Annotated[Path | None, _of("scores", metavar="FILE")] = None
    """A JSON file of the least score and its noise level, {"90": 0.0, "80": 0.5}."""
    share: Annotated[float | None, _of("percentile", metavar="FLOAT", default="0.8")] = None
    """Share of the damaged samples, those of the lowest scores, that get --sigma-min; the others count as clean."""
    eps: Annotated[float | None, _of("gaussian", "classifier", metavar="FLOAT", default="0.05")] = None
    """How different clean and damaged samples may be, in total variation, where they train."""
    least: Annotated[float | None, _of("crops", metavar="FLOAT", default="0.25")] = None
    """Probability below 1/2 of being clean, above which crops of a sample may train as clean ones."""
    per_sample: FlagCreatePairsOff[bool] = False
    """A level of its own for each damaged sample (classifier)."""
    steps: Annotated[int | None, _of("classifier", "held-out", "crops", metavar="INT", default="2000")] = None
    """Number of updates of the classifier, of each network, or of the classifier of each size of crops."""
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    common: Shared = Common()

    files: ClassVar = ("annotations.png", "report.json", WRITTEN)
    names: ClassVar[Mapping[str, str]] = {
        "classifier": "--annotator classifier",
        "network": "--annotator crops",
        "quality": "--scores",
    }

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the annotator that are given."""
        given = {name: getattr(self, name) for name in SETTINGS}
        return {
            name: value for name, value in given.items() if value is not None and value is not False and value != ()
        }

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        if not self.damaged:
            raise BadArgument("--damaged must hold at least one file or folder.")
        for one in self.damaged:  # they are loaded as a part of --data
            check_data(one, "damaged")
        check_settings(self.annotator, self.settings)

    def default_out(self) -> Path:
        """runs/CLEAN-annotations."""
        return Path("runs") / f"{stem(self.data)}-annotations"

    def work(self, stages: Stages) -> Made:
        """Load, annotate and plot."""
        with stages("load"):
            data = recipes.load(self.both, self.image_size, self.image_fit)
            settings = self.settings
            if self.scores is not None:
                settings["scores"] = np.ravel(read_file(self.scores, "scores"))
        with stages("annotate", "comparing clean and damaged samples"):
            key, watched = jax.random.key(self.common.seed), self.watched and self.annotator in TRAINED
            if self.annotator == "held-out":
                compared = recipes.compared_levels(key, data, watched, **settings)
                notes = compared.annotations
            else:
                compared, notes = None, recipes.annotated(key, data, self.annotator, watched, **settings)
        rows = recipes.levels_histogram(notes.sigma_min)
        below = recipes.levels_histogram(notes.sigma_max[notes.sigma_max > 0])
        damaged = notes.sigma_min[data.kinds > 0]
        facts = {"data": data.name, "both": self.both, "annotator": self.annotator, "histogram": rows}
        facts |= {"clean": int((data.kinds == 0).sum()), "damaged": len(damaged)}
        facts |= {"never": int(np.isinf(damaged).sum()), "as_clean": int((damaged == 0).sum())}
        if compared is not None:
            levels = [None if np.isinf(level) else float(level) for level in compared.sigma_min]
            pairs = zip(levels, compared.loss.tolist(), strict=True)
            facts["compared"] = [{"sigma_min": level, "loss": loss} for level, loss in pairs]
        facts |= {"at_low_noise": int((notes.sigma_max > 0).sum()), "histogram_below": below}
        facts |= recipes.about(None, data)
        figure = plots.levels(rows, below, title=f"{data.name}, {self.annotator}")
        return Made(facts, figure, partial(_write, notes))

    @property
    def both(self) -> str:
        """The clean and the damaged data as `jaxsamp train` takes them."""
        return PLUS.join([self.data, *self.damaged])

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page, rows, below = Page(), facts["histogram"], facts["histogram_below"]
        page.head(facts["data"], f": {facts['clean']:,} clean and {facts['damaged']:,} damaged samples")
        most = max(row["count"] for row in [*rows, *below])
        for title, some in (("train above sigma / alpha", rows), ("train as clean up to", below)):
            bars = ["#" * round(WIDTH * row["count"] / most) for row in some]
            lines = [(plots.level_name(row), f"{row['count']:,}", bar) for row, bar in zip(some, bars, strict=True)]
            if some:
                page.table((title, "samples", ""), lines, (0, 2))
        for row in facts.get("compared", ()):
            level = "never" if row["sigma_min"] is None else f"above {row['sigma_min']:g}"
            page.line(f"held-out loss, damaged samples {level}: {row['loss']:.4g}")
        if facts["never"] == facts["damaged"] and not below:
            page.line("no damaged sample may train at any level: clean and damaged ones differ under all noise.")
        page.written(facts, out)
        words = f"{shlex.quote(facts['both'])} --annotations {quoted(out / WRITTEN)}"
        page.line(f"learn from both: jaxsamp train --data {words}")


def _write(notes: Annotations, folder: Path) -> None:
    notes.save(folder / WRITTEN)
