"""`jaxsamp compare`: several samplers at several step counts, on one target."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
from tyro.conf import OmitArgPrefixes, arg

from jaxsamp import plots, recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import INSIDE, Page, Stages
from jaxsamp.cli.subject import GUIDED, Subject
from jaxsamp.cli.through import check_data, through_operators
from jaxsamp.core import checks
from jaxsamp.recipes.comparison import SHOWN
from jaxsamp.samplers import BY_NAME, by_name


@dataclass(frozen=True)
class Compare(ReportingCommand):
    """Compare samplers at several numbers of steps: distance to the exact flow, and to the law.

    All start from the same noise. The distance to the flow is the median over samples of the root mean square per
    coordinate, at the last noise level, in the scale of the data. The flow starts from the same noise, and UniPC of
    order 3 follows it in 1,024 steps or more (256 or more for a network). Samplers of the reverse SDE leave the flow
    on purpose, so they have no such distance. The energy distance compares with true samples (held-out data if a
    network has learned from data, held-out measurements if it has learned from measurements, and ends of the flow from
    other noise for --pretrained without --target), and is shown with the band where other true samples fall.
    """

    samplers: Annotated[tuple[str, ...], arg(metavar="NAME ...", help=f"Which samplers: {', '.join(BY_NAME)}.")] = SHOWN
    steps: Annotated[tuple[int, ...], arg(metavar="INT ...")] = (8, 16, 32, 64)
    """Numbers of steps; for a sampler with one window, numbers of rounds."""
    num_samples: int = 1000
    """Number of samples per sampler and number of steps."""
    subject: OmitArgPrefixes[Subject] = Subject()
    common: Shared = Common()

    files: ClassVar = ("compare.png", "compare.json")
    names: ClassVar[Mapping[str, str]] = {"data": "--target", "n": "--num-samples", "sampler": "--samplers", **GUIDED}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        self.subject.check()
        for name in ("samplers", "steps"):
            if not getattr(self, name):
                raise BadArgument(f"--{name} must hold at least one value.")
        for name in self.samplers:
            by_name(name)
        for steps in self.steps:
            checks.at_least("steps", steps, 1)
        checks.at_least("num_samples", self.num_samples, 2)
        self.subject.levels(1)

    def default_out(self) -> Path:
        """runs/TARGET-compare, or CHECKPOINT/compare."""
        return self.subject.default_out("compare", "-compare")

    def work(self, stages: Stages) -> Made:
        """Fit, sample with each sampler, measure and plot."""
        with stages("load"):
            data = self.subject.load()
            further = check_data(self, data)
        key, for_labels, for_linear = jax.random.split(jax.random.key(self.common.seed), 3)
        names = self.samplers
        no_data = data.law is None and data.held_out is None  # to measure a calibration on
        if (further is not None or no_data) and names == SHOWN:
            names = tuple(name for name in names if not by_name(name).reads_calibration)
        used = [by_name(name) for name in names]
        if further is None:
            task = self.subject.task((for_labels, for_linear), data, self.num_samples, self.common.seed, used, stages)
        else:
            task = through_operators(self, for_labels, data, further, used, self.subject.levels(1), stages)
        options = {"grid": self.subject.grid, **self.subject.span, "microbatch": self.subject.microbatch}
        with stages("compare"):
            results = recipes.compare(key, task, self.num_samples, names, self.steps, **options, progress=self.watched)
        title = f"{task.data.name}: {self.num_samples:,} samples"
        facts = {"target": task.data.name, **results, **recipes.about(task.law, task.data)}
        return Made(facts, plots.comparison(results["rows"], flow=results["flow"], title=title))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page, rows = Page(), []
        page.head(facts["target"], f": {facts['settings']['num_samples']:,} samples of each")
        for before, row in zip([None, *facts["rows"]], facts["rows"], strict=False):
            rows += [None] if before and before["sampler"] != row["sampler"] else []
            costs = (row["evaluations"], row["rounds"])
            (low, high), distance = row["energy_null"], row["distance_to_flow"]
            rows += [
                (
                    row["sampler"],
                    str(row["steps"]),
                    *(f"{cost:.1f}" if isinstance(cost, float) else str(cost) for cost in costs),
                    "" if distance is None else f"{distance:.2e}",
                    f"{row['energy']:.2e}",
                    INSIDE[low <= row["energy"] <= high],
                )
            ]
        page.table(("sampler", "steps", "evals", "rounds", "to flow", "energy", ""), rows, (0, 6))
        low, high = facts["rows"][0]["energy_null"]
        page.line(f"energy distance of true samples: {low:.2e} to {high:.2e}")
        memory = sorted(row["memory"] / 1e6 for row in facts["rows"])
        page.line(f"memory of a program: {memory[0]:.3g} to {memory[-1]:.3g} MB")
        flow = facts["flow"]
        page.line(f"the flow itself: {flow['steps']} steps, {flow['distance_to_half_as_many']:.1e} from half as many")
        page.written(facts, out)
