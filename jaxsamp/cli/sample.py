"""`jaxsamp sample`: draw samples by an exact score and test that their law is right."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from tyro.conf import arg

import jaxsamp as js
from jaxsamp import plots, samplers
from jaxsamp.cli import output, report, stream
from jaxsamp.cli.data import Source
from jaxsamp.cli.devices import chosen, joined
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.picture import beside_truth
from jaxsamp.cli.setup import Problem, Setup, named
from jaxsamp.cli.stream import Drawing
from jaxsamp.core import checks
from jaxsamp.running import shards

FILES = ("samples.npz", "samples.png", "report.json")


@dataclass(frozen=True)
class Sample(Setup):
    """Draw samples by an exact score or a trained network, and test that their law is right.

    Without arguments: fits a mixture of Gaussians to scikit-learn's handwritten digits, draws new digits, and writes
    them, a picture of them beside real ones, and a report to runs/digits. With --checkpoint: draws from a network that
    `jaxsamp train` has trained, and compares with the data that were held out from it.
    """

    sampler: Annotated[str, named("How to step", samplers.BY_NAME)] = "unipc"
    steps: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 32, or as suits the sampler)")] = None
    """Number of steps, or windows."""
    num_samples: int = 2000
    """Number of samples."""
    shard_size: Annotated[
        int | None, arg(metavar="INT", help_behavior_hint="(default: 16384, fewer if large; 0: one file)")
    ] = None
    """More samples than this are written in files of so many, while they are drawn."""
    out: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: runs/TARGET, or CHECKPOINT/samples)")
    ] = None
    """Where to write."""
    metrics: bool = True
    """Compare the samples with the law, and with held-out data."""
    devices: Annotated[str, arg(metavar="all|INT")] = "all"
    """Devices of this machine that the samples are divided over."""
    coordinator: Annotated[
        str | None, arg(metavar="HOST:PORT|auto", help_behavior_hint="(default: none, one process)")
    ] = None
    """Share the shards with other processes: where process 0 is, or auto to ask SLURM, Kubernetes and the like."""
    num_processes: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: from auto)")] = None
    """How many processes share the shards."""
    process_id: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: from auto)")] = None
    """Which of them this is, from 0."""

    def run(self) -> None:
        """Fit, sample, test, draw, write and print."""
        process = joined(self.coordinator, self.num_processes, self.process_id)
        if process.count > 1 and self.force:
            raise BadArgument(
                "--force must be left out with --coordinator, where one process might remove another's shards."
            )
        watched = self.progress and sys.stdout.isatty() and process.index == 0
        stages = report.Stages(watched)
        with complaints():
            out, levels = self._checked()
            with stages("load"):
                source = self.source()
            size = shards.default_size(source.event) if self.shard_size is None else self.shard_size
        keys = jax.random.split(jax.random.key(self.seed), 6)
        if 0 < size < self.num_samples:
            stream.run(self, Drawing(out, source, levels, keys, stages, watched), size)
            return
        if process.count > 1:
            raise BadArgument(
                f"--num-samples must be more than a shard, {size:,}, to be shared by {process.count} processes; "
                f"got {self.num_samples:,}."
            )
        with output.folder(out, FILES, self.force) as folder:
            output.check_free(out, shards.KNOWN_BY, self.force)
            with complaints():
                problem = self.prepared(source, keys, stages)
                with stages("sample"):
                    x, costs = self._draw(keys[0], problem, levels, watched)
            drawing = Drawing(folder, source, levels, keys, stages, watched)
            facts = self.told(drawing, problem.law, x.reshape(-1, *source.event), costs, FILES)
            np.savez(folder / "samples.npz", samples=x.reshape(-1, *source.event), grid=levels, seed=self.seed)
        if self.force:
            shards.clear(out)
        self.show(facts, out)

    def prepared(self, source: Source, keys: jax.Array, stages: report.Stages) -> Problem:
        """What is sampled, fitted and calibrated."""
        problem = self.problem(keys[4], source, self.num_samples, stages)
        return self.calibrated(keys[5], problem, source, [self.sampler], stages)

    def asked(self, problem: Problem, levels: np.ndarray) -> dict[str, Any]:
        """What to draw and how, as `js.sample` and `js.sample_shards` take it."""
        return {
            "denoiser": problem.denoiser,
            "shape": (self.num_samples, *problem.event),
            "sampler": samplers.by_name(self.sampler),
            "grid": levels,
            "final_denoise": False,
            "cond": problem.cond,
            "mesh": chosen(self.devices),
            "microbatch": self.microbatch,
        }

    def told(
        self, drawing: Drawing, law: Any, x: np.ndarray, costs: dict[str, Any], files: Sequence[str]
    ) -> dict[str, Any]:
        """Compare samples (n, *event) with the truth, and write their picture and the report, which is returned."""
        folder, source, levels, keys, stages, _ = drawing
        last, found = js.Level(1.0, float(levels[-1])), {}
        if self.metrics:
            with stages("metrics", "comparing with the truth"):
                if law is not None:
                    found["law"] = report.against_law(x, law, keys[1], last)
                if source.train is not None:
                    found["data"] = report.against_data(x, source, keys[2])
        with stages("picture"):
            title = f"{source.name}: {self.num_samples:,} samples by {self.sampler} in {_counted(len(levels) - 1)}"
            plots.save(beside_truth(x, source, law, last, keys[3], title), folder / "samples.png")
        facts = {"target": source.name, "settings": asdict(self), "noise_levels": [float(levels[0]), last.sigma]}
        facts |= {"steps": len(levels) - 1, **costs, "compared": len(x)}
        facts |= {"metrics": found, "seconds": stages.seconds, **report.about(law, source), "files": files}
        report.write_json(facts, folder / "report.json")
        return facts

    def show(self, facts: dict[str, Any], out: Path) -> None:
        """Print the report."""
        headline = (
            f"{self.num_samples:,} samples by {self.sampler} in {_counted(facts['steps'])}, "
            f"{facts['evaluations']:g} evaluations and {facts['rounds']:g} rounds each"
        )
        if facts["metrics"] and facts["compared"] < self.num_samples:
            headline += f"; the first {facts['compared']:,} are compared"
        report.show(facts["target"], headline, facts, out)

    def _checked(self) -> tuple[Path, np.ndarray]:
        """Check every flag that can be checked without data; the folder to write and the levels to visit."""
        self.check()
        chosen(self.devices)
        checks.one_of("--sampler", self.sampler, samplers.BY_NAME)
        steps = samplers.by_name(self.sampler).default_steps if self.steps is None else self.steps
        checks.at_least("--steps", steps, 1)
        # One sample can be drawn; to compare it with anything takes two.
        checks.at_least("--num-samples", self.num_samples, 2 if self.metrics else 1)
        if self.shard_size is not None:
            checks.at_least("--shard-size", self.shard_size, 0)
        out = self.out or self.default_out("samples", "")
        output.check_free(out, FILES[:1], self.force)  # the others may be those of shards that are complete
        return out, self.levels(steps)

    def _draw(
        self, key: jax.Array, problem: Problem, levels: np.ndarray, watched: bool
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Samples at the last level in the scale of the data, x_0 + (sigma / alpha) z, and what they cost."""
        drawn = js.sample(key, **self.asked(problem, levels), progress=watched)
        x = np.asarray(drawn.x / self.schedule_used.level(-jnp.log(levels[-1])).alpha)
        return x, report.costs(drawn.stats) | {"peak_memory": report.peak_memory()}


def _counted(steps: int) -> str:
    return f"{steps} step{'s' * (steps > 1)}"
