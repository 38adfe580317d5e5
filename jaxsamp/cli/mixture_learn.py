"""`jaxsamp mixture learn`: a law from data, by one of the learners of mixtures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import arg

from jaxsamp import recipes
from jaxsamp.cli import printing
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, clean, named
from jaxsamp.cli.corrupt import quoted
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.cli.words import ImageSize
from jaxsamp.core import checks
from jaxsamp.core.types import is_image
from jaxsamp.datasets.images import FITS
from jaxsamp.recipes.data import PLACES, stem
from jaxsamp.recipes.mixtures import COMPARED, DRAWN, METHODS

FILE, SAMPLES, SHOWN = "mixture.npz", "samples.npz", 20


@dataclass(frozen=True)
class MixtureLearn(ReportingCommand):
    """Learn a mixture of Gaussians from data: weights, means, covariances, and samples of what was learned.

    `ddpm` finds the means by gradient descent on the DDPM objective, for components of equal weights and one known
    variance; `piecewise` finds a score of piecewise polynomials, which corrects that of the mixture in its file; `em`
    is expectation-maximization. The mixture file is a target of the other commands.
    """

    data: Annotated[str, arg(metavar="NAME|FILE|FOLDER", help=f"What to learn from: {PLACES}")] = "digits"
    method: Annotated[str, named("How to learn", METHODS)] = "em"
    components: int = 2
    """Number of components; of piecewise polynomials, of cells."""
    variance: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="(ddpm; default: 1)")] = None
    """Variance of each coordinate within a component, which must be known."""
    degree: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(piecewise; default: 2)")] = None
    """Largest degree of the polynomials."""
    num_samples: Annotated[int | None, arg(metavar="INT", help_behavior_hint=f"(default: {DRAWN:,})")] = None
    """Number of samples of a known law to learn from; of data all are used."""
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    common: Shared = Common()

    files: ClassVar = ("mixture.png", "report.json", FILE, SAMPLES)
    names: ClassVar[Mapping[str, str]] = {
        "n_components": "--components",
        "covariance": "--variance",
        "X": "--data",
        "means_init": "the start of the means",
    }

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        checks.one_of("method", self.method, METHODS)
        checks.at_least("components", self.components, 1)
        if self.variance is not None and not 0 < self.variance < np.inf:
            raise BadArgument(f"--variance must be finite and above 0; got {self.variance}.")
        for name, least in (("degree", 0), ("num_samples", 10)):
            if getattr(self, name) is not None:
                checks.at_least(name, getattr(self, name), least)

    def default_out(self) -> Path:
        """runs/DATA-METHOD."""
        return Path("runs") / f"{stem(self.data)}-{self.method}"

    def work(self, stages: Stages) -> Made:
        """Load, learn, and compare samples of what was learned with held-out ones."""
        keys = jax.random.split(jax.random.key(self.common.seed), 4)
        with stages("load"):
            data = clean(recipes.load(self.data, self.image_size, self.image_fit), "--data")
            if data.law is None and self.num_samples is not None:
                raise BadArgument(f"--num-samples is for a known law; of {data.name} all samples are used.")
            data = recipes.drawn_from(keys[0], data, self.num_samples or DRAWN)
        with stages("learn", f"learning from {len(data.train):,} samples"):
            found = recipes.learn_mixture(
                keys[1], data, self.method, self.components, variance=self.variance, degree=self.degree
            )
        with stages("metrics", "comparing with the truth"):
            results = recipes.against_reference(found.samples, data, keys[2])
        title = f"{data.name}: {self.components} components by {self.method}"
        with stages("picture"):
            figure = self._picture(keys[3], found, data, title)
        facts = {"data": data.name, "title": title, "method": self.method, "components": self.components}
        facts |= {"learned_from": len(data.train), "log_density": found.log_density, "said": list(found.said)}
        if data.law is not None:
            facts["true_log_density"] = recipes.mean_log_density(data.law, data.held_out[:COMPARED])
        facts |= {"metrics": {"law" if data.law is not None else "data": results}, **recipes.about(data.law, data)}
        facts |= recipes.mixture_facts(found.law, data.event)
        return Made(facts, figure, partial(_write, found))

    def _picture(self, key: jax.Array, found: Any, data: recipes.LearningData, title: str) -> Any:
        """Of images, the means beside samples and data; of others, samples beside true ones."""
        if not is_image(data.event):
            return recipes.beside_truth(key, found.samples, data, law=found.law, title=title)
        means = np.asarray(found.law.means).reshape(-1, *data.event)
        return recipes.side_by_side({"means": means[:100], "samples": found.samples, "real": data.held_out}, title)

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page, true = Page(), ""
        if "true_log_density" in facts:
            true = f", of the truth {facts['true_log_density']:.4g}"
        rows = [
            (str(k), f"{weight:.3f}", _short(mean))
            for k, (weight, mean) in enumerate(zip(facts["weights"], facts["means"], strict=True))
        ]
        page.table(("component", "weight", "mean"), rows[:SHOWN], (0, 2))
        for sentence in facts["said"]:
            page.line(f"note: {sentence}")
        learned = f"learned from {facts['learned_from']:,} samples"
        density = f"mean log density of held-out samples {facts['log_density']:.4g} nats{true}"
        printing.show(facts["title"], f"{learned}; {density}", facts, out)
        page.line(f"sample it: jaxsamp sample --target {quoted(out / FILE)}")


def _short(mean: Any) -> str:
    """The first numbers of a mean."""
    flat = np.ravel(mean)
    return ", ".join(f"{value:.3g}" for value in flat[:6]) + (", ..." if flat.size > 6 else "")


def _write(found: Any, folder: Path) -> None:
    recipes.save_mixture(found.law, folder / FILE)
    np.savez(folder / SAMPLES, samples=found.samples)
