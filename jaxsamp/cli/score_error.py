"""`jaxsamp score-error`: a learned denoiser against the exact one of a known law, level by level."""

import sys
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import FlagCreatePairsOff, arg

from jaxsamp import metrics, plots
from jaxsamp.cli import data, learned, output, report
from jaxsamp.cli.errors import BadArgument, check_seed, complaints
from jaxsamp.core import checks
from jaxsamp.targets.toys import TOYS

FILES = ("score-error.png", "score-error.json")


@dataclass(frozen=True)
class ScoreError:
    """Measure how far a trained network is from the exact denoiser of a known law.

    At each noise level, E|D - D*|^2 over the Bayes risk E|x_0 - D*|^2: by this share the denoising loss exceeds the
    least possible one. Beside it the same error as that of the score, E|s - s*|^2 / E|s*|^2.
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
    seed: int = 0
    """Seed of the samples and their noise."""
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """At most so many samples at a time, against running out of memory."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: CHECKPOINT/score-error)")] = None
    """Where to write."""
    force: FlagCreatePairsOff[bool] = False
    """Overwrite the results of an earlier run."""
    progress: bool = True
    """Show progress, on a terminal."""

    def run(self) -> None:
        """Load, measure, draw, write and print."""
        stages = report.Stages(self.progress and sys.stdout.isatty())
        with complaints():
            out = self._checked()
            with stages("load"):
                denoiser = learned.network(self.checkpoint)
                source = data.load(*(learned.trained_on(self.checkpoint) if self.target is None else (self.target, 1)))
            if source.law is None:
                raise BadArgument(
                    "--target must be a law whose score is known, a toy or a mixture in an .npz file; "
                    f"{source.name} is data."
                )
            learned.check_event(denoiser, source.law.event_shape, None)
        with output.folder(out, FILES, self.force) as folder:
            with complaints(), stages("measure", "comparing with the exact denoiser"):
                key, levels = jax.random.key(self.seed), np.array(sorted(self.levels, reverse=True))
                options = {"samples": self.num_samples, "microbatch": self.microbatch}
                found = metrics.score_error(key, denoiser, source.law, levels if levels.size else None, **options)
            columns = {"level": np.exp(-found.lam), "lambda": found.lam, "relative": found.relative}
            columns |= {"stderr": found.stderr, "score": found.score, "mse": found.mse, "bayes": found.bayes}
            rows = [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
            title = f"{source.name}: error of the network in {self.checkpoint}"
            plots.save(plots.score_errors(rows, title=title), folder / FILES[0])
            facts = {"target": source.name, "settings": asdict(self), "rows": rows, "seconds": stages.seconds}
            facts |= {**report.about(source.law, source), "files": FILES}
            report.write_json(facts, folder / FILES[1])
        _show(title, facts, out)

    def _checked(self) -> Path:
        """Check every flag that can be checked without data; the folder to write."""
        checks.at_least("--num-samples", self.num_samples, 2)
        if self.microbatch is not None:
            checks.at_least("--microbatch", self.microbatch, 1)
        check_seed(self.seed)
        for level in self.levels:
            if not (level > 0 and isfinite(level)):
                raise BadArgument(f"--levels must be finite and above 0; got {level}.")
        out = self.out or self.checkpoint / "score-error"
        output.check_free(out, FILES, self.force)
        return out


def _show(title: str, facts: dict[str, Any], out: Path) -> None:
    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(title)}[/], {facts['settings']['num_samples']:,} samples at each level", soft_wrap=True
    )
    # So that no cell is cut off in 80 columns, which is also what a pipe gets.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column in ("sigma / alpha", "relative error", "", "of the score", "E|D - D*|^2", "Bayes risk"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in facts["rows"]:
        names = ("level", "relative", "stderr", "score", "mse", "bayes")
        level, relative, stderr, *rest = (f"{row[name]:.3g}" for name in names)
        table.add_row(level, relative, f"± {stderr}", *rest)
    console.print(table)
    console.print(f"written: {', '.join(facts['files'])} in {out}", soft_wrap=True, markup=False)
