"""`jaxsamp score-error`: a learned denoiser against the exact one of a known law, level by level."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
from tyro.conf import arg

from jaxsamp import plots, recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, clean, clean_run, truth
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.core import checks
from jaxsamp.recipes.tasks import check_event
from jaxsamp.targets.toys import TOYS


@dataclass(frozen=True)
class ScoreErrorCommand(ReportingCommand):
    """Measure how far a trained network is from the exact denoiser of a known law.

    At each noise level it prints E|D - D*|^2 over the Bayes risk E|x_0 - D*|^2, the share by which the denoising loss
    exceeds the least possible one, and the same error for the score, E|s - s*|^2 / E|s*|^2.
    """

    checkpoint: Annotated[Path, arg(metavar="FOLDER")]
    """The folder in which `jaxsamp train` has trained the network."""
    target: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE",
            help=f"The law: {', '.join(TOYS)}; an .npz file of weights, means and covariances.",
            help_behavior_hint="(default: what the network was trained on)",
        ),
    ] = None
    levels: Annotated[
        tuple[float, ...],
        arg(metavar="FLOAT ...", help_behavior_hint="(default: eight from 80 to 0.02)"),
    ] = ()
    """Noise levels sigma / alpha."""
    num_samples: int = 4096
    """Number of samples at each level."""
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Largest number of samples at a time, to limit memory."""
    common: Shared = Common()

    files: ClassVar = ("score-error.png", "score-error.json")
    names: ClassVar[Mapping[str, str]] = {"data": "--target"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        checks.at_least("num_samples", self.num_samples, 2)
        if self.microbatch is not None:
            checks.at_least("microbatch", self.microbatch, 1)
        clean_run(self.checkpoint)  # before a folder is made in it

    def default_out(self) -> Path:
        """CHECKPOINT/score-error."""
        return self.checkpoint / "score-error"

    def work(self, stages: Stages) -> Made:
        """Load, measure and plot."""
        with stages("load"):
            denoiser = recipes.learned_denoiser(self.checkpoint)
            data = clean(truth(self.target, self.checkpoint, 1))
        if data.law is None:
            raise BadArgument(
                f"--target must be a law whose score is known, a toy or a mixture in an .npz file; {data.name} is data."
            )
        check_event(denoiser, data.law.event_shape)
        with stages("measure", "comparing with the exact denoiser"):
            key = jax.random.key(self.common.seed)
            rows = recipes.score_errors(key, denoiser, data.law, self.levels, self.num_samples, self.microbatch)
        title = f"{data.name}: error of the network in {self.checkpoint}"
        facts = {"target": data.name, "title": title, "rows": rows, **recipes.about(data.law, data)}
        return Made(facts, plots.score_errors(rows, title=title))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page, rows = Page(), []
        page.head(facts["title"], f", {self.num_samples:,} samples at each level")
        for row in facts["rows"]:
            names = ("level", "relative", "stderr", "score", "mse", "bayes")
            level, relative, stderr, *rest = (f"{row[name]:.3g}" for name in names)
            rows.append((level, relative, f"± {stderr}", *rest))
        page.table(("sigma / alpha", "relative error", "", "of the score", "E|D - D*|^2", "Bayes risk"), rows, ())
        page.written(facts, out)
