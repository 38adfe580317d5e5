"""`jaxsamp train`: a network learns to denoise data, watched, and safe against whatever stops it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from rich.console import Console
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

import jaxsamp as js
from jaxsamp import plots
from jaxsamp.cli import devices, output, settings
from jaxsamp.cli.data import PLACES, Source, is_known, load
from jaxsamp.cli.errors import BadArgument, check_seed, complaints
from jaxsamp.cli.learned import CONFIG, draw_labels
from jaxsamp.cli.network import Network
from jaxsamp.cli.objective import Objective, Optimizer
from jaxsamp.cli.picture import beside_truth
from jaxsamp.cli.stopping import stoppable
from jaxsamp.core import checks

JOURNAL, CURVE, PICTURES = "metrics.jsonl", "loss.png", "pictures"
OF_ONE_CALL = frozenset({"out", "config", "resume", "devices", "fsdp", "progress"})
DRAWN, DRAWN_STEPS = {True: 100, False: 1000}, 16  # of images and of other samples


@dataclass(frozen=True)
class Train:
    """Train a network to denoise, for `jaxsamp sample --checkpoint` and `jaxsamp.training.load_denoiser`.

    Ctrl-C and SIGTERM save before they stop; `--resume` goes on, and ends with the same weights as a run that nothing
    stopped. Of data without a known law one part is held out, the same as in every other command.
    """

    data: Annotated[
        str,
        arg(
            metavar="NAME|FILE|FOLDER",
            help=f"What to learn: {PLACES}",
        ),
    ] = "digits"
    image_size: int = 16
    """Height and width that images of a folder or of a set by name are cropped to."""
    labels: bool = False
    """Learn the data given their labels: of digits, or those in `labels` of an .npz file."""
    network: OmitArgPrefixes[Network] = Network()
    objective: OmitArgPrefixes[Objective] = Objective()
    optimizer: OmitArgPrefixes[Optimizer] = Optimizer()
    steps: int = 2500
    """Number of updates."""
    seed: int = 0
    """Seed of the weights, the order of the data and the noise."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    report_every: int = 50
    """Steps between lines of metrics.jsonl."""
    samples_every: int = 1000
    """Steps between pictures of samples of the averaged weights; 0 for none."""
    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: runs/DATA)")] = None
    """Where to write, and what to resume."""
    config: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(optional)")] = None
    """Settings of another run, its config.json, in the place of the defaults."""
    resume: FlagCreatePairsOff[bool] = False
    """Go on with the run in --out, with its own settings."""
    devices: Annotated[str, arg(metavar="all|INT")] = "1"
    """Devices that each batch is divided over."""
    fsdp: FlagCreatePairsOff[bool] = False
    """Divide the weights and the optimizer's memory over the devices too."""
    progress: bool = True
    """Show progress, on a terminal."""

    def completed(self, words: Sequence[str]) -> "Train":
        """With the settings of --config, or of the run to resume, wherever `words` do not say otherwise."""
        import tyro

        file = self.config or (self.folder / CONFIG if self.resume else None)
        if file is None:
            return self
        if self.config is None and not file.exists():
            raise BadArgument(f"--resume must find a run in --out; {self.folder} has no {CONFIG}.")
        with complaints():
            stored = settings.read(Train, file.expanduser(), "--config" if self.config else "--resume")
        again = tyro.cli(Train, prog="jaxsamp train", args=words, default=stored)
        return replace(again, out=self.folder) if self.resume else again

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.out or Path("runs") / Path(self.data).expanduser().resolve().stem

    def run(self) -> None:
        """Load, train, draw, write and print."""
        from jaxsamp import training
        from jaxsamp.training import journal

        with complaints():
            self._check(training)
            source = load(self.data, self.image_size, "--data")
            if self.labels and source.labels is None:
                raise BadArgument(f"--labels needs data with labels; {source.name} has none.")
            classes = int(source.labels.max()) + 1 if self.labels else 0
            network = self.network.build(source.event, classes)
            key, for_scale, for_pictures = jax.random.split(jax.random.key(self.seed), 3)
            model, options = self._prepared(training, for_scale, source, network)
            if self.samples_every:
                options |= {"callback": self._painter(for_pictures, source), "callback_every": self.samples_every}
        out, watched = self.folder, self.progress and sys.stderr.isatty()
        with self._kept(out), stoppable(out, self.steps):
            with complaints():
                state = js.fit(key, model, progress=watched, **options)
            entries = journal.read(out / JOURNAL)
            title = f"{source.name}: {type(network).__name__}, batches of {self.optimizer.batch_size}"
            plots.save(plots.losses(entries, title=title), out / CURVE)
        self._show(source, network, state, entries)

    def _check(self, training: Any) -> None:
        """Check every flag that can be checked without data."""
        for part in (self.network, self.objective, self.optimizer):
            part.check()
        for name in ("steps", "checkpoint_every", "report_every", "image_size"):
            checks.at_least(f"--{name.replace('_', '-')}", getattr(self, name), 1)
        checks.at_least("--samples-every", self.samples_every, 0)
        check_seed(self.seed)
        self._mesh()
        if not self.resume and ((self.folder / CONFIG).exists() or training.latest_step(self.folder) is not None):
            raise BadArgument(
                f"--out must be a folder without a run, or add --resume to go on with it; {self.folder} has one."
            )

    def _mesh(self) -> Any:
        """The devices to train on."""
        mesh = devices.chosen(self.devices)
        count, part = 1 if mesh is None else mesh.size, self.optimizer.batch_size // self.optimizer.accumulate
        if part % count:
            raise BadArgument(f"--devices must divide the {part} samples of a batch, or of its parts; got {count}.")
        if self.fsdp and count == 1:
            raise BadArgument("--fsdp needs more than one device; give --devices all.")
        return mesh

    def _prepared(self, training: Any, key: jax.Array, source: Source, network: Any) -> tuple[Any, dict[str, Any]]:
        """The model, and what else `fit` takes."""
        learned = source.train if source.law is None else source.law
        labels = source.labels.astype(np.int32) if self.labels else None
        std = training.data.batches(learned, None, key).std()
        if not std > 0:
            raise BadArgument(f"--data must vary; every sample of {source.name} is the same.")
        options = {"data": learned, "steps": self.steps, "cond": labels, "resume": self.resume}
        options |= {"loss": self.objective.loss(std, source.event, self.labels)}
        options |= {"batch_size": self.optimizer.batch_size, "accumulate": self.optimizer.accumulate}
        options |= {"optimizer": self.optimizer.build(), "ema": self.optimizer.ema}
        options |= {"mesh": self._mesh(), "fsdp": self.fsdp}
        options |= {"checkpoint": self.folder, "checkpoint_every": self.checkpoint_every}
        options |= {"metrics_file": self.folder / JOURNAL, "report_every": self.report_every}
        return self.objective.model(network, std), options

    def _painter(self, key: jax.Array, source: Source) -> Any:
        """Rng what the averaged weights make of the same noise each time."""
        folder = self.folder / PICTURES
        for_noise, for_labels, for_truth = jax.random.split(key, 3)
        n = DRAWN[plots.is_image(source.event)]
        cond, mesh = draw_labels(for_labels, source.labels, 0, n) if self.labels else None, self._mesh()

        def paint(step: int, state: Any) -> None:
            x = js.sample(for_noise, state.denoiser(), (n, *source.event), steps=DRAWN_STEPS, cond=cond, mesh=mesh).x
            title = f"{source.name}: after {step:,} of {self.steps:,} steps"
            folder.mkdir(exist_ok=True)
            picture = beside_truth(np.asarray(x), source, source.law, js.Level(1.0, 0.0), for_truth, title)
            plots.save(picture, folder / f"step-{step}.png")

        return paint

    @contextmanager
    def _kept(self, out: Path) -> Iterator[None]:
        """Keep the settings beside the checkpoints; a run that ends before its first checkpoint leaves nothing."""
        from jaxsamp.training import latest_step

        new = latest_step(out) is None
        with output.made(out):
            if new:
                settings.write(replace(self, data=self._absolute()), out / CONFIG, OF_ONE_CALL)
            try:
                yield
            except BaseException:
                if new and latest_step(out) is None:
                    for name in (CONFIG, JOURNAL):
                        (out / name).unlink(missing_ok=True)
                raise

    def _absolute(self) -> str:
        """--data, so that it can be found from anywhere."""
        return self.data if is_known(self.data) else str(Path(self.data).expanduser().resolve())

    def _show(self, source: Source, network: Any, state: Any, entries: list[dict[str, Any]]) -> None:
        weights = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        console, out = Console(highlight=False), self.folder
        last = f"loss {entries[-1]['loss']:.4f} after {entries[-1]['seconds']:.0f} s" if entries else ""
        name = type(network).__name__
        for line in (
            f"{source.name}: {name} of {weights:,} weights, {int(state.step):,} steps; {last}",
            f"written: {CONFIG}, {JOURNAL}, {CURVE} and the checkpoint of step {int(state.step)} in {out}",
            f"sample it: jaxsamp sample --checkpoint {out}",
        ):
            console.print(line, soft_wrap=True, markup=False)
