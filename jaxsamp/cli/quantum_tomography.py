"""`jaxsamp quantum tomography`: copies against error, for measurements of several copies at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import arg

from jaxsamp import plots, recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared
from jaxsamp.cli.devices import chosen
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.core import checks
from jaxsamp.recipes.tomography import ESTIMATORS, STATES

FILE = "estimates.npz"


@dataclass(frozen=True)
class QuantumTomography(ReportingCommand):
    """Estimate a state from the same number of copies, measured one, two, four ... at a time; a simulation.

    Shown are t E |rho_hat - rho|^2 of the estimate from one measurement of t copies, which does not depend on the
    number of measurements, and the distance of the mean of all estimates. Estimators: debiased (Keyl's measurement),
    keyl (the same outcomes, biased), purified, and single copies.
    """

    state: Annotated[str, arg(metavar="NAME|FILE", help=f"The state: {', '.join(STATES)}; an .npy file (d, d).")] = (
        "random"
    )
    dim: int = 4
    """Dimension of a state that is named."""
    copies: int = 20_000
    """Copies that each estimate uses in all."""
    per_measurement: Annotated[tuple[int, ...], arg(metavar="INT ...")] = (1, 2, 4, 8, 16)
    """Numbers of copies that are measured at once."""
    estimators: Annotated[
        tuple[str, ...], arg(metavar="NAME ...", help=f"Which estimators: {', '.join(ESTIMATORS)}.")
    ] = tuple(ESTIMATORS)
    devices: Annotated[str, arg(metavar="all|INT")] = "all"
    """Devices of this machine over which the measurements are divided."""
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Largest number of measurements at a time on each device, to limit memory."""
    common: Shared = Common()

    files: ClassVar = ("tomography.png", "report.json", FILE)
    names: ClassVar[Mapping[str, str]] = {"rho": "--state"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the state."""
        for name in ("per_measurement", "estimators"):
            if not getattr(self, name):
                raise BadArgument(f"--{name.replace('_', '-')} must hold at least one value.")
        for name in self.estimators:
            checks.one_of("estimators", name, ESTIMATORS)
        for t in self.per_measurement:
            checks.at_least("per_measurement", t, 1)
        checks.at_least("dim", self.dim, 2)
        checks.at_least("copies", self.copies, 2 * max(self.per_measurement))
        if self.microbatch is not None:
            checks.at_least("microbatch", self.microbatch, 1)
        chosen(self.devices)

    def default_out(self) -> Path:
        """runs/STATE-tomography."""
        return Path("runs") / f"{Path(self.state).stem}-tomography"

    def work(self, stages: Stages) -> Made:
        """Make the state, measure, estimate and plot."""
        for_state, for_outcomes = jax.random.split(jax.random.key(self.common.seed))
        with stages("load"):
            rho = recipes.quantum_state(for_state, self.state, self.dim)
        with stages("measure"):
            found = recipes.copies_against_error(
                for_outcomes, rho, self.copies, self.per_measurement, self.estimators, mesh=chosen(self.devices),
                microbatch=self.microbatch, progress=self.watched,
            )  # fmt: skip
        title = f"{Path(self.state).stem} state of dimension {len(rho)}, {self.copies:,} copies"
        with stages("picture"):
            figure = plots.copy_curves(found.rows, title=title)
        values = [float(p) for p in np.linalg.eigvalsh(np.asarray(rho))[::-1]]
        facts = {"title": title, "dim": len(rho), "eigenvalues": values, "rows": found.rows}
        return Made(facts, figure, partial(_write, np.asarray(rho), found.estimates))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["title"], "")
        page.line("eigenvalues: " + ", ".join(f"{p:.4g}" for p in facts["eigenvalues"]))
        columns = ("squared_error", "squared_error_se", "exact", "distance", "noise", "trace_distance")
        rows = [
            (row["estimator"], str(row["t"]), *("" if row[name] is None else f"{row[name]:.4g}" for name in columns))
            for row in facts["rows"]
        ]
        page.table(("estimator", "t", *(name.replace("_se", " +-").replace("_", " ") for name in columns)), rows)
        page.line("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in facts["seconds"].items()))
        page.written(facts, out)


def _write(rho: np.ndarray, estimates: Mapping[str, Any], folder: Path) -> None:
    arrays: dict[str, Any] = {name: np.asarray(est.rho) for name, est in estimates.items()}
    errors: dict[str, Any] = {
        f"{name}_standard_error": np.asarray(est.standard_error) for name, est in estimates.items()
    }
    np.savez(folder / FILE, rho=rho, **arrays, **errors)
