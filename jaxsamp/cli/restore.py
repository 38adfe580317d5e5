"""`jaxsamp restore`: what was behind measurements, by a network that has learned from such measurements."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from tyro.conf import OmitArgPrefixes, arg

from jaxsamp import recipes
from jaxsamp.cli.command import Made, Place, ReportingCommand, clean, named
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.cli.through import check_law
from jaxsamp.cli.words import ImageSize
from jaxsamp.core import checks, disk
from jaxsamp.datasets.images import FITS
from jaxsamp.recipes.data import PLACES
from jaxsamp.recipes.measured import HELD_OUT

RESTORED, SHOWN = "restored.npz", 100


@dataclass(frozen=True)
class Restore(ReportingCommand):
    """Restore measured samples: the mean of what may be behind each measurement, E[x | y], in one evaluation.

    The network has learned from measurements of the same kind, these ones or others, and no clean sample is needed.
    What was hidden can be scored with --reference alone.
    """

    checkpoint: Annotated[Path, arg(metavar="FOLDER")]
    """The folder in which `jaxsamp train` has trained the network on measurements."""
    data: Annotated[Path, arg(metavar="FOLDER")]
    """The measurements, as `jaxsamp corrupt` writes them; those that it has held out are in FOLDER/held-out."""
    num: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Number of measurements to restore, the first ones."""
    reference: Annotated[
        str | None,
        arg(metavar="NAME|FILE|FOLDER", help=f"The clean samples that were measured: {PLACES}"),
    ] = None
    image_size: ImageSize = 16
    """Size of images of a --reference that is a folder or on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    microbatch: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: all)")] = None
    """Largest number of measurements at a time, to limit memory."""
    common: OmitArgPrefixes[Place] = Place()

    files: ClassVar = ("restored.png", "report.json", RESTORED)
    names: ClassVar[Mapping[str, str]] = {"folder": "--data"}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        for name in ("num", "microbatch"):
            if getattr(self, name) is not None:
                checks.at_least(name, getattr(self, name), 1)
        recipes.further_of(self.checkpoint)  # before a folder is made in it

    def default_out(self) -> Path:
        """CHECKPOINT/restored."""
        return self.checkpoint / "restored"

    def work(self, stages: Stages) -> Made:
        """Load, restore, compare and plot."""
        with stages("load"):
            measured, labels = recipes.measurements(self.data)
            measured, labels = measured[: self.num], None if labels is None else labels[: self.num]
            check_law(self.checkpoint, measured, stages)
            denoiser, clean_ones = recipes.learned_denoiser(self.checkpoint), self._clean(measured)
            numbers = recipes.numbered(self.checkpoint, denoiser, labels)
        with stages("restore", f"restoring {len(measured):,} samples"):
            x = recipes.restored(denoiser, measured, numbers, self.microbatch)
        with stages("picture"):
            sets = {"measured": recipes.visible(measured[:SHOWN]), "restored": x[:SHOWN]}
            sets |= {} if clean_ones is None else {"clean": clean_ones[:SHOWN]}
            figure = recipes.side_by_side(sets, f"{self._name}: restored in one evaluation")
        facts = {"data": str(self.data), "restored": len(x), "law": str(measured.law)}
        facts |= recipes.restoration(measured, x, clean_ones)
        return Made(facts, figure, partial(_write, x, labels))

    @property
    def _name(self) -> str:
        """The folder of the measurements in words."""
        folder = self.data.expanduser().resolve()
        return f"{folder.parent.name}, held out" if folder.name == HELD_OUT else folder.name

    def _clean(self, measured: Any) -> np.ndarray | None:
        """The clean samples in --reference that were measured, in their order."""
        if self.reference is None:
            return None
        data = clean(recipes.load(self.reference, self.image_size, self.image_fit), "--reference")
        whole = recipes.load_reference(self.reference, self.image_size, self.image_fit).train
        found = recipes.clean_of(measured, [data.train, data.held_out, whole])
        if found is None:
            raise BadArgument(
                f"--reference must be the clean samples that were measured, in their order; {data.name} does not have "
                f"what {self.data} shows of them."
            )
        return found

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page = Page()
        page.head(facts["data"], f": {facts['restored']:,} samples, of which {facts['seen']:.1%} was seen")
        noise = f", where the noise is {facts['noise']:.3g}" if facts["noise"] else ""
        page.line(f"where it was seen, root mean square of y - A x: {facts['residual']:.3g}{noise}")
        if facts["hidden"] is not None:
            hidden, mean = facts["hidden"], facts["hidden_by_mean"]
            page.line(f"where it was hidden, mean squared error: {hidden:.3g}; of the mean sample: {mean:.3g}")
        else:
            page.line("where it was hidden, nothing is known; --reference CLEAN compares with the clean samples")
        page.written(facts, out)


def _write(x: np.ndarray, labels: Any, folder: Path) -> None:
    """Write the restored samples, and their labels if they have any."""
    with disk.writing(folder / RESTORED):
        np.savez(folder / RESTORED, samples=x, **({} if labels is None else {"labels": labels}))
