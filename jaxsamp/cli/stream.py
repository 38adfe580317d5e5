"""`jaxsamp sample` of more samples than one file is to hold: shards, written while the next ones are drawn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js
from jaxsamp.cli import output, report
from jaxsamp.cli.data import Source
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.setup import Problem
from jaxsamp.cli.stopping import resumable
from jaxsamp.core.types import Array
from jaxsamp.running import shards

COMPARED = 10_000  # the first so many samples are compared with the truth
SMALL, FILES = ("samples.png", "report.json"), ("manifest.json", "shard-*.npz", "samples.png", "report.json")


class Drawing(NamedTuple):
    """Where samples go, what they are samples of, and how they are drawn."""

    folder: Path
    source: Source
    levels: np.ndarray
    keys: jax.Array
    stages: report.Stages
    watched: bool


@dataclass(frozen=True)
class InDataScale:
    """States as samples in the scale and the shape of the data: x_0 + (sigma / alpha) z."""

    alpha: float
    event: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        """Samples (n, *event)."""
        return (x / self.alpha).reshape(-1, *self.event)


def run(command: Any, drawing: Drawing, size: int) -> None:
    """Draw what is left to draw; when all is there, compare the first samples, and write their picture and a report."""
    out = drawing.folder
    if not is_job(out):
        output.check_free(out, ("samples.npz", *SMALL), command.force)
    with output.made(out), resumable(lambda cause: _stopped(cause, out)):
        with complaints():
            problem = command.prepared(drawing.source, drawing.keys, drawing.stages)
            with drawing.stages("sample"):
                done = _drawn(command, drawing, problem, size)
        if not done.complete:
            print(f"{out}: {_missing(done)}")
        elif (out / "report.json").exists() and not command.force:
            print(f"{out} is complete: {len(done):,} samples in {len(done.manifest['shards']):,} shards.")
        else:
            with output.folder(out, SMALL, True) as folder:
                costs = _costs(done.manifest["costs"]) | {"peak_memory": report.peak_memory()}
                facts = command.told(drawing._replace(folder=folder), problem.law, done[:COMPARED], costs, FILES)
            command.show(facts, out)


def is_job(out: Path) -> bool:
    """Whether the folder holds shards, or some of them."""
    return any((out / name).exists() for name in shards.KNOWN_BY)


def _drawn(command: Any, drawing: Drawing, problem: Problem, size: int) -> shards.Shards:
    last = command.schedule_used.level(-jnp.log(drawing.levels[-1]))

    def draw() -> shards.Shards:
        return js.sample_shards(
            drawing.folder,
            drawing.keys[0],
            **command.asked(problem, drawing.levels),
            transform=InDataScale(float(jnp.asarray(last.alpha)), tuple(drawing.source.event)),
            shard_size=size,
            settings={"target": drawing.source.name, "seed": command.seed},
            progress=drawing.watched,
        )

    if not is_job(drawing.folder):
        _forget(drawing.folder)
    try:
        return draw()
    except shards.OtherSettings as error:
        if not command.force:
            raise BadArgument(f"--out: {error} --force removes them.") from error
        shards.clear(drawing.folder)
        _forget(drawing.folder)
        return draw()


def _forget(out: Path) -> None:
    """Remove the results of another run, which --force allows and an earlier check has else refused."""
    for name in ("samples.npz", *SMALL):
        (out / name).unlink(missing_ok=True)


def _costs(costs: dict[str, Any]) -> dict[str, Any]:
    """As those of `report.costs`: whole numbers where all samples cost the same."""
    found = {}
    for cost in ("evaluations", "rounds"):
        mean, most = costs[cost], costs[f"{cost}_most"]
        found |= {cost: most if mean == most else mean, f"{cost}_most": most}
    return found


def _missing(done: shards.Shards) -> str:
    names = done.missing
    if not names:
        return "a shard of another process is damaged. To draw it anew: the same command again."
    some = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    return f"{some} {'is' if len(names) == 1 else 'are'} missing, which other processes draw."


def _stopped(cause: str, out: Path) -> str:
    if not is_job(out):
        return f"stopped by {cause} before the first shard was written; nothing was kept."
    found = shards.Shards(out)
    total = -(-len(found) // found.shard_size)
    return (
        f"stopped by {cause}; {total - len(found.missing):,} of {total:,} shards are in {out}. "
        "To go on: the same command again."
    )
