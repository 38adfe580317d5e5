"""`jaxsamp train`: a network learns to denoise data, with a log and pictures, and resumes after any stop."""

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_type_hints

import jax
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

import jaxsamp as js
from jaxsamp import losses, models, plots, recipes, schedules, training
from jaxsamp.cli import devices, output
from jaxsamp.cli.command import Command, check_seed, named
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.printing import Page, kept
from jaxsamp.cli.settings import described, flags, plain, proxy, value_of, words_of
from jaxsamp.cli.stopping import stoppable
from jaxsamp.cli.words import ImageSize
from jaxsamp.core import checks
from jaxsamp.datasets.images import FITS
from jaxsamp.datasets.labels import listed
from jaxsamp.recipes.data import PLACES, is_known
from jaxsamp.recipes.networks import DTYPES, GIVEN, NETWORKS
from jaxsamp.recipes.tasks import CONFIG, TABLE, schedule_of
from jaxsamp.training import journal
from jaxsamp.training.checkpoint import alone

JOURNAL, CURVE, PICTURES = "metrics.jsonl", "loss.png", "pictures"
OF_ONE_CALL = frozenset({"out", "config", "resume", "devices", "fsdp", "progress"})
PREDICTS = ("edm", "x0", "epsilon", "v", "score", "velocity")
LEVELS = {
    "log-normal": losses.LogNormal(),
    "uniform-time": losses.UniformTime(),
    "uniform-log-snr": losses.UniformLogSNR(),
}
WEIGHTINGS = {
    "edm": "edm",
    "unit": losses.UnitWeighting(),
    "snr": losses.SNRWeighting(),
    "min-snr": losses.MinSNRWeighting(),
    "none": None,
}


def _network() -> Any:
    """The settings of all networks as flags, each of them None for a value that suits the data."""
    settings: dict[str, Any] = {}
    for name, kind in ((name, getattr(models, kind)) for name, kind in NETWORKS.items()):
        hints, docs = get_type_hints(kind), described(kind)
        for field in fields(kind):
            if field.name not in GIVEN:
                known = settings.setdefault(field.name, (hints[field.name], docs.get(field.name, ""), []))
                known[2].append(name)
    added = []
    for name, (hint, doc, kinds) in settings.items():
        metavar = "INT" if hint is int else "INT ..."
        hints = {"help": doc, "metavar": metavar, "help_behavior_hint": f"({', '.join(kinds)})"}
        added.append((name, Annotated[hint | None, arg(**hints)], None))
    doc = "The network; settings that are not given suit the data."
    return make_dataclass("Network", added, frozen=True, namespace={"__doc__": doc, "__module__": __name__})()


NETWORK, OPTIMIZER = _network(), proxy(training.AdamW())


