"""`jaxsamp sample`: draw samples by an exact score or a network, and test that their law is right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from jaxsamp import plots, recipes, samplers
from jaxsamp.cli import output, printing
from jaxsamp.cli.command import Command, Common, Shared, check_seed, named
from jaxsamp.cli.devices import chosen, joined
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.printing import Stages
from jaxsamp.cli.sample_shards import GRID, LABELS, SMALL, grid, to_shards
from jaxsamp.cli.settings import plain, value_of
from jaxsamp.cli.subject import GUIDED, Subject
from jaxsamp.cli.through import OPERATORS, check_data, operators_of, through_operators
from jaxsamp.core import checks, disk
from jaxsamp.core.types import Level
from jaxsamp.datasets import DataWarning
from jaxsamp.recipes.data import PLACES
from jaxsamp.recipes.reports import peak_memory
from jaxsamp.running import shards

SHOWN = 100  # images, of samples without true ones beside them
CORRECTORS = {
    "overdamped": samplers.OverdampedCorrector(),
    "underdamped": samplers.UnderdampedCorrector(),
    "parallel": samplers.ParallelCorrector(),
}


@dataclass(frozen=True)
class Sample(Command):
    """Draw samples by an exact score or a trained network, and test that their law is right.

    Without arguments it fits a mixture of Gaussians to scikit-learn's handwritten digits, draws new digits, and writes
    them, a picture of them beside real ones, and a report to runs/digits. With --checkpoint it draws from a network
    that `jaxsamp train` has trained, and compares with the held-out data; with --pretrained from one that diffusers has
    saved, and compares with --target if it is given. The settings of a sampler are flags such as
    --sampler.order; --help shows those of the --sampler that is given before it.
    """

    sampler: Annotated[str, named("How to step", samplers.BY_NAME)] = "unipc"
    steps: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 32, or as suits the sampler)")] = None
    """Number of steps; for a sampler in windows, of windows."""
    num_samples: int = 2000
    """Number of samples."""
    shard_size: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: 16384, fewer if large; 0: one file)")
    ] = None
    """Samples per file; more samples than this are written to several files while they are drawn."""
    metrics: bool = True
    """Compare the samples with the law, and with held-out data."""
    full_mask: FlagCreatePairsOff[bool] = False
    """Of a network that has learned from measurements: hide nothing, instead of as much as in its training."""
    reference: Annotated[
        str | None, arg(metavar="NAME|FILE|FOLDER", help=f"Clean data to compare such samples with too: {PLACES}")
    ] = None
    devices: Annotated[str, arg(metavar="all|INT")] = "all"
    """Devices of this machine over which the samples are divided."""
    coordinator: Annotated[
        str | None, arg(metavar="HOST:PORT|auto", help_behavior_hint="(default: none, one process)")
    ] = None
    """Address of process 0, to share the shards with other processes; auto: as SLURM, Kubernetes or others say."""
    num_processes: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: from auto)")] = None
    """Number of processes that share the shards."""
    process_id: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: from auto)")] = None
    """Number of this process, from 0."""
    subject: OmitArgPrefixes[Subject] = Subject()
    common: Shared = Common()

    files: ClassVar = ("samples.npz", *SMALL)
    choices: ClassVar = {"sampler": (samplers.BY_NAME, {**samplers.BY_NAME, **CORRECTORS})}
    names: ClassVar[Mapping[str, str]] = {"data": "--target", "n": "--num-samples", "folder": "--out", **GUIDED}

    def run(self) -> None:
        """Check the flags, fit, sample, test the samples, then write and print the results."""
        with complaints(self):
            process = joined(self.coordinator, self.num_processes, self.process_id)
        if process.count > 1 and self.common.force:
            raise BadArgument(
                "--force must be left out with --coordinator, where one process might remove another's shards."
            )
        stages = Stages(self.watched and process.index == 0)
        with complaints(self):
            sampler, levels, mesh = self._checked()
            out = self.common.out or self.subject.default_out("samples", "")
            output.check_free(out, self.files[:1], self.common.force)  # the other files may belong to shards
            with stages("load"):
                data = self.subject.load()
            further = check_data(self, data)
            size = shards.default_size(data.event) if self.shard_size is None else self.shard_size
        split = 0 < size < self.num_samples
        if process.count > 1 and not split:
            raise BadArgument(
                f"--num-samples must be more than a shard, {size:,}, to be shared by {process.count} processes; "
                f"got {self.num_samples:,}."
            )
        keys = jax.random.split(jax.random.key(self.common.seed), 6)
        options = {"n": self.num_samples, "sampler": sampler, "levels": levels, "mesh": mesh}
        options |= {"microbatch": self.subject.microbatch, "progress": self.watched and process.index == 0}

        def task() -> recipes.SamplingTask:
            if further is not None:
                return through_operators(self, keys[2], data, further, [sampler], levels, stages)
            return self.subject.task((keys[4], keys[5]), data, self.num_samples, self.common.seed, [sampler], stages)

        if split:
            to_shards(self, out, keys, task, options, size, stages)
            return
        files = (*self.files, *grid(data))
        with output.folder(out, files, self.common.force) as folder:
            output.check_free(out, shards.KNOWN_BY, self.common.force)
            with complaints(self):
                what = task()
                options |= self.ready(what, options)
                with stages("sample"):
                    drawn = recipes.draw(keys[0], what, **options)
            facts = self.reported(folder, keys, what, drawn, stages, files)
            more = {} if what.labels is None else {"labels": what.labels}
            if self.subject.decoder is not None:
                more["images"] = recipes.decoded(self.subject.decoder, drawn.x)
            with disk.writing(folder / "samples.npz"):
                np.savez(folder / "samples.npz", samples=drawn.x, grid=drawn.levels, seed=self.common.seed, **more)
        if self.common.force:
            for name in {GRID, LABELS} - {*files}:  # those of an earlier run
                (out / name).unlink(missing_ok=True)
            with complaints(self):
                shards.clear(out)
        self.show(facts, out)

    def ready(self, task: recipes.SamplingTask, options: dict[str, Any]) -> dict[str, Any]:
        """The sampler and the levels, now that there is a task: its draft, and what was measured of it."""
        sampler, levels = options["sampler"], options["levels"]
        if self.subject.placed:
            levels = self.subject.levels(len(levels) - 1, task.denoiser, sampler)
        return {"sampler": self.subject.followed(task, sampler), "levels": levels}

    def reported(
        self,
        folder: Path,
        keys: jax.Array,
        task: recipes.SamplingTask,
        drawn: recipes.Drawing,
        stages: Stages,
        files: Sequence[str],
    ) -> dict[str, Any]:
        """Compare samples with the truth, write their pictures and the report, and return the report."""
        level, results, memory = Level(1.0, float(drawn.levels[-1])), {}, peak_memory()
        if self.metrics and len(drawn.x) == 1:
            stages.warnings.append(DataWarning("One sample is not compared with the truth, which takes two or more."))
        elif self.metrics and _known(task):
            with stages("metrics", "comparing with the truth"):
                results = recipes.report(keys[1], task, drawn.x, level)
        with stages("picture"):
            how = OPERATORS[operators_of(self, task)]
            title = f"{task.data.name}: {self._headline(len(drawn.levels) - 1)}{how}"
            if _known(task):
                figure = recipes.beside_truth(keys[3], drawn.x, task.data, level, task.law, title)
            else:
                shown = recipes.decoded(self.subject.decoder, drawn.x[:SHOWN])
                figure = recipes.picture_of(shown, title)
            plots.save(figure, folder / "samples.png")
            if GRID in files:
                labels = None if task.labels is None else task.labels[: len(drawn.x)]
                plots.save(recipes.alone(drawn.x, task.data, labels), folder / GRID)
        ends = [float(drawn.levels[0]), level.sigma]
        facts: dict[str, Any] = {"target": task.data.name, "settings": plain(self), "noise_levels": ends}
        facts |= {"steps": len(drawn.levels) - 1, **drawn.costs, "peak_memory": memory}
        facts |= {"compared": len(drawn.x), "metrics": results, **stages.facts()}
        facts |= {**recipes.about(task.law, task.data), "files": files, "operators": operators_of(self, task)}
        output.write_json(facts, folder / "report.json")
        return facts

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        costs = f"{facts['evaluations']:g} evaluations and {facts['rounds']:g} rounds each"
        headline = f"{self._headline(facts['steps'])}{OPERATORS[facts['operators']]}, {costs}"
        if facts["metrics"] and facts["compared"] < self.num_samples:
            headline += f"; the first {facts['compared']:,} are compared"
        printing.show(facts["target"], headline, facts, out)

    def _headline(self, steps: int) -> str:
        return f"{self.num_samples:,} samples by {self.sampler} in {steps} step{'s' * (steps > 1)}"

    def _checked(self) -> tuple[samplers.Sampler, np.ndarray, Any]:
        """Check every flag that can be checked without data; return the sampler, the levels and the mesh."""
        self.subject.check()
        check_seed(self.common.seed)
        mesh = chosen(self.devices)
        checks.one_of("sampler", self.sampler, samplers.BY_NAME)
        sampler = value_of(self, "sampler")
        sampler.check()
        checks.at_least("num_samples", self.num_samples, 1)
        if self.shard_size is not None:
            checks.at_least("shard_size", self.shard_size, 0)
        steps = sampler.default_steps if self.steps is None else self.steps
        return sampler, self.subject.levels(steps), mesh


def _known(task: recipes.SamplingTask) -> bool:
    """Whether there is a law or data to compare samples with."""
    return any(known is not None for known in (task.law, task.data.held_out, task.data.measured))
