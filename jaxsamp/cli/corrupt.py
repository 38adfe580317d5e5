"""`jaxsamp corrupt`: measure data by a law of corruptions, and keep what was measured alone."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
from tyro.conf import OmitArgPrefixes, arg

from jaxsamp import recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, named
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.merged import given, merged
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.cli.words import ImageSize
from jaxsamp.core import checks
from jaxsamp.core.fingerprint import describe
from jaxsamp.corruptions.files import ABOUT, LAWS
from jaxsamp.corruptions.laws import FURTHER, least_seen
from jaxsamp.datasets.images import FITS
from jaxsamp.recipes.data import PLACES, is_known, stem
from jaxsamp.recipes.measured import DRAWN, HELD_OUT, LABELS, LEAST

SETTINGS = merged("Settings", LAWS, "Those of the operator; the others have its defaults.")


@dataclass(frozen=True)
class Corrupt(ReportingCommand):
    """Measure data by operators drawn from a law, y = A x + noise, and keep the measurements alone.

    Each sample is measured once, by an operator of its own; `jaxsamp train --data FOLDER` learns from them. The
    held-out part of the data, the same as in every command, is measured into a folder of its own. The picture is the
    only place where clean samples are shown.
    """

    data: Annotated[str, arg(metavar="NAME|FILE|FOLDER", help=f"What to measure: {PLACES}")] = "digits"
    operator: Annotated[str, named("What hides parts of the samples", LAWS)] = "mask"
    settings: OmitArgPrefixes[type(SETTINGS)] = SETTINGS  # type: ignore[valid-type]
    """Those of the operator; the others have its defaults."""
    num_samples: Annotated[int | None, arg(metavar="INT", help_behavior_hint=f"(default: {DRAWN:,})")] = None
    """Number of samples of a known law; of data all are measured."""
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    common: Shared = Common()

    files: ClassVar = ("corrupted.png", "report.json", ABOUT)
    replaced: ClassVar = ("measurements-*.npz", LABELS, f"{HELD_OUT}/*")
    names: ClassVar[Mapping[str, str]] = {"n": "--num-samples", "event_shape": "--data"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        recipes.corruption(self.operator, **given(self.settings))
        if self.num_samples is not None:
            checks.at_least("num_samples", self.num_samples, LEAST)

    def default_out(self) -> Path:
        """runs/DATA-OPERATOR."""
        return Path("runs") / f"{stem(self.data)}-{self.operator}"

    def work(self, stages: Stages) -> Made:
        """Load, measure, and say what can be learned from the measurements."""
        law = recipes.corruption(self.operator, **given(self.settings))
        with stages("load"):
            data = recipes.load(self.data, self.image_size, self.image_fit)
        if data.law is None and self.num_samples is not None:
            raise BadArgument(f"--num-samples is for a known law; of {data.name} all samples are measured.")
        with stages("measure", "measuring"):
            data = recipes.measure(jax.random.key(self.common.seed), data, law, self.num_samples or DRAWN)
        with stages("picture"):
            seen, title = recipes.visible(data.measured[:100]), f"{data.name}, {_called(self.operator, law)}"
            figure = recipes.side_by_side({"what was measured": seen, "clean": data.train[:100]}, title)
        facts = {"data": data.name, "operator": self.operator, "law": describe(law), "event": data.event}
        facts |= {"measured": len(data.measured), "held_out": len(data.held_out_measured), "seen": data.measured.seen}
        facts |= {"labels": data.labels is not None, "title": title, **_learnable(law, data.measured.operator)}
        return Made(facts, figure, partial(recipes.save_measured, data))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["title"], f", {facts['measured']:,} measurements and {facts['held_out']:,} held out")
        if facts["seen"] is not None:
            page.line(f"seen: {facts['seen']:.1%} of each sample on average")
        if facts["cannot_be_learned"] is None:
            least, rate = facts["smallest_q"], facts["further"]
            page.line(f"can be learned from: what a further corruption of {rate:g} hides is seen with q >= {least:.3g}")
        else:
            page.line(f"cannot be learned from: {facts['cannot_be_learned']}")
        page.written(facts, out)
        if facts["cannot_be_learned"] is None:
            page.line(f"learn from them: jaxsamp train --data {quoted(out)} --out {quoted(out)}-network")


def quoted(path: Path) -> str:
    """A path as the shell takes it, and as no name of known data, which would win over it."""
    return shlex.quote(f"./{path}" if is_known(str(path)) else str(path))


def _called(operator: str, law: Any) -> str:
    """An operator with its settings in words: "mask (rate 0.5)"."""
    shown = {name: value for name, value in describe(law).items() if name != "type" and value}
    words = [name.replace("_", " ") + ("" if value is True else f" {value:g}") for name, value in shown.items()]
    return f"{operator} ({', '.join(words)})" if words else operator


def _learnable(law: Any, operator: Any) -> dict[str, Any]:
    """The smallest probability that what a further corruption hides is seen, or why nothing can be learned."""
    facts = {"further": FURTHER, "smallest_q": None, "cannot_be_learned": None}
    try:
        return facts | {"smallest_q": least_seen(law, operator)}
    except ValueError as error:
        return facts | {"cannot_be_learned": str(error)}
