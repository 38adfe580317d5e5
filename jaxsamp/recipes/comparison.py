"""Several samplers at several numbers of steps, on one task, from the same noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import grids, metrics
from jaxsamp.core import checks
from jaxsamp.core.progress import bar
from jaxsamp.core.types import Array, Level, Samples
from jaxsamp.recipes.measured import against_measurements
from jaxsamp.recipes.parts import LEAST_COMPARED
from jaxsamp.recipes.sampling import costs_of, last_level, noise_levels
from jaxsamp.recipes.tasks import SamplingTask
from jaxsamp.running.sampling import carrying, raise_if_bad, sample
from jaxsamp.samplers import ParallelMidpoint, Sampler, UniPC, by_name
from jaxsamp.schedules import DiscreteTime
from jaxsamp.targets.base import TargetDenoiser

FINEST, FINEST_OF_NETWORKS, NULL_SETS = 1024, 256, 49
SHOWN = ("unipc", "unipc3", "dpmpp-2m", "heun", "ddim", "ddpm", "randomized-midpoint", "parallel-midpoint")


def compare(
    key: Array,
    task: SamplingTask,
    n: int,
    samplers: Sequence[str] | Mapping[str, Sampler] = SHOWN,
    steps: Sequence[int] = (8, 16, 32, 64),
    *,
    grid: str = "log_snr",
    sigma_max: float = grids.SIGMA_MAX,
    sigma_min: float = grids.SIGMA_MIN,
    microbatch: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Compare samplers at several numbers of steps: distance to the exact flow, and to the law.

    The distance to the flow is the median over samples of the root mean square per coordinate, at the last noise level,
    in the scale of the data. The flow starts from the same noise, and UniPC of order 3 follows it in 1,024 steps or
    more (256 or more for a network). Samplers of the reverse SDE leave the flow on purpose, so they have no such
    distance. The energy distance compares with true samples, or with held-out data if a network has learned from data;
    if it has learned from measurements, samples are measured again, and compared with held-out measurements. Without
    any data it compares with the ends of this flow from other noise.

    Args:
        key: a typed key.
        task: what to sample; a network needs a calibration if a sampler reads it, see `calibrated`.
        n: number of samples per sampler and number of steps.
        samplers: names, or samplers by the name in the report.
        steps: numbers of steps; for a sampler that takes the whole trajectory in one window, numbers of rounds.
        grid, sigma_max, sigma_min: see `noise_levels`; "calibrated" needs a task from `calibrated(..., grid=True)`, and
            is for the samplers, while the flow is then followed on "log_snr".
        microbatch, progress: as for `jaxsamp.sample`.

    Returns:
        "rows", each with sampler, steps, costs, memory of the program in bytes, distance_to_flow or None, energy, and
        its band energy_null; and "flow", with its steps and its distance to the flow in half as many steps.

    Raises:
        ValueError: a sampler is unknown, there is none, or a number is out of range; or as `jaxsamp.sample`.
    """
    chosen = dict(samplers) if isinstance(samplers, Mapping) else {name: by_name(name) for name in samplers}
    for name, values in (("samplers", chosen), ("steps", steps)):
        if not values:
            raise ValueError(f"{name} must name at least one; got none.")
    for count in steps:
        checks.at_least("steps", count, 1)
    checks.at_least("n", n, 2 if task.data.measured is None else LEAST_COMPARED)
    finest = max(FINEST if isinstance(task.denoiser, TargetDenoiser) else FINEST_OF_NETWORKS, 8 * max(steps))
    if isinstance(task.denoiser.schedule, DiscreteTime):  # which has no more steps than this
        finest = min(finest, len(task.denoiser.schedule.table()) - 1)
    for_noise, for_truth = jax.random.split(key)
    span = {"sigma_max": sigma_max, "sigma_min": sigma_min}
    # The flow itself does not need measured levels, and has its own when there are none.
    levels = partial(noise_levels, task.denoiser.schedule, grid="log_snr" if grid == "calibrated" else grid, **span)
    placed = partial(noise_levels, task.denoiser.schedule, grid=grid, denoiser=task.denoiser, **span)

    def draw(sampler: Sampler, steps: int) -> tuple[Any, Any, int]:
        return _drawn(for_noise, task, n, sampler, placed(steps, sampler=sampler), microbatch)

    fine = UniPC(order=3, lower_order_final=False)
    flow, coarser = (_drawn(for_noise, task, n, fine, levels(count), microbatch)[0] for count in (finest, finest // 2))
    if all(known is None for known in (task.law, task.data.held_out, task.data.measured)):
        for_other, for_truth = jax.random.split(for_truth)
        others = np.asarray(_drawn(for_other, task, n, fine, levels(finest), microbatch)[0])
        task = task._replace(data=replace(task.data, held_out=others))
    judge = _judge(task, n, levels(1), for_truth)
    rows = list(_rows(chosen, sorted(set(steps)), draw, flow, judge, progress))
    return {"rows": rows, "flow": {"steps": finest, "distance_to_half_as_many": _distance(flow, coarser)}}


def _rows(
    samplers: Mapping[str, Sampler],
    steps: Sequence[int],
    draw: Callable[[Sampler, int], tuple[Any, Any, int]],
    flow: Any,
    judge: Callable[[Any], metrics.Metric],
    progress: bool,
) -> Iterator[dict[str, Any]]:
    with bar("comparing", len(samplers) * len(steps), shown=progress) as advance:
        for name, sampler in samplers.items():
            for count in steps:
                x, stats, memory = draw(*_sized(sampler, count))
                energy = judge(x)
                yield {
                    "sampler": name,
                    "steps": count,
                    **costs_of(stats),
                    "memory": memory,
                    "distance_to_flow": _distance(x, flow) if sampler.discretizes == "ode" else None,
                    "energy": energy.value,
                    "energy_null": [energy.null_low, energy.null_high],
                }
                advance(1)


def _drawn(
    key: Array, task: SamplingTask, n: int, sampler: Sampler, levels: Any, microbatch: int | None
) -> tuple[Any, Any, int]:
    """Samples at the last level in the scale of the data, the cost per sample, and the memory of the program."""

    def draw(key: Array, denoiser: Any, cond: Any) -> Samples:
        options = {"cond": cond, "final_denoise": False, "microbatch": microbatch}
        return sample(key, denoiser, (n, *task.event), sampler, grid=levels, **options)

    given = key, carrying(task.denoiser, sampler), task.cond
    program = jax.jit(draw).lower(*given).compile()
    drawn, memory = program(*given), program.memory_analysis()
    raise_if_bad(drawn.stats["first_bad_step"], len(levels) - 1)
    used = 0 if memory is None else memory.temp_size_in_bytes + memory.output_size_in_bytes
    return drawn.x / last_level(task, levels).alpha, drawn.stats, used


def _judge(task: SamplingTask, n: int, levels: Any, key: Array) -> Callable[[Any], metrics.Metric]:
    """The energy distance to the law at the last noise level or, if it is not known, to the held-out data.

    If nobody has clean data, of samples that are measured again to held-out measurements.
    """
    if task.data.measured is not None and task.data.held_out is None:
        held_out = task.data.held_out_measured
        if len(held_out) < LEAST_COMPARED:
            raise ValueError(
                f"data must have at least {LEAST_COMPARED} held-out measurements to compare with; {task.data.name} has "
                f"{len(held_out)}."
            )
        return lambda x: against_measurements(np.asarray(x), held_out, key, NULL_SETS)["energy"]
    level = Level(1.0, float(levels[-1]))
    if task.law is None:
        return partial(metrics.energy, reference=task.data.held_out, key=key, level=level, null_sets=NULL_SETS)
    bank = metrics.NullBank(task.law, n, key, level)
    return partial(metrics.energy, reference=bank, null_sets=NULL_SETS)


def _sized(sampler: Sampler, steps: int) -> tuple[Sampler, int]:
    """A sampler and its steps; a sampler that takes the whole trajectory in one window gets as many rounds instead."""
    if isinstance(sampler, ParallelMidpoint) and sampler.default_steps == 1:
        return replace(sampler, iterations=max(1, steps - 1)), 1
    return sampler, steps


def _distance(x: Any, y: Any) -> float:
    """Median over samples of the root mean square over coordinates."""
    return float(jnp.median(jnp.sqrt(jnp.mean((x - y).reshape(len(x), -1) ** 2, -1))))
