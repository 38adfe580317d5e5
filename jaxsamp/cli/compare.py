"""`jaxsamp compare`: several samplers at several step counts, on one target."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import arg

import jaxsamp as js
from jaxsamp import metrics, plots
from jaxsamp.cli import output, report
from jaxsamp.cli.data import Source
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.setup import Problem, Setup
from jaxsamp.core import checks
from jaxsamp.core.progress import bar
from jaxsamp.running.sampling import carrying, raise_if_bad
from jaxsamp.samplers import BY_NAME, ParallelMidpoint, Sampler, UniPC, by_name

FILES = ("compare.png", "compare.json")
FINEST, FINEST_OF_NETWORKS, NULL_SETS = 1024, 256, 49


@dataclass(frozen=True)
class Compare(Setup):
    """Compare samplers at several numbers of steps: distance to the exact flow, and to the law.

    All start from the same noise. The distance to the flow is the median over samples of the root mean square per
    coordinate, at the last noise level in the scale of the data, to the flow from the same noise, which UniPC of
    order 3 follows in 1,024 steps or more (of a network, in 256 or more). Samplers of the reverse SDE leave the flow
    on purpose and have none. The energy distance compares with true samples (of data that a network has learned,
    those held out), and is shown with the band where other true samples fall.
    """

    samplers: Annotated[tuple[str, ...], arg(metavar="NAME ...", help=f"Which samplers: {', '.join(BY_NAME)}.")] = (
        "unipc",
        "unipc3",
        "dpmpp-2m",
        "heun",
        "ddim",
        "ddpm",
        "randomized-midpoint",
        "parallel-midpoint",
    )
    steps: Annotated[tuple[int, ...], arg(metavar="INT ...")] = (8, 16, 32, 64)
    """Numbers of steps, or rounds of one window."""
    num_samples: int = 1000
    """Number of samples of each."""
    out: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: runs/TARGET-compare, or CHECKPOINT/compare)")
    ] = None
    """Where to write."""

    def run(self) -> None:
        """Fit, sample with each, measure, draw, write and print."""
        watched = self.progress and sys.stdout.isatty()
        stages = report.Stages(watched)
        with complaints():
            out = self._checked()
            with stages("load"):
                source = self.source()
        with output.folder(out, FILES, self.force) as folder:
            with complaints():
                key_noise, key_truth, key_labels, key_linear = jax.random.split(jax.random.key(self.seed), 4)
                problem = self.problem(key_labels, source, self.num_samples, stages)
                problem = self.calibrated(key_linear, problem, source, self.samplers, stages)
                with stages("flow", "following the flow"):
                    fine = UniPC(order=3, lower_order_final=False)
                    flow, coarser = (
                        self._draw(key_noise, problem, fine, steps)[0] for steps in (self._finest, self._finest // 2)
                    )
                with stages("compare"):
                    judge = self._judge(problem.law, source, key_truth)
                    rows = list(self._rows(key_noise, problem, flow, judge, watched))
            law = problem.law
            facts = {
                "target": source.name,
                "settings": asdict(self),
                "rows": rows,
                "flow": {"steps": self._finest, "distance_to_half_as_many": _distance(flow, coarser)},
                "seconds": stages.seconds,
                **report.about(law, source),
                "files": FILES,
            }
            plots.save(plots.comparison(rows, title=f"{source.name}: {self.num_samples:,} samples"), folder / FILES[0])
            report.write_json(facts, folder / FILES[1])
        _show(facts, out)

    @property
    def _finest(self) -> int:
        return max(FINEST if self.checkpoint is None else FINEST_OF_NETWORKS, 8 * max(self.steps))

    def _checked(self) -> Path:
        self.check()
        for flag, values in (("--samplers", self.samplers), ("--steps", self.steps)):
            if not values:
                raise BadArgument(f"{flag} must name at least one; got none.")
        for name in self.samplers:
            checks.one_of("--samplers", name, BY_NAME)
        for steps in self.steps:
            checks.at_least("--steps", steps, 1)
        checks.at_least("--num-samples", self.num_samples, 2)
        out = self.out or self.default_out("compare", "-compare")
        output.check_free(out, FILES, self.force)
        return out

    def _draw(self, key: jax.Array, problem: Problem, sampler: Sampler, steps: int) -> tuple[Any, Any, int]:
        """Samples at the last level in the scale of the data, what each cost, and the memory of the program."""
        grid, shape = self.levels(steps), (self.num_samples, *problem.event)

        def draw(key: jax.Array, denoiser: Any, cond: Any) -> js.Samples:
            options = {"cond": cond, "final_denoise": False, "microbatch": self.microbatch}
            return js.sample(key, denoiser, shape, sampler, grid=grid, **options)

        given = key, carrying(problem.denoiser, sampler), problem.cond
        program = jax.jit(draw).lower(*given).compile()
        drawn, memory = program(*given), program.memory_analysis()
        raise_if_bad(drawn.stats["first_bad_step"], steps)
        used = 0 if memory is None else memory.temp_size_in_bytes + memory.output_size_in_bytes
        return drawn.x / self.schedule_used.level(-jnp.log(grid[-1])).alpha, drawn.stats, used

    def _judge(self, law: Any, source: Source, key: jax.Array) -> Callable[[Any], metrics.Metric]:
        """The energy distance to the law at the last noise level or, where it is not known, to what was held out."""
        if law is None:
            return partial(metrics.energy, reference=source.held_out, key=key, null_sets=NULL_SETS)
        bank = metrics.NullBank(law, self.num_samples, key, js.Level(1.0, float(self.levels(1)[-1])))
        return partial(metrics.energy, reference=bank, null_sets=NULL_SETS)

    def _rows(
        self, key: jax.Array, problem: Problem, flow: Any, judge: Callable[[Any], metrics.Metric], watched: bool
    ) -> Iterator[dict[str, Any]]:
        names = list(dict.fromkeys(self.samplers))
        with bar("comparing", len(names) * len(self.steps), shown=watched) as advance:
            for name in names:
                sampler = by_name(name)
                for steps in sorted(set(self.steps)):
                    x, stats, memory = self._draw(key, problem, *_sized(sampler, steps))
                    energy = judge(x)
                    yield {
                        "sampler": name,
                        "steps": steps,
                        **report.costs(stats),
                        "memory": memory,
                        "distance_to_flow": _distance(x, flow) if sampler.discretizes == "ode" else None,
                        "energy": energy.value,
                        "energy_null": [energy.null_low, energy.null_high],
                    }
                    advance(1)


def _sized(sampler: Sampler, steps: int) -> tuple[Sampler, int]:
    """A sampler and its steps; one that takes the whole trajectory in one window is given as many rounds instead."""
    if isinstance(sampler, ParallelMidpoint) and sampler.default_steps == 1:
        return replace(sampler, iterations=max(1, steps - 1)), 1
    return sampler, steps


def _distance(x: Any, y: Any) -> float:
    """Median over samples of the root mean square over coordinates."""
    return float(jnp.median(jnp.sqrt(jnp.mean((x - y).reshape(len(x), -1) ** 2, -1))))


def _show(facts: dict[str, Any], out: Path) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{escape(facts['target'])}[/]: {facts['settings']['num_samples']:,} samples of each")
    # So that no cell is cut off in 80 columns, which is also what a pipe gets.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column in ("sampler", "steps", "evals", "rounds", "to flow", "energy", ""):
        table.add_column(column, justify="left" if column in ("sampler", "") else "right", no_wrap=True)
    previous = None
    for row in facts["rows"]:
        if previous not in (None, row["sampler"]):
            table.add_section()
        previous, distance = row["sampler"], row["distance_to_flow"]
        low, high = row["energy_null"]
        table.add_row(
            row["sampler"],
            str(row["steps"]),
            *(f"{row[cost]:{'.1f' if isinstance(row[cost], float) else 'd'}}" for cost in ("evaluations", "rounds")),
            "" if distance is None else f"{distance:.2e}",
            f"{row['energy']:.2e}",
            "[green]inside[/]" if low <= row["energy"] <= high else "[yellow]outside[/]",
        )
    console.print(table)
    low, high = facts["rows"][0]["energy_null"]
    console.print(f"energy distance of true samples: {low:.2e} to {high:.2e}", soft_wrap=True)
    memory = sorted(row["memory"] / 1e6 for row in facts["rows"])
    console.print(f"memory of a program: {memory[0]:.3g} to {memory[-1]:.3g} MB", soft_wrap=True)
    floor = facts["flow"]["distance_to_half_as_many"]
    console.print(f"the flow itself: {facts['flow']['steps']} steps, {floor:.1e} from half as many", soft_wrap=True)
    console.print(f"written: {', '.join(facts['files'])} in {out}", soft_wrap=True, markup=False)
