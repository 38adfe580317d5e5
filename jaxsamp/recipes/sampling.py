"""Samples of a task in the scale and the shape of the data, in memory or in the shards of a folder."""

from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsamp import grids
from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.recipes.tasks import SamplingTask
from jaxsamp.running.sampling import sample
from jaxsamp.running.shards import OtherSettings, Shards, clear, sample_shards
from jaxsamp.samplers import Sampler, UniPC

GRIDS = (*grids.RULES, "calibrated")


class Drawing(NamedTuple):
    """Samples, and how they were drawn.

    Attributes:
        x: (n, *event), x_0 + (sigma / alpha) z at the last level: in the scale and the shape of the data.
        levels: the noise levels sigma / alpha that were visited, (steps + 1,).
        costs: see `costs_of`.
    """

    x: np.ndarray
    levels: np.ndarray
    costs: dict[str, Any]


@dataclass(frozen=True)
class InDataScale:
    """States as samples in the scale and the shape of the data: x_0 + (sigma / alpha) z."""

    alpha: float
    event: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        """Samples (n, *event)."""
        return (x / self.alpha).reshape(-1, *self.event)


def noise_levels(
    schedule: Any,
    steps: int,
    grid: str = "log_snr",
    sigma_max: float = grids.SIGMA_MAX,
    sigma_min: float = grids.SIGMA_MIN,
    denoiser: Any = None,
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
) -> np.ndarray:
    """The levels sigma / alpha of a run of `steps` steps, from noisy to clean, (steps + 1,).

    The grid "calibrated" is that of `denoiser`, measured with `calibrated(..., grid=True)`, for `sampler`.

    Raises:
        ValueError: the grid is unknown, there are no steps, sigma_min and sigma_max are not a range inside that of the
            schedule, or nothing was measured for the grid "calibrated".
    """
    if checks.one_of("grid", grid, (*grids.RULES, "calibrated")) == "calibrated":
        of = {"frame": getattr(sampler, "frame", "data"), "order": sampler.convergence_order}
        rule = partial(grids.calibrated, calibration=denoiser, **of)
    else:
        rule = grids.RULES[grid]
    checks.at_least("steps", steps, 1)
    if not sigma_min > 0:
        raise ValueError(f"sigma_min must be above 0; got {sigma_min}.")
    if not sigma_min < sigma_max or not isfinite(sigma_max):
        raise ValueError(f"sigma_max must be finite and above {sigma_min}; got {sigma_max}.")
    return np.asarray(grids.resolve(partial(rule, sigma_max=sigma_max, sigma_min=sigma_min), schedule, steps))


def draw(
    key: Array,
    task: SamplingTask,
    n: int,
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
    levels: np.ndarray | None = None,
    *,
    mesh: Any = None,
    microbatch: int | None = None,
    progress: bool = False,
) -> Drawing:
    """Draw samples; the noise of the last level stays in them, so their law is that of the data at this level.

    Args:
        key: a typed key.
        task: what to sample.
        n: number of samples, equal to the number of labels of the task, if any.
        sampler: the sampler.
        levels: see `noise_levels`; by default from 80 to 0.02 in the sampler's default number of steps.
        mesh, microbatch, progress: as for `jaxsamp.sample`.

    Raises:
        ValueError, TypeError: as `jaxsamp.sample`.
    """
    levels = _levels(task, sampler, levels)
    drawn = sample(key, **_arguments(task, n, sampler, levels, mesh, microbatch), progress=progress)
    x = np.asarray(drawn.x / last_level(task, levels).alpha).reshape(-1, *task.data.event)
    return Drawing(x, levels, costs_of(drawn.stats))


def draw_to_folder(
    folder: str | Path,
    key: Array,
    task: SamplingTask,
    n: int,
    sampler: Sampler = UniPC(order=2),  # noqa: B008  (frozen)
    levels: np.ndarray | None = None,
    *,
    shard_size: int | None = None,
    settings: dict[str, Any] | None = None,
    mesh: Any = None,
    microbatch: int | None = None,
    progress: bool = False,
    force: bool = False,
) -> Shards:
    """Draw the same samples into the shards of a folder; call it again after any stop, and it continues.

    Args:
        folder: a folder without samples, or with samples of the same job.
        key, task, n, sampler, levels, mesh, microbatch, progress: as for `draw`.
        shard_size, settings: as for `jaxsamp.sample_shards`.
        force: replace the shards of another job instead of raising.

    Raises:
        ValueError: as `jaxsamp.sample_shards`.
    """
    levels = _levels(task, sampler, levels)
    alpha = float(jnp.asarray(last_level(task, levels).alpha))
    draw = partial(
        sample_shards,
        folder,
        key,
        **_arguments(task, n, sampler, levels, mesh, microbatch),
        transform=InDataScale(alpha, tuple(task.data.event)),
        shard_size=shard_size,
        settings=settings,
        progress=progress,
    )
    try:
        return draw()
    except OtherSettings:
        if not force:
            raise
        clear(Path(folder))
        return draw()


def last_level(task: SamplingTask, levels: np.ndarray) -> Any:
    """The last level of a run, in the schedule's own scale."""
    return task.denoiser.schedule.level(-jnp.log(levels[-1]))


def costs_of(stats: dict[str, Any]) -> dict[str, Any]:
    """Network calls per sample: the mean, an integer if all samples took the same, and the largest number."""
    costs = {}
    for cost in ("evaluations", "rounds"):
        values = np.asarray(stats[cost])
        costs[cost] = int(values[0]) if (values == values[0]).all() else float(values.mean())
        costs[f"{cost}_most"] = int(values.max())
    return costs


def costs_of_shards(costs: dict[str, Any]) -> dict[str, Any]:
    """The same from the costs in the manifest of a folder of shards."""
    whole = {}
    for cost in ("evaluations", "rounds"):
        mean, most = costs[cost], costs[f"{cost}_most"]
        whole |= {cost: most if mean == most else mean, f"{cost}_most": most}
    return whole


def _levels(task: SamplingTask, sampler: Sampler, levels: np.ndarray | None) -> np.ndarray:
    return noise_levels(task.denoiser.schedule, sampler.default_steps) if levels is None else levels


def _arguments(
    task: SamplingTask, n: int, sampler: Sampler, levels: np.ndarray, mesh: Any, microbatch: int | None
) -> dict[str, Any]:
    """The arguments that `sample` and `sample_shards` have in common."""
    return {
        "denoiser": task.denoiser,
        "shape": (n, *task.event),
        "sampler": sampler,
        "grid": levels,
        "final_denoise": False,
        "cond": task.cond,
        "mesh": mesh,
        "microbatch": microbatch,
    }
