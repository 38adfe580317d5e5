"""`jaxsamp spins sample`: spins from a law, by chains."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import arg

from jaxsamp import mcmc, plots, recipes, running
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, named
from jaxsamp.cli.devices import chosen
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.cli.settings import value_of
from jaxsamp.core import checks
from jaxsamp.recipes.spin_laws import DEFAULTS, INSTANCES

FILE, MODEL = "samples.npz", "model.npz"


def _optional(name: str) -> Any:
    return arg(
        metavar="FLOAT" if isinstance(DEFAULTS[name], float) else "INT",
        help_behavior_hint=f"(default: {DEFAULTS[name]})",
    )


@dataclass(frozen=True)
class SpinsSample(ReportingCommand):
    """Draw spins from p(x) proportional to exp(S(x)), x in {-1, +1}^n, by independent chains.

    Of up to 16 spins the means are compared with exact ones. The law is written too, and can be sampled again.
    """

    model: Annotated[str, arg(metavar="NAME|FILE", help=f"The law: {', '.join(INSTANCES)}; an .npz file of a law.")] = (
        "sk"
    )
    size: Annotated[int | None, _optional("size")] = None
    """Number of spins; of lattice and edwards-anderson the number along each side."""
    dim: Annotated[int | None, _optional("dim")] = None
    """Number of sides of lattice and edwards-anderson."""
    beta: Annotated[float | None, _optional("beta")] = None
    """Scale of the couplings; of a file, a factor of its exponent (default: 1)."""
    field: Annotated[float | None, _optional("field")] = None
    """Field of lattice and curie-weiss."""
    sampler: Annotated[str, named("How the chains move", mcmc.SPIN_SAMPLERS)] = "heat-bath"
    chains: int = 1000
    """Number of chains, each of which ends in a sample."""
    steps: int = 1000
    """Sweeps of each chain after the warm-up."""
    warmup: int = 500
    """Sweeps that are made first."""
    thin: int = 10
    """Sweeps between two values of the exponent that diagnostics see; 0 for none."""
    devices: Annotated[str, arg(metavar="all|INT")] = "all"
    """Devices of this machine over which the chains are divided."""
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Largest number of chains at a time on each device, to limit memory."""
    common: Shared = Common()

    files: ClassVar = ("spins.png", "report.json", FILE, MODEL)
    choices: ClassVar = {"sampler": (mcmc.SPIN_SAMPLERS, mcmc.SPIN_SAMPLERS)}
    names: ClassVar[Mapping[str, str]] = {"n": "--size"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the law."""
        checks.one_of("sampler", self.sampler, mcmc.SPIN_SAMPLERS)
        for name, least in (("chains", 1), ("steps", 1), ("warmup", 0), ("thin", 0), ("microbatch", 1)):
            if getattr(self, name) is not None:
                checks.at_least(name, getattr(self, name), least)
        chosen(self.devices)

    def default_out(self) -> Path:
        """runs/MODEL-spins."""
        return Path("runs") / f"{Path(self.model).stem}-spins"

    def work(self, stages: Stages) -> Made:
        """Make the law, run the chains, and compare."""
        for_law, for_chains = jax.random.split(jax.random.key(self.common.seed))
        settings = {name: getattr(self, name) for name in DEFAULTS}
        with stages("load"):
            law = recipes.spin_law(for_law, self.model, **settings)
        with stages("sample"):
            chains = running.sample_spins(
                for_chains, law, (self.chains, law.sites), value_of(self, "sampler"), self.steps, warmup=self.warmup,
                thin=self.thin, mesh=chosen(self.devices), microbatch=self.microbatch, progress=self.watched,
            )  # fmt: skip
        with stages("metrics", "comparing"):
            facts = recipes.spin_facts(law, chains)
        title = f"{Path(self.model).stem}: {law.sites:,} spins, {self.chains:,} chains by {self.sampler}"
        with stages("picture"):
            figure = plots.spin_chains(chains.x, chains.exponent, exact=facts["quantities"][0]["exact"], title=title)
        return Made({"model": self.model, "title": title, **facts}, figure, partial(_write, law, np.asarray(chains.x)))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["title"], f", {self.steps:,} sweeps after {self.warmup:,}")
        rows = [
            (row["name"], *(_shown(row[key]) for key in ("mean", "error", "exact")), VERDICTS[row["inside"]])
            for row in facts["quantities"]
        ]
        page.table(("quantity", "mean", "standard error", "exact", ""), rows)
        said = {
            name.replace("_", " "): value for name, value in facts["stats"].items() if name not in ("rounds", "finite")
        }
        said |= {"R-hat of the exponent": facts["rhat"], "effective samples of it": facts["effective"]}
        if known := [f"{name} {value:.4g}" for name, value in said.items() if value is not None]:
            page.line("; ".join(known))
        page.line("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in facts["seconds"].items()))
        page.written(facts, out)


VERDICTS = {None: "", True: "[green]inside[/]", False: "[yellow]more than 4 errors away[/]"}


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _write(law: Any, x: np.ndarray, folder: Path) -> None:
    np.savez(folder / FILE, samples=x)
    recipes.save_spin_law(law, folder / MODEL)
