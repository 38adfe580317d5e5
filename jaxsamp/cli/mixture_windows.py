"""`jaxsamp mixture windows`: between which noise levels samples decide for a group, going back from noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import FlagCreatePairsOff, arg

from jaxsamp import plots, recipes
from jaxsamp.cli.command import Common, Made, ReportingCommand, Shared, clean, clean_run, named, truth
from jaxsamp.cli.errors import BadArgument
from jaxsamp.cli.printing import Page, Stages
from jaxsamp.cli.words import ImageSize
from jaxsamp.core import checks
from jaxsamp.core.types import is_image
from jaxsamp.datasets.images import FITS
from jaxsamp.recipes.data import PLACES, stem

AXIS, TREE, STRIPS, SHOWN = "noise level sigma / alpha", "tree.png", "strips.png", 8
OF_A_LAW = ("eps", "components", "tree")
OF_A_NETWORK = ("times", "sigma_min", "sigma_max", "steps", "microbatch")


def _optional(default: str, metavar: str = "INT") -> Any:
    return arg(metavar=metavar, help_behavior_hint=f"({default})")


@dataclass(frozen=True)
class MixtureWindows(ReportingCommand):
    """Find the critical windows of groups: the noise levels between which samples decide, going back from noise.

    Of a mixture, for groups of its components that grow, from P(component given x_t), which is known. Of a network, for
    any groups of the labels of its data: samples are noised, brought back and read by a classifier.
    """

    target: Annotated[
        str | None,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"A mixture, or data that become one: {PLACES}",
            help_behavior_hint="(required, or --checkpoint)",
        ),
    ] = None
    components: Annotated[int | None, _optional("of data; default: 20, fewer for few data")] = None
    """Size of the mixture fitted to data."""
    checkpoint: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(optional)")] = None
    """The network that `jaxsamp train` has trained in this folder on data with labels, instead of a mixture."""
    groups: Annotated[tuple[str, ...], arg(metavar="GROUP ...", help_behavior_hint="(required, or --tree)")] = ()
    """Groups, the members of each joined by commas, 0 0,1 0,1,2,3: numbers of components, or labels of the data."""
    tree: FlagCreatePairsOff[bool] = False
    """Find how the components merge as noise grows."""
    eps: Annotated[float | None, _optional("of a mixture; default: 0.1", "FLOAT")] = None
    """The windows end where total variation is eps and 1 - eps^2."""
    num_samples: Annotated[int | None, _optional("default: 16384; of a network 256")] = None
    """Number of draws; of a network, largest number of samples of each group."""
    times: Annotated[int | None, _optional("of a network; default: 12")] = None
    """Number of noise levels at equal ratios."""
    sigma_min: Annotated[float | None, _optional("of a network; default: 0.1 standard deviations", "FLOAT")] = None
    """The smallest of them."""
    sigma_max: Annotated[float | None, _optional("of a network; default: 20 standard deviations", "FLOAT")] = None
    """The largest of them."""
    steps: Annotated[int | None, _optional("of a network; default: 100")] = None
    """Number of steps from each level back, by the DDPM sampler."""
    microbatch: Annotated[int | None, _optional("of a network; default: all")] = None
    """Largest number of samples at a time, to limit memory."""
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    common: Shared = Common()

    files: ClassVar = ("windows.png", "report.json")
    replaced: ClassVar = (TREE, STRIPS)

    @property
    def names(self) -> Mapping[str, str]:  # type: ignore[override]
        """The data are named by --target, or those that the network was trained on."""
        data = "--target" if self.checkpoint is None else "the data of --checkpoint"
        return {"n": "--num-samples", "starts": "--num-samples", "data": data}

    def check(self) -> None:
        """Raise one sentence if a flag is wrong whatever the data."""
        if (self.target is None) == (self.checkpoint is None):
            raise BadArgument("one of --target and --checkpoint must say whose windows, not both.")
        if not self.groups and not self.tree:
            raise BadArgument("--groups must hold at least one group, such as 0 or 0,1; or --tree finds them.")
        left_out, kind = (OF_A_NETWORK, "network") if self.checkpoint is None else (OF_A_LAW, "mixture")
        for name in left_out:
            if getattr(self, name) not in (None, False):
                raise BadArgument(f"--{name.replace('_', '-')} is for the windows of a {kind}.")
        for name, least in (("num_samples", 2), ("times", 2), ("steps", 1), ("microbatch", 1), ("components", 1)):
            if getattr(self, name) is not None:
                checks.at_least(name, getattr(self, name), least)
        if self.eps is not None and not 0 < self.eps < 0.5:
            raise BadArgument(f"--eps must be between 0 and 1/2; got {self.eps}.")
        for name in ("sigma_min", "sigma_max"):
            level = getattr(self, name)
            if level is not None and not 0 < level < inf:
                raise BadArgument(f"--{name.replace('_', '-')} must be finite and above 0; got {level}.")
        clean_run(self.checkpoint)

    def default_out(self) -> Path:
        """runs/TARGET-windows, or CHECKPOINT/windows."""
        if self.checkpoint is not None:
            return self.checkpoint / "windows"
        return Path("runs") / f"{stem(self.target or '')}-windows"

    def work(self, stages: Stages) -> Made:
        """Load, find and plot."""
        with stages("load"):
            data = clean(truth(self.target, self.checkpoint, self.image_size, self.image_fit))
        return self._of_mixture(data, stages) if self.checkpoint is None else self._of_network(data, stages)

    def _of_mixture(self, data: recipes.LearningData, stages: Stages) -> Made:
        law, seed = data.law, self.common.seed
        if law is None:
            with stages("fit", f"fitting to {len(data.train):,} samples"):
                law = recipes.law_of(data.train, "mixture", self.components, seed)
        keys, options = jax.random.split(jax.random.key(seed)), {"eps": self.eps or 0.1, "n": self.num_samples or 16384}
        names, title = recipes.component_numbers(law), f"Critical windows of {data.name}"
        found, tree = (), None
        with stages("windows", "averaging"):
            if self.groups:
                found = recipes.mixture_windows(keys[0], law, recipes.groups_of(self.groups, names), **options)
            if self.tree:
                tree = recipes.mixture_tree(keys[1], law, **options)
        facts = {"target": data.name, "title": title, "rows": [recipes.window_row(w, names) for w in found]}
        facts |= {**options, **recipes.about(law, data)}
        pictures = {}
        if tree is not None:
            facts["tree"] = recipes.tree_row(tree, names)
            pictures[TREE] = plots.merge_tree(
                tree, time=AXIS, log=True, title=f"Components of {data.name} merge as noise grows"
            )
        shown = [f"{_braced(row['after'])} among {_braced(row['before'])}" for row in facts["rows"]]
        figure = plots.timeline(found, shown, time=AXIS, log=True, title=title) if found else pictures[TREE]
        return Made(facts, figure, partial(_write, pictures))

    def _of_network(self, data: recipes.LearningData, stages: Stages) -> Made:
        with stages("classifier", "fitting the classifier"):
            reader = recipes.reader_of(data)
        groups = recipes.groups_of(self.groups, data.table)
        denoiser, std = recipes.learned_denoiser(self.checkpoint or ""), float(np.std(data.train - data.train.mean(0)))
        low, high = self.sigma_min or 0.1 * std, self.sigma_max or 20 * std
        if not low < high:
            raise BadArgument(f"--sigma-min must be below --sigma-max; got {low:.3g} and {high:.3g}.")
        with stages("windows"):
            found = recipes.learned_windows(
                jax.random.key(self.common.seed),
                data,
                denoiser,
                groups,
                np.geomspace(low, high, self.times or 12),
                reader,
                null=recipes.null_label(self.checkpoint or "", denoiser),
                starts=self.num_samples or 256,
                steps=self.steps or 100,
                keep=SHOWN,
                microbatch=self.microbatch,
                progress=self.watched,
            )
        title = f"Critical windows of the network in {self.checkpoint}"
        facts = {"target": data.name, "title": title, "rows": [recipes.window_row(w, data.table) for w in found]}
        facts |= {"accuracy": reader.accuracy, "confusion": reader.confusion.tolist(), **recipes.about(None, data)}
        facts["labels"] = np.asarray(data.table).tolist()
        pictures = {}
        if is_image(data.event):
            at = [f"{level:.2g}" for level in found[0].times]
            pictures[STRIPS] = plots.strips(found[0].start, found[0].returned.samples, at, title=f"back from {AXIS}")
        shown = [_braced(row["after"]) for row in facts["rows"]]
        return Made(facts, plots.timeline(found, shown, time=AXIS, log=True, title=title), partial(_write, pictures))

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        page, rows = Page(), []
        page.head(facts["target"], f": {facts['title']}, as {AXIS}")
        if "accuracy" in facts:
            page.line(
                f"the classifier is right for {facts['accuracy']:.1%} of held-out samples, which is corrected for"
            )
            columns = ("group", "share of data", "samples", "decided below", "open above")
        else:
            columns = ("group", "among", "decided below", "open above", "valid")
        for row in facts["rows"]:
            ends = _time(row["T_after"]), _time(row["T_before"])
            if "floor" in row:
                rows.append((_braced(row["after"]), f"{row['floor']:.1%}", f"{row['starts']:,}", *ends))
            else:
                rows.append((_braced(row["after"]), _braced(row["before"]), *ends, "yes" if row["valid"] else "no"))
        if rows:
            page.table(columns, rows, (0, 1))
        for line in _lines(facts["tree"]) if "tree" in facts else ():
            page.line(line)
        page.written(facts, out)


def _braced(group: Sequence[Any]) -> str:
    return "{" + ", ".join(map(str, group)) + "}"


def _time(ends: Sequence[float | None]) -> str:
    """A level with its band; "none" where there is none."""
    point, low, high = ends
    if point is None:
        return "none"
    return f"{point:.3g}" + (f" ({low:.3g} to {high:.3g})" if None not in (low, high) else "")


def _lines(node: dict[str, Any], indent: str = "") -> list[str]:
    own = f"{indent}{_braced(node['components'])}" + (f" from {node['level']:.3g}" if node["children"] else "")
    return [own, *(line for child in node["children"] for line in _lines(child, f"{indent}  "))]


def _write(pictures: dict[str, Any], folder: Path) -> None:
    for name, figure in pictures.items():
        plots.save(figure, folder / name)