@dataclass(frozen=True)
class Train(Command):
    """Train a network to denoise, for `jaxsamp sample --checkpoint` and `jaxsamp.training.load_denoiser`.

    Ctrl-C and SIGTERM save before they stop; `--resume` continues, and ends with the same weights as a run that was
    never stopped. A part of data without a known law is held out, the same part in every command. The weights are
    those of `jaxsamp.fit` with the key of --seed and the same settings.
    """

    data: Annotated[str, arg(metavar="NAME|FILE|FOLDER", help=f"What to learn: {PLACES}")] = "digits"
    image_size: ImageSize = 16
    """Size of images of a folder or of a data set on a hub: one number, or height and width."""
    image_fit: Annotated[str, named("How images of other proportions get that size", FITS)] = "crop"
    labels: bool = False
    """Learn the data given their labels: of digits, of the folders that images lie in, or `labels` in an .npz file."""
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
    drop: float = 0.1
    """Fraction of the labels that are dropped, for guidance."""
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
    optimizer: OmitArgPrefixes[type(OPTIMIZER)] = OPTIMIZER  # type: ignore[valid-type]

    choices: ClassVar = {"levels": (LEVELS, {}), "weighting": (WEIGHTINGS, {})}
    names: ClassVar = {"checkpoint": "--out"}

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
            stored = stored_settings(file.expanduser(), "--config" if given.config else "--resume")
        chosen = {choice for choice in cls.choices if f"--{choice}" in " ".join(words).replace("=", " ").split()}
        stored = {name: value for name, value in stored.items() if name.split(".")[0] not in chosen}
        again = super().parsed([*words_of(stored), *words], name)
        return replace(again, out=given.folder) if given.resume else again

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.out or Path("runs") / Path(self.data).expanduser().resolve().stem

    def run(self) -> None:
        """Load, train, write and print."""
        page, warned = Page(), []
        out = self.folder
        with stoppable(out, self.steps):
            with complaints(self), kept(warned):
                data, network, options = self._prepared()
            for warning in warned:
                page.line(str(warning))
            with self._kept(out, data):
                with complaints(self), kept([]):  # which has the warnings of `_prepared` again
                    state = js.fit(jax.random.key(self.seed), network, progress=self.progress, **options)
                entries = journal.read(out / JOURNAL)
                title = f"{data.name}: {type(network).__name__}, batches of {self.batch_size}"
                plots.save(plots.losses(entries, title=title), out / CURVE)
        weights, last = sum(leaf.size for leaf in jax.tree.leaves(state.params)), ""
        if entries:
            last = f"loss {entries[-1]['loss']:.4f} after {entries[-1]['seconds']:.0f} s"
        name, done = type(network).__name__, int(state.step)
        page.line(f"{data.name}: {name} of {weights:,} weights, {done:,} steps; {last}")
        page.line(f"written: {CONFIG}, {JOURNAL}, {CURVE} and the checkpoint of step {done} in {out}")
        page.line(f"sample it: jaxsamp sample --checkpoint {shlex.quote(str(out))}")

    def _prepared(self) -> tuple[recipes.LearningData, Any, dict[str, Any]]:
        """The data, the network, and the other arguments of `fit`."""
        check_seed(self.seed)
        for name, known in (("levels", LEVELS), ("weighting", WEIGHTINGS), ("predicts", PREDICTS)):
            checks.one_of(name, getattr(self, name), known)
        checks.at_least("samples_every", self.samples_every, 0)
        loss = training.denoising_loss(value_of(self, "levels"), value_of(self, "weighting"), self.drop)
        mesh = self._mesh()
        self._check_free()
        data = recipes.load(self.data, self.image_size, self.image_fit)
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
        sizes = {name: value for name, value in flags(self.sizes) if value is not None}
        classes = data.classes if self.labels else 0
        network = recipes.network_for(data.event, classes, self.network, self.dtype, **sizes)
        options = {"data": data.learned, "schedule": schedule_of(self.schedule), "steps": self.steps, "loss": loss}
        options |= {"predicts": self.predicts, "cond": data.labels.astype("int32") if self.labels else None}
        options |= {"batch_size": self.batch_size, "accumulate": self.accumulate, "ema": self.ema, "mesh": mesh}
        options |= {"optimizer": self.optimizer.made(), "fsdp": self.fsdp, "resume": self.resume}  # type: ignore
        options |= {"checkpoint": self.folder, "checkpoint_every": self.checkpoint_every}
        options |= {"metrics_file": self.folder / JOURNAL, "report_every": self.report_every}
        if self.samples_every:
            key = jax.random.key((self.seed + 2**31) % 2**32)  # the key of --seed belongs to `fit`
            paint = recipes.training_pictures(key, data, self.folder / PICTURES, self.steps, self.labels, mesh)
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

    @contextmanager
    def _kept(self, out: Path, data: recipes.LearningData) -> Iterator[None]:
        """Hold the folder, and keep the settings beside the checkpoints.

        A run that ends before its first checkpoint leaves nothing, and one that another holds up touches nothing.
        """
        with output.made(out), ExitStack() as held:
            with complaints(self):
                held.enter_context(alone(out))
                self._check_free()  # again, because another run may have come before
            new = training.latest_step(out) is None
            try:
                if new:
                    table = {TABLE: data.table.tolist()} if self.labels else {}
                    output.write_json(self.stored() | table, out / CONFIG)
                yield
            except BaseException:
                if new and training.latest_step(out) is None:
                    for name in (CONFIG, JOURNAL):
                        (out / name).unlink(missing_ok=True)
                raise

    def _check_free(self) -> None:
        """Raise unless the folder has no run, or --resume is given."""
        if not self.resume and ((self.folder / CONFIG).exists() or training.latest_step(self.folder) is not None):
            raise BadArgument(
                f"--out must be a folder without a run, or add --resume to continue it; {self.folder} has one."
            )

    def stored(self) -> dict[str, Any]:
        """The settings of the run by the names of their flags; the path of data is absolute."""
        data = self.data if is_known(self.data) else str(Path(self.data).expanduser().resolve())
        return {name: value for name, value in plain(self).items() if name not in OF_ONE_CALL} | {"data": data}


def stored_settings(path: Path, where: str) -> dict[str, Any]:
    """The settings that a run has stored.

    Raises:
        BadArgument: there is no such file, or a setting is unknown or has the wrong type.
    """
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadArgument(
            f"{where} must be a file of settings that `jaxsamp train` wrote; got {path} ({error})."
        ) from error
    if not isinstance(stored, dict):
        raise BadArgument(f"{where} {path} must hold settings by name; got {stored!r}.")
    stored.pop(TABLE, None)  # follows from the data
    known = [name for name, _ in flags(Train())]
    for name in stored:
        checks.one_of(f"{where} {path}: every setting", name.partition(".")[0], known)
    parse = super(Train, Train).parsed
    try:
        parse(words_of(stored), "train")
    except BadArgument:  # which one? To parse each takes half as long as to start the program
        for name, value in stored.items():
            given = {choice: stored.get(choice) for choice in Train.choices if name.startswith(f"{choice}.")}
            try:
                parse(words_of(given | {name: value}), "train")
            except BadArgument as error:
                sentence = f"{where} {path}: {name} must be a setting of `jaxsamp train`; got {value!r}."
                raise BadArgument(sentence) from error
    return stored
