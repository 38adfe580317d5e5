"""`jaxsamp sparameters fit`: S-parameters between few frequencies."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import FlagCreatePairsOff, Positional, arg

from jaxsamp import recipes, sparameters
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.core import checks
from jaxsamp.recipes.sparameters import CIRCUITS
from jaxsamp.sparameters.interpolation import METHODS

DRAWS = "draws.npz"


@dataclass(frozen=True)
class SParametersFit(ReportingCommand):
    """Interpolate the S-parameters of a Touchstone file from a share of its frequencies, and compare with all of them.

    The result is written as a Touchstone file; with the default method also passive draws, s of draws.npz.
    """

    file: Annotated[
        Positional[str], arg(metavar="FILE", help=f"A Touchstone file (.s1p, .s2p, ...), or {' or '.join(CIRCUITS)}.")
    ]
    keep: float = 0.1
    """Share of the frequencies to interpolate from, evenly spaced; 1 for all."""
    method: Annotated[str, arg(metavar="|".join(METHODS))] = "causal"
    """How to interpolate; causal has standard errors and passive draws."""
    noise: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(default: found by causal)")] = None
    """Standard deviation of the noise in a complex entry, of causal and aaa."""
    draws: int = 100
    """Number of passive draws of causal; 0 for none."""
    nonreciprocal: FlagCreatePairsOff[bool] = False
    """Fit S12 and S21 apart from each other."""
    common: Shared = Common()

    files: ClassVar = ("sparameters.png", "report.json")
    replaced: ClassVar = ("interpolated.s*p", DRAWS)
    names: ClassVar = {"fraction": "--keep", "network": "FILE", "path": "FILE"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the file."""
        checks.one_of("method", self.method, METHODS)
        checks.at_least("draws", self.draws, 0)
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep must be in (0, 1]; got {self.keep}.")

    def default_out(self) -> Path:
        """runs/FILE-sparameters."""
        return Path("runs") / f"{Path(self.file).stem}-sparameters"

    def work(self, stages: Stages) -> Made:
        """Read, interpolate, draw, compare."""
        with stages("load"):
            truth = recipes.load_sparameters(self.file)
        with stages("fit", "interpolating"):
            found = recipes.fit_sparameters(
                jax.random.key(self.common.seed), truth, self.keep, self.method, noise=self.noise,
                reciprocal=not self.nonreciprocal, draws=self.draws, progress=self.watched,
            )  # fmt: skip
        title = (
            f"{Path(self.file).stem}: {found.facts['used']} of {found.facts['frequencies']} frequencies, {self.method}"
        )
        with stages("picture"):
            figure = recipes.sparameters_picture(found, title)
        return Made({"title": title, **found.facts}, figure, partial(_write, found))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["title"], f", {facts['ports']} ports")
        if facts["snr"] is not None:
            page.line(f"signal to error on all frequencies: {facts['snr']:.1f} dB")
        if facts["coverage"] is not None:
            page.line(f"inside the bands of 95 %: {100 * facts['coverage']:.1f} %")
        page.line(f"largest singular value: {facts['largest_singular_value']:.6f} (passive: at most 1)")
        if "draws" in facts:
            said = "{n} passive draws: at most {largest:.6f} on the grid, {between:.6f} between its frequencies"
            page.line(said.format(**facts["draws"]))
        page.line("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in facts["seconds"].items()))
        page.written(facts, out)


def _write(found: recipes.FittedSParameters, folder: Path) -> None:
    sparameters.write(folder / "interpolated", found.fit)
    if found.draws is not None:
        arrays: dict[str, Any] = {"s": found.draws.s, "frequencies": found.fit.frequencies, **found.draws.stats}
        np.savez(folder / DRAWS, **arrays)
