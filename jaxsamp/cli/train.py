"""`jaxsamp train`: a network learns to denoise data, with a log and pictures, and resumes after any stop."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

import jaxsamp as js
from jaxsamp import models, plots, recipes, schedules, training
from jaxsamp.cli import devices
from jaxsamp.cli.command import Command, check_seed, named
from jaxsamp.cli.drafts import check_draft, train_draft
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.losses import DROP, LEVELS, WEIGHTINGS, check_loss, loss_for
from jaxsamp.cli.merged import given as chosen
from jaxsamp.cli.merged import merged
from jaxsamp.cli.printing import Page, kept
from jaxsamp.cli.runs import JOURNAL, check_free, held, stored_settings
from jaxsamp.cli.settings import flags, plain, proxy, words_of
from jaxsamp.cli.stopping import stoppable
from jaxsamp.cli.words import ImageSize
from jaxsamp.core import checks
from jaxsamp.corruptions.laws import FURTHER
from jaxsamp.datasets.images import FITS
from jaxsamp.datasets.labels import listed
from jaxsamp.recipes.data import LEARNED, absolute, stem
from jaxsamp.recipes.networks import DTYPES, GIVEN, NETWORKS
from jaxsamp.recipes.tasks import CONFIG, schedule_of
from jaxsamp.training import journal
from jaxsamp.training.augment import MOVES

CURVE, PICTURES = "loss.png", "pictures"
OF_ONE_CALL = frozenset({"out", "config", "resume", "devices", "fsdp", "progress"})
PREDICTS = ("edm", "x0", "epsilon", "v", "score", "velocity")

NETWORK = merged(
    "Network",
    {name: getattr(models, kind) for name, kind in NETWORKS.items()},
    "The network; settings that are not given suit the data.",
    GIVEN,
)
OPTIMIZER = proxy(training.AdamW())


@dataclass(frozen=True)
class Train(Command):
    """Train a network to denoise, for `jaxsamp sample --checkpoint` and `jaxsamp.training.load_denoiser`.

    Ctrl-C and SIGTERM save before they stop; `--resume` continues, and ends with the same weights as a run that was
    never stopped. A part of data without a known law is held out, the same part in every command. The weights are
    those of `jaxsamp.fit` with the key of --seed and the same settings.
    """

    data: Annotated[str, arg(metavar="NAME|FILE|FOLDER", help=f"What to learn: {LEARNED}")] = "digits"
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    labels: bool = False
    """Learn the data given their labels: of digits, of the folders that images lie in, or `labels` in an .npz file."""
    draft: bool = False
    """Then train the same network with half the width, which parallel samplers follow between their rounds."""
    steps: int = 2500
    """Number of updates."""
    seed: int = 0
    """Seed of the weights, the order of the data and the noise."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    report_every: int = 50
    """Steps between lines of metrics.jsonl."""
    samples_every: int = 1000
    """Steps between pictures of samples by the averaged weights; 0 for none."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: runs/DATA)")] = None
    """The folder to write, or to resume."""
    config: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(optional)")] = None
    """The config.json of another run, whose settings replace the defaults."""
    resume: FlagCreatePairsOff[bool] = False
    """Continue the run in --out, with its own settings."""
    devices: Annotated[str, arg(metavar="all|INT")] = "1"
    """Devices over which each batch is divided."""
    fsdp: FlagCreatePairsOff[bool] = False
    """Divide the weights and the state of the optimizer over the devices too."""
    progress: bool = True
    """Show progress: a bar on a terminal, a line a minute in a log."""
    schedule: Annotated[str, named("How noise grows", schedules.BY_NAME)] = "edm"
    predicts: Annotated[str, named("What the network predicts", PREDICTS)] = "edm"
    levels: Annotated[str, named("Which noise levels it is trained at", LEVELS)] = "log-normal"
    weighting: Annotated[str, named("How much the error at a level counts", WEIGHTINGS)] = "edm"
    drop: float = DROP
    """Fraction of the labels that are dropped, for guidance."""
    further: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=f"(default: {FURTHER})")] = None
    """Rate at which more is hidden from a network that learns from measurements."""
    gsure: bool = False
    """Train on noisy measurements at all levels from their noise on, at about twice the cost."""
    annotations: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(optional)")] = None
    """At which noise levels each sample may train, as `jaxsamp annotate` has written it."""
    augment: Annotated[str | None, named("How images are moved at random", MOVES, "(default: not)")] = None
    batch_size: int = 128
    """Samples per update."""
    accumulate: int = 1
    """Parts into which a batch is split, to limit memory."""
    ema: float = 0.9999
    """Largest decay of the average of the weights; the average is what is sampled."""
    network: Annotated[
        str | None, named("Which network", NETWORKS, "(default: unet for images of more than 256 numbers, else mlp)")
    ] = None
    dtype: Annotated[str, named("What the network computes in", DTYPES)] = "float32"
    sizes: OmitArgPrefixes[type(NETWORK)] = NETWORK  # type: ignore[valid-type]
    """The network; settings that are not given suit the data."""
    optimizer: OmitArgPrefixes[type(OPTIMIZER)] = OPTIMIZER  # type: ignore[valid-type]
    """The optimizer."""

    choices: ClassVar = {"levels": (LEVELS, {}), "weighting": (WEIGHTINGS, {})}
    names: ClassVar = {"checkpoint": "--out", "path": "--annotations", "x": "--data"}

    @classmethod
    def parsed(cls, words: Sequence[str], name: str) -> Any:
        """The command, with the settings of --config or of the run to resume unless `words` override them."""
        given = super().parsed(words, name)
        file = given.config or (given.folder / CONFIG if given.resume else None)
        if file is None:
            return given
        if given.config is None and not file.exists():
            raise BadArgument(f"--resume needs a run in --out; {given.folder} has no {CONFIG}.")
        with complaints(given):
            stored = stored_settings(cls, file.expanduser(), "--config" if given.config else "--resume")
        chosen = {choice for choice in cls.choices if f"--{choice}" in " ".join(words).replace("=", " ").split()}
        stored = {name: value for name, value in stored.items() if name.split(".")[0] not in chosen}
        again = super().parsed([*words_of(stored), *words], name)
        return replace(again, out=given.folder) if given.resume else again

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.out or Path("runs") / stem(self.data)

    def run(self) -> None:
        """Load, train, write and print."""
        page, warned = Page(), []
        out = self.folder
        with stoppable(out, self.steps):
            with complaints(self), kept(warned):
                data, network, options = self._prepared()
            for warning in warned:
                page.line(str(warning))
            with held(self, data):
                with complaints(self), kept([]):  # which has the warnings of `_prepared` again
                    state = js.fit(jax.random.key(self.seed), network, progress=self.progress, **options)
                    draft = train_draft(self, data, network, options) if self.draft else None
                entries = journal.read(out / JOURNAL)
                title = f"{data.name}: {type(network).__name__}, batches of {self.batch_size}"
                plots.save(plots.losses(entries, title=title), out / CURVE)
        weights, last = sum(leaf.size for leaf in jax.tree.leaves(state.params)), ""
        if entries:
            last = f"loss {entries[-1]['loss']:.4f} after {entries[-1]['seconds']:.0f} s"
        name, done = type(network).__name__, int(state.step)
        page.line(f"{data.name}: {name} of {weights:,} weights, {done:,} steps; {last}")
        page.line(f"written: {CONFIG}, {JOURNAL}, {CURVE} and the checkpoint of step {done} in {out}")
        if draft is not None:
            page.line(draft)
        page.line(f"sample it: jaxsamp sample --checkpoint {shlex.quote(str(out))}")
        if data.measured is not None:
            data_of = shlex.quote(self.data)
            page.line(f"restore by it: jaxsamp restore --checkpoint {shlex.quote(str(out))} --data {data_of}")

    def _prepared(self) -> tuple[recipes.LearningData, Any, dict[str, Any]]:
        """The data, the network, and the other arguments of `fit`."""
        check_seed(self.seed)
        checks.one_of("predicts", self.predicts, PREDICTS)
        checks.at_least("samples_every", self.samples_every, 0)
        if self.augment is not None:
            checks.one_of("augment", self.augment, MOVES)
        check_loss(self)
        mesh = self._mesh()
        check_free(self)
        data = recipes.load(self.data, self.image_size, self.image_fit)
        loss, annotations = loss_for(self, data)
        if self.labels and data.labels is None:
            raise BadArgument(
                f"--labels needs data with labels; {data.name} has none. Images have those of the folders that each of "
                "them lies in, and arrays have `labels` beside them in an .npz file."
            )
        table = recipes.trained_labels(self.folder) if self.labels and self.resume else None
        if table is not None and table != data.table.tolist():
            raise BadArgument(
                f"--resume needs the labels that the run was begun with, {listed(table)}; {data.name} has labels "
                f"{listed(data.table)}."
            )
        classes = data.classes if self.labels else 0
        network = recipes.network_for(data.event, classes, self.network, self.dtype, **chosen(self.sizes))
        if self.draft:
            check_draft(data, network)
        options = {"data": data.learned, "schedule": schedule_of(self.schedule), "steps": self.steps, "loss": loss}
        options |= {"predicts": self.predicts, "cond": data.labels.astype("int32") if self.labels else None}
        options |= {"annotations": annotations, "augment": self.augment}
        options |= {"batch_size": self.batch_size, "accumulate": self.accumulate, "ema": self.ema, "mesh": mesh}
        options |= {"optimizer": self.optimizer.made(), "fsdp": self.fsdp, "resume": self.resume}  # type: ignore
        options |= {"checkpoint": self.folder, "checkpoint_every": self.checkpoint_every}
        options |= {"metrics_file": self.folder / JOURNAL, "report_every": self.report_every}
        if self.samples_every:
            further = FURTHER if self.further is None else self.further
            key = jax.random.key((self.seed + 2**31) % 2**32)  # the key of --seed belongs to `fit`
            paint = recipes.training_pictures(key, data, self.folder / PICTURES, self.steps, self.labels, mesh, further)
            options |= {"callback": paint, "callback_every": self.samples_every}
        return data, network, options

    def _mesh(self) -> Any:
        """The devices to train on."""
        mesh = devices.chosen(self.devices)
        count, part = 1 if mesh is None else mesh.size, self.batch_size // max(1, self.accumulate)
        if part % count:
            raise BadArgument(f"--devices must divide the {part} samples of a batch, or of its parts; got {count}.")
        if self.fsdp and count == 1:
            raise BadArgument("--fsdp needs more than one device; add --devices all.")
        return mesh

    def stored(self) -> dict[str, Any]:
        """The settings of the run by the names of their flags; paths are absolute."""
        paths = {"data": absolute(self.data)}
        if self.annotations is not None:
            paths["annotations"] = str(self.annotations.expanduser().resolve())
        kept = {name: value for name, value in plain(self).items() if name not in OF_ONE_CALL}
        return kept | {name: None for name, value in flags(self.sizes) if value is False} | paths  # these: not given
