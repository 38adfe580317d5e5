"""`jaxsamp spins select`: the spins that a label depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import OmitArgPrefixes, arg

from jaxsamp import plots, recipes
from jaxsamp.cli.command import Made, Place, ReportingCommand
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.core import checks

SHOWN = 16  # rows of the table that are printed


@dataclass(frozen=True)
class SpinsSelect(ReportingCommand):
    """Find the few spins that the mean of a label depends on, although all spins depend on each other."""

    data: Annotated[
        Path,
        arg(metavar="FILE", help="Samples (m, n) of -1 and +1, or of 0 and 1: a .npy file, or an .npz file with y."),
    ]
    labels: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: those of --data)")] = None
    """Labels (m,), numbers: a .npy file."""
    max_size: int = 6
    """Largest number of spins that are found."""
    alpha: float = 1e-4
    """Probability of a false alarm at each step."""
    order: int = 2
    """Most spins that one term of the law of the spins couples."""
    common: OmitArgPrefixes[Place] = Place()

    files: ClassVar = ("selection.png", "report.json")
    names: ClassVar[Mapping[str, str]] = {"x": "--data", "y": "--labels"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        checks.at_least("max_size", self.max_size, 1)
        checks.at_least("order", self.order, 2)
        if not 0 < self.alpha < 1:
            raise BadArgument(f"--alpha must be between 0 and 1; got {self.alpha}.")

    def default_out(self) -> Path:
        """runs/DATA-selected."""
        return Path("runs") / f"{self.data.stem}-selected"

    def work(self, stages: Stages) -> Made:
        """Load, search and plot."""
        with stages("load"):
            x, y = recipes.load_labeled_spins(self.data, self.labels)
        with stages("search", f"searching {x.shape[1]:,} spins"):
            facts = recipes.selected_spins(x, y, max_size=self.max_size, alpha=self.alpha, order=self.order)
        found = ", ".join(map(str, facts["indices"])) or "none"
        facts |= {"data": str(self.data), "title": f"{self.data.stem}: the label depends on {found}"}
        with stages("picture"):
            rows = facts["search"]
            columns = ([row[name] for row in rows] for name in ("spin", "z", "limit"))
            spins, z, limits = columns
            figure = plots.selection([f"spin {i}" for i in spins], z, limits, title=facts["title"])
        return Made(facts, figure)

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["title"], f", of {facts['spins']:,} spins, {facts['rows']:,} rows")
        search = [(str(row["spin"]), f"{row['z']:.3g}", f"{row['limit']:.3g}") for row in facts["search"]]
        page.table(("spin", "largest |z|", "limit"), search)
        if facts["indices"]:
            signs = ["".join("+" if value > 0 else "-" for value in row["state"]) for row in facts["table"]]
            means = [f"{row['mean']:.4g}" for row in facts["table"]]
            page.table((f"spins {facts['indices']}", "mean label"), list(zip(signs, means, strict=True))[:SHOWN])
        for sentence in facts["said"]:
            page.line(f"note: {sentence}")
        page.line("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in facts["seconds"].items()))
        page.written(facts, out)
