"""Which noise levels a sampler visits: arrays of sigma / alpha, from noisy to clean, never reaching zero."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core import diffusers as theirs
from jaxsamp.core.types import Array, ArrayLike
from jaxsamp.schedules import DiscreteTime, Schedule, distinct_times, nearest_time

SIGMA_MAX, SIGMA_MIN = 80.0, 0.02
FINE = 4097  # points between which a measured density is summed
ROUNDING = 1e-4  # relative distance beyond an end of a schedule's range that is not an error

# The name of a rule, an array of levels, or a function (schedule, steps) -> levels.
Grid = str | ArrayLike | Callable[..., ArrayLike]


def log_snr(schedule: Schedule, steps: int, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> Array:
    """steps + 1 levels uniform in lambda = log(alpha / sigma); the default rule.

    With discrete times the levels are trained ones, the nearest that differ from each other: where trained times are
    further apart than the rule's levels, they follow one another. If the range has fewer of them than it takes, the
    next ones beyond it are taken too, first at its clean end.

    Args:
        schedule: bounds the range (`schedule.limits()`).
        steps: number of intervals, at least 1; with T discrete times at most T - 1.
        sigma_max: first sigma / alpha.
        sigma_min: last sigma / alpha, above 0.

    Returns:
        sigma / alpha, (steps + 1,), decreasing.

    Raises:
        ValueError: steps < 1 or >= T, sigma_min <= 0, or sigma_max <= sigma_min.
    """
    high, low = _finite_range(schedule, steps, sigma_max, sigma_min)
    return _settle(schedule, np.exp(np.linspace(np.log(high), np.log(low), steps + 1)))


def karras(
    schedule: Schedule,
    steps: int,
    *,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
    rho: float = 7.0,
) -> Array:
    """steps + 1 levels uniform in (sigma / alpha)^(1 / rho); arguments as in `log_snr`.

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """
    high, low = _finite_range(schedule, steps, sigma_max, sigma_min)
    if rho <= 0:
        raise ValueError(f"rho must be above 0; got {rho}.")
    return _settle(schedule, np.linspace(high ** (1 / rho), low ** (1 / rho), steps + 1) ** rho)


def uniform(schedule: Schedule, steps: int, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> Array:
    """steps + 1 levels uniform in the schedule's own time t; arguments as in `log_snr`; sigma_max may be infinite."""
    high, low = _range(schedule, steps, sigma_max, sigma_min)
    _concrete(schedule)
    with jax.ensure_compile_time_eval():
        ends = np.asarray(schedule.level(-jnp.log(jnp.asarray([high, low]))).t, float)
        if not np.isfinite(ends).all():
            name = type(schedule).__name__
            raise ValueError(f"sigma_max must be finite for {name}, which has no time of pure noise; got {high}.")
        t = np.linspace(ends[0], ends[1], steps + 1)
        if isinstance(schedule, DiscreteTime):
            t = np.round(t).astype(int)
        levels = np.exp(-np.asarray(schedule.at(t).log_snr, float))
    return _settle(schedule, levels)


def diffusers(
    schedule: DiscreteTime,
    evaluations: int,
    scheduler: str = "DDIMScheduler",
    *,
    spacing: str | None = None,
    steps_offset: int = 0,
    end: str = "zero",
) -> Array:
    """The levels at the times of a scheduler of diffusers after `set_timesteps(evaluations)`.

    Their last step goes to sigma = 0 (`end="zero"`), where no grid ends: it is the `final_denoise` of
    `jaxsamp.sample`. So there are as many levels as evaluations, one more than steps between them. With
    `end="sigma_min"` their last step goes to time 0, which is then the last level: turn `final_denoise` off.

        grid = jaxsamp.grids.diffusers(schedule, 20, "UniPCMultistepScheduler")
        sampler = jaxsamp.samplers.UniPC(lower_order_final="denoise")
        x = jaxsamp.sample(key, denoiser, shape, sampler, grid=grid).x

    Args:
        schedule: with discrete times; see `DiscreteTime.from_diffusers`.
        evaluations: their `num_inference_steps`.
        scheduler: "DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler" or "UniPCMultistepScheduler"; the
            last two visit other times under the same spacing than the first two.
        spacing: their `timestep_spacing`, "leading", "trailing" or "linspace"; by default that of the scheduler.
            DDIMScheduler itself always steps by T // evaluations times, and so leaves its own times under "linspace",
            and under "trailing" where T / evaluations is not whole; the grid does not.
        steps_offset: theirs, under "leading".
        end: "zero" (also `set_alpha_to_one=True`), or "sigma_min" (also `set_alpha_to_one=False`).

    Returns:
        sigma / alpha, (evaluations,), decreasing; with `end="sigma_min"` and a last time above 0, one more.

    Raises:
        ValueError: an unknown name, or more evaluations than times.
        TypeError: the schedule has no discrete times.
    """
    if not isinstance(schedule, DiscreteTime):
        raise TypeError(f"schedule must be DiscreteTime for the times of diffusers; got a {type(schedule).__name__}.")
    _concrete(schedule)
    times = theirs.times(len(schedule.lam), evaluations, scheduler, spacing, steps_offset)
    if checks.one_of("end", end, ("zero", "sigma_min")) == "sigma_min" and times[-1] > 0:
        times = np.append(times, 0)
    if len(times) < 2:
        raise ValueError(f"evaluations must be at least 2, because a grid has two levels or more; got {evaluations}.")
    return jnp.asarray(np.exp(-np.asarray(schedule.lam)[times]))


