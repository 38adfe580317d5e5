"""`jaxsamp sample` into shards: many samples, which are written while they are drawn."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsamp import recipes
from jaxsamp.cli import output, printing
from jaxsamp.cli.errors import BadArgument, complaints
from jaxsamp.cli.printing import Stages
from jaxsamp.cli.stopping import resumable
from jaxsamp.core import disk
from jaxsamp.core.types import is_image
from jaxsamp.recipes.sampling import costs_of_shards
from jaxsamp.running import shards

COMPARED = 10_000  # number of samples in shards, the first ones, that are compared with the truth
SMALL, GRID = ("samples.png", "report.json"), "grid.png"
LABELS = "labels.npy"
IN_SHARDS = ("manifest.json", "shard-*.npz", *SMALL)


def to_shards(
    command: Any, out: Path, keys: jax.Array, task: Any, options: dict[str, Any], size: int, stages: Stages
) -> None:
    """Draw the missing shards; when all are there, compare the first samples."""
    if not is_job(out):
        output.check_free(out, ("samples.npz", *SMALL), command.common.force)
    with output.made(out), resumable(lambda cause: stopped(cause, out)):
        with complaints(command):
            what = task()
            options |= command.ready(what, options)
            options |= {"settings": {"target": what.data.name, "seed": command.common.seed}, "shard_size": size}
            with stages("sample"):
                done = _drawn(command, out, keys[0], what, options)
        if not done.complete:
            printing.Page().line(f"{out}: {missing(done)}")
        elif (out / "report.json").exists() and not command.common.force:
            count = len(done.manifest["shards"])
            printing.Page().line(f"{out} is complete: {len(done):,} samples in {count:,} shards.")
        else:
            more = (*grid(what.data), *(() if what.labels is None else (LABELS,)))
            # The report last: it says that all is there.
            with output.folder(out, (*more, *SMALL), True) as folder:
                if what.labels is not None:
                    with disk.writing(folder / LABELS):
                        np.save(folder / LABELS, what.labels)
                costs = costs_of_shards(done.manifest["costs"])
                drawn = recipes.Drawing(done[:COMPARED], options["levels"], costs)
                facts = command.reported(folder, keys, what, drawn, stages, (*IN_SHARDS, *more))
            command.show(facts, out)


def _drawn(
    command: Any, out: Path, key: jax.Array, task: recipes.SamplingTask, options: dict[str, Any]
) -> shards.Shards:
    for name in ("samples.npz", LABELS, GRID, *SMALL) if command.common.force else ():
        (out / name).unlink(missing_ok=True)
    try:
        return recipes.draw_to_folder(out, key, task, **options, force=command.common.force)
    except shards.OtherSettings as error:
        raise BadArgument(f"--out: {error}" + " --force removes them." * (not command.common.force)) from error


def grid(data: recipes.LearningData) -> tuple[str, ...]:
    """The second picture, if the samples are images."""
    return (GRID,) if is_image(data.event) else ()


def is_job(out: Path) -> bool:
    """Whether the folder holds a job of shards, finished or not."""
    return any((out / name).exists() for name in shards.KNOWN_BY)


def missing(done: shards.Shards) -> str:
    """A sentence about the shards that are left to other processes."""
    names = done.missing
    if not names:
        return "a shard of another process is damaged. Run the same command again to replace it."
    some = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    return f"{some} {'is' if len(names) == 1 else 'are'} missing and left to other processes."


def stopped(cause: str, out: Path) -> str:
    """A sentence about what is kept and how to continue."""
    if not is_job(out):
        return f"stopped by {cause} before the first shard was written; nothing was kept."
    done = shards.Shards(out)
    total = -(-len(done) // done.shard_size)
    return (
        f"stopped by {cause}; {total - len(done.missing):,} of {total:,} shards are in {out}. "
        "Run the same command again to continue."
    )
