"""`jaxsamp sample`: draw samples by an exact score and test that their law is right."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from tyro.conf import arg

import jaxsamp as js
from jaxsamp import checks, plots, samplers
from jaxsamp.cli import output, report
from jaxsamp.cli.errors import complaints
from jaxsamp.cli.picture import beside_truth
from jaxsamp.cli.setup import Problem, Setup, named

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
    out: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: runs/TARGET, or CHECKPOINT/samples)")
    ] = None
    """Where to write."""
    metrics: bool = True
    """Compare the samples with the law, and with held-out data."""

    def run(self) -> None:
        """Fit, sample, test, draw, write and print."""
        watched = self.progress and sys.stdout.isatty()
        stages = report.Stages(watched)
        with complaints():
            out, levels = self._checked()
            with stages("load"):
                source = self.source()
        with output.folder(out, FILES, self.force) as folder:
            with complaints():
                keys = jax.random.split(jax.random.key(self.seed), 6)
                problem = self.problem(keys[4], source, self.num_samples, stages)
                problem = self.calibrated(keys[5], problem, source, [self.sampler], stages)
                law = problem.law
                with stages("sample"):
                    x, costs = self._draw(keys[0], problem, levels, watched)
            count = len(levels) - 1
            steps = f"{count} step{'s' * (count > 1)}"
            x, last, found = x.reshape(-1, *source.event), js.Level(1.0, float(levels[-1])), {}
            if self.metrics:
                with stages("metrics", "comparing with the truth"):
                    if law is not None:
                        found["law"] = report.against_law(x, law, keys[1], last)
                    if source.train is not None:
                        found["data"] = report.against_data(x, source, keys[2])
            with stages("picture"):
                title = f"{source.name}: {len(x):,} samples by {self.sampler} in {steps}"
                plots.save(beside_truth(x, source, law, last, keys[3], title), folder / "samples.png")
            facts = {"target": source.name, "settings": asdict(self), "noise_levels": [float(levels[0]), last.sigma]}
            facts |= {**costs, "metrics": found, "seconds": stages.seconds, **report.about(law, source), "files": FILES}
            np.savez(folder / "samples.npz", samples=x, grid=levels, seed=self.seed)
            report.write_json(facts, folder / "report.json")
        headline = (
            f"{self.num_samples:,} samples by {self.sampler} in {steps}, {costs['evaluations']:g} evaluations "
            f"and {costs['rounds']:g} rounds each"
        )
        report.show(source.name, headline, facts, out)

    def _checked(self) -> tuple[Path, np.ndarray]:
        """Check every flag that can be checked without data; the folder to write and the levels to visit."""
        self.check()
        checks.one_of("--sampler", self.sampler, samplers.BY_NAME)
        steps = samplers.by_name(self.sampler).default_steps if self.steps is None else self.steps
        checks.at_least("--steps", steps, 1)
        # One sample can be drawn; to compare it with anything takes two.
        checks.at_least("--num-samples", self.num_samples, 2 if self.metrics else 1)
        out = self.out or self.default_out("samples", "")
        output.check_free(out, FILES, self.force)
        return out, self.levels(steps)

    def _draw(
        self, key: jax.Array, problem: Problem, levels: np.ndarray, watched: bool
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Samples at the last level in the scale of the data, x_0 + (sigma / alpha) z, and what they cost."""
        drawn = js.sample(
            key,
            problem.denoiser,
            (self.num_samples, *problem.event),
            samplers.by_name(self.sampler),
            grid=levels,
            final_denoise=False,
            cond=problem.cond,
            microbatch=self.microbatch,
            progress=watched,
        )
        x = np.asarray(drawn.x / self.schedule_used.level(-jnp.log(levels[-1])).alpha)
        return x, report.costs(drawn.stats) | {"peak_memory": report.peak_memory()}