def sech(
    schedule: Schedule, steps: int, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN, power: float = 0.5
) -> Array:
    """steps + 1 levels with the density (1 / cosh lambda)^power, for data of scale 1; arguments as in `log_snr`.

    Power 0 is `log_snr`, power 1 is uniform in the time of the cosine schedule.
    """
    high, low = _finite_range(schedule, steps, sigma_max, sigma_min)
    lam = np.linspace(-np.log(high), -np.log(low), FINE)
    return _settle(schedule, _spread(lam, np.cosh(lam) ** -power, steps))


def calibrated(
    schedule: Schedule,
    steps: int,
    calibration: Any,
    *,
    frame: str = "data",
    order: float = 2.0,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
) -> Array:
    """steps + 1 levels, dense where one step of the denoiser's own flow errs; see `jaxsamp.calibration.placement`.

    Arguments as in `log_snr`, but for `calibration`, from `jaxsamp.calibrate(..., grid=True)`, or a denoiser that
    carries one, as those of targets do; and the `frame` in which the sampler steps, and its `order`.

    Raises:
        ValueError: as in `log_snr`; an unknown frame; or the calibration lacks the sizes of errors.
    """
    placement = getattr(calibration, "placement", None)
    if placement is None:
        raise ValueError(
            'grid "calibrated" needs a calibration with the sizes of the errors of steps, and this denoiser has none; '
            "measure it with denoiser.with_calibration(jaxsamp.calibrate(key, denoiser, data, grid=True))."
        )
    _concrete(placement)
    high, low = _finite_range(schedule, steps, sigma_max, sigma_min)
    lam = np.linspace(-np.log(high), -np.log(low), FINE)
    density = np.interp(lam, np.asarray(placement.log_snr, float), placement.density(frame, order))
    return _settle(schedule, _spread(lam, density, steps))


RULES: dict[str, Callable[..., Array]] = {"log_snr": log_snr, "karras": karras, "sech": sech, "uniform": uniform}


def resolve(
    grid: Grid,
    schedule: Schedule,
    steps: Any,
    default: int = 32,
    refuses: str | None = "a density",
    *,
    denoiser: Any = None,
    sampler: Any = None,
) -> ArrayLike:
    """The levels given by `grid`: the name of a rule, a function (schedule, steps) -> levels, or the levels themselves.

    "calibrated" is the rule `calibrated` for the frame and the order of `sampler` and the calibration of `denoiser`.

    Whichever it is, the same is asked of the levels: there are steps + 1 of them, from noisy to clean, strictly
    decreasing, above 0 and inside the range of the schedule. The first may be infinite if the schedule reaches
    alpha = 0, unless `refuses` names who cannot start there. Values of tracers are not looked at.

    Raises:
        ValueError: an unknown rule, steps that contradict the levels, or levels that are not as above.
    """
    check = getattr(schedule, "check", None)  # a schedule of a user's own need not have one
    if check is not None and checks.is_concrete(schedule):
        check()
    if isinstance(grid, str):
        if checks.one_of("grid", grid, (*RULES, "calibrated")) == "calibrated":
            of = {"frame": getattr(sampler, "frame", "data"), "order": getattr(sampler, "convergence_order", 2.0)}
            grid = partial(calibrated, calibration=denoiser, **of)
        else:
            grid = RULES[grid]
    what = "grid"
    if callable(grid):
        steps, what = checks.at_least("steps", default if steps is None else steps, 1), "what grid returns"
        grid = grid(schedule, steps)
    if not isinstance(grid, jax.Array):
        grid = np.asarray(grid)
    if grid.ndim != 1 or grid.size < 2:
        rule = "a rule or " if what == "grid" else ""
        raise ValueError(
            f"{what} must be {rule}a 1-D array of at least 2 levels of sigma / alpha; got shape {grid.shape}."
        )
    if steps is not None and steps != grid.size - 1:
        if what == "grid":
            raise ValueError(f"steps must be the number of intervals of grid, {grid.size - 1}, or None; got {steps}.")
        raise ValueError(f"{what} must be steps + 1 = {steps + 1} levels; got {grid.size}.")
    if checks.is_concrete(grid):
        levels = np.asarray(grid)
        if starts_at_pure_noise(levels) and reaches_pure_noise(schedule):
            if refuses is not None:
                raise ValueError(
                    f"{what} must start at a finite sigma / alpha for {refuses}; got infinity, pure noise, from which "
                    "jaxsamp.sample starts with samplers that step in the data frame, such as DDIM() and UniPC()."
                )
            checks.finite(what, levels[1:])
        else:
            checks.finite(what, levels)
        _check_levels(what, levels, schedule)
    return grid


