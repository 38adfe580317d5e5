"""`jaxsamp spins learn`: a law of spins from samples of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import arg

from jaxsamp import recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, named
from jaxsamp.cli.corrupt import quoted
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.cli.spins_sample import FILE, MODEL
from jaxsamp.core import checks
from jaxsamp.recipes.spins import METHODS


@dataclass(frozen=True)
class SpinsLearn(ReportingCommand):
    """Learn a law of spins from samples: couplings of pairs or of more, or a machine with hidden units.

    A fifth of the samples is held out, the same rows every time. The law is written as a file that `jaxsamp spins
    sample --model` reads.
    """

    data: Annotated[Path, arg(metavar="FILE", help="Samples (m, n) of -1 and +1, or of 0 and 1: a .npy or .npz file.")]
    method: Annotated[str, named("How to learn", METHODS)] = "rple"
    order: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 2)")] = None
    """Most spins that one term couples."""
    width: Annotated[
        float | None, arg(metavar="FLOAT", help_behavior_hint="(sparsitron; default: by held-out loss)")
    ] = None
    """Bound of twice the sum of the couplings of one spin."""
    hidden: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(rbm; default: 32)")] = None
    """Number of hidden units."""
    steps: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(rbm; default: that of fit_rbm)")] = None
    """Number of gradient steps."""
    common: Shared = Common()

    files: ClassVar = ("spins.png", "report.json", MODEL, FILE)
    names: ClassVar[Mapping[str, str]] = {"x": "--data"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        checks.one_of("method", self.method, METHODS)
        for name, least in (("order", 2), ("hidden", 1), ("steps", 1)):
            if getattr(self, name) is not None:
                checks.at_least(name, getattr(self, name), least)
        if self.width is not None and not 0 < self.width < np.inf:
            raise BadArgument(f"--width must be finite and above 0; got {self.width}.")

    def default_out(self) -> Path:
        """runs/DATA-METHOD."""
        return Path("runs") / f"{self.data.stem}-{self.method}"

    def work(self, stages: Stages) -> Made:
        """Load, learn, and draw from what was learned."""
        settings = {name: getattr(self, name) for name in ("order", "width", "hidden", "steps")}
        with stages("load"):
            data = recipes.load_spins(self.data)
        watched = self.watched and self.method == "rbm"  # by a bar of its own
        with stages("learn", "" if watched else f"learning from {len(data):,} samples"):
            key = jax.random.key(self.common.seed)
            found = recipes.learn_spins(key, data, self.method, progress=watched, **settings)
        title = f"{self.data.stem}: {data.shape[1]:,} spins by {self.method}"
        with stages("picture"):
            figure = recipes.spin_fit_picture(found, title)
        facts = {"data": str(self.data), "title": title, "method": self.method, "said": list(found.said), **found.facts}
        return Made(facts, figure, partial(_write, found))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["title"], f", learned from {facts['learned_from']:,} samples")
        page.line(
            f"mean log pseudo-likelihood of held-out samples {facts['held_out']:.5g} nats; of independent spins "
            f"{facts['independent']:.5g}"
        )
        if "asymmetry" in facts:
            page.line(
                f"two values for one coupling differ by at most {facts['asymmetry']:.3g}; width {facts['width']:.3g}"
            )
        for sentence in facts["said"]:
            page.line(f"note: {sentence}")
        page.line("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in facts["seconds"].items()))
        page.written(facts, out)
        page.line(f"sample it: jaxsamp spins sample --model {quoted(out / MODEL)}")


def _write(found: recipes.LearnedSpins, folder: Path) -> None:
    recipes.save_spin_law(found.law, folder / MODEL)
    np.savez(folder / FILE, samples=found.x)