def starts_at_pure_noise(levels: Any) -> bool:
    """Whether the first level is infinite: alpha = 0, so that x_t is sigma z and says nothing about x_0."""
    return checks.is_concrete(levels) and levels.dtype.kind == "f" and bool(np.asarray(levels)[0] == np.inf)


def reaches_pure_noise(schedule: Schedule) -> bool:
    """Whether the schedule has a level with alpha = 0 and finite sigma; assumed while it is traced."""
    if not checks.is_concrete(schedule):
        return True
    with jax.ensure_compile_time_eval():
        level = schedule.level(-jnp.inf)
        return bool(level.alpha == 0) and bool(jnp.isfinite(level.sigma))


def _check_levels(what: str, levels: np.ndarray, schedule: Schedule) -> None:
    """Raise unless levels decrease strictly, stay above 0 and are inside the schedule's range."""
    shown = np.array2string(levels, threshold=6, precision=4)
    # In the precision of the steps, in which two levels may become one.
    with np.errstate(divide="ignore", invalid="ignore"):
        lam = -np.log(levels.astype(jnp.result_type(float)))
    if (levels <= 0).any() or (np.diff(levels) >= 0).any() or not (np.diff(lam) > 0).all():
        raise ValueError(
            f"{what} must hold levels of sigma / alpha that decrease strictly and stay above 0; got {shown}."
        )
    inside(what, levels, schedule)


def inside(argument: str, levels: np.ndarray, schedule: Schedule) -> None:
    """Raise unless all levels are in the schedule's range, up to rounding; it is unknown while it is traced."""
    if not checks.is_concrete(schedule):
        return
    with jax.ensure_compile_time_eval():
        least, most = (float(limit) for limit in schedule.limits())
    if levels.min() < least * (1 - ROUNDING) or levels.max() > most * (1 + ROUNDING):
        raise ValueError(
            f"{argument} must stay inside the schedule's own range of sigma / alpha, {least:g} to {most:g}; got levels "
            f"from {levels.max():g} to {levels.min():g}."
        )


def _range(schedule: Schedule, steps: int, sigma_max: float, sigma_min: float) -> tuple[float, float]:
    """The two ends, within the schedule's limits (which are unknown while the schedule's settings are traced)."""
    checks.at_least("steps", steps, 1)
    if not sigma_min > 0:
        raise ValueError(f"sigma_min must be above 0 (in units of sigma / alpha); got {sigma_min}.")
    if not sigma_max > sigma_min:
        raise ValueError(f"sigma_max must be above sigma_min = {sigma_min}; got {sigma_max}.")
    if not checks.is_concrete(schedule):
        return sigma_max, sigma_min
    with jax.ensure_compile_time_eval():
        least, most = (float(limit) for limit in schedule.limits())
    if sigma_max <= least or sigma_min >= most:
        raise ValueError(
            f"sigma_max and sigma_min must overlap the schedule's own range of sigma / alpha, {least:g} to {most:g}; "
            f"got {sigma_max} and {sigma_min}."
        )
    return min(sigma_max, most), max(sigma_min, least)


def _finite_range(schedule: Schedule, steps: int, sigma_max: float, sigma_min: float) -> tuple[float, float]:
    """The two ends for rules that cannot reach pure noise."""
    high, low = _range(schedule, steps, sigma_max, sigma_min)
    if not np.isfinite(high):
        raise ValueError(f"sigma_max must be finite, except for the rule 'uniform'; got {sigma_max}.")
    return high, low


def _spread(lam: np.ndarray, density: np.ndarray, steps: int) -> np.ndarray:
    """Levels between which the density, given at increasing lambda, has equal integrals."""
    passed = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return np.exp(-np.interp(np.linspace(0, passed[-1], steps + 1), passed, lam))


def _settle(schedule: Schedule, levels: np.ndarray) -> Array:
    """Levels as an array in the default precision; with discrete times, moved to trained levels that all differ."""
    if not isinstance(schedule, DiscreteTime):
        return jnp.asarray(levels)
    _concrete(schedule)
    table = np.asarray(schedule.lam)
    times = nearest_time(table, -np.log(levels), np)
    return jnp.asarray(np.exp(-table[distinct_times(times, len(table))]))


def _concrete(held: Any) -> None:
    if not checks.is_concrete(held):
        raise TypeError("grid must be an array, made outside jit, where the schedule or the calibration is traced.")
