"""Which noise levels a sampler visits: arrays of sigma / alpha, from noisy to clean, never reaching zero."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Array, ArrayLike
from jaxsamp.schedules import DiscreteTime, Schedule

SIGMA_MAX, SIGMA_MIN = 80.0, 0.02

# The name of a rule, an array of levels, or a function (schedule, steps) -> levels.
Grid = str | ArrayLike | Callable[..., ArrayLike]


def log_snr(schedule: Schedule, steps: int, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> Array:
    """steps + 1 levels uniform in lambda = log(alpha / sigma); the default rule.

    Args:
        schedule: bounds the range (`schedule.limits()`); with discrete times every level is a trained one.
        steps: number of intervals, at least 1.
        sigma_max: first sigma / alpha.
        sigma_min: last sigma / alpha, above 0.

    Returns:
        sigma / alpha, (steps + 1,), decreasing.

    Raises:
        ValueError: steps < 1, sigma_min <= 0, sigma_max <= sigma_min, or too few trained levels in the range.
    """
    high, low = _range(schedule, steps, sigma_max, sigma_min)
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
    high, low = _range(schedule, steps, sigma_max, sigma_min)
    if rho <= 0:
        raise ValueError(f"rho must be above 0; got {rho}.")
    return _settle(schedule, np.linspace(high ** (1 / rho), low ** (1 / rho), steps + 1) ** rho)


def uniform(schedule: Schedule, steps: int, *, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> Array:
    """steps + 1 levels uniform in the schedule's own time t; arguments as in `log_snr`."""
    high, low = _range(schedule, steps, sigma_max, sigma_min)
    _concrete(schedule)
    with jax.ensure_compile_time_eval():
        ends = np.asarray(schedule.level(-jnp.log(jnp.asarray([high, low]))).t, float)
        t = np.linspace(ends[0], ends[1], steps + 1)
        if isinstance(schedule, DiscreteTime):
            t = np.round(t).astype(int)
        levels = np.exp(-np.asarray(schedule.at(t).log_snr, float))
    return _settle(schedule, levels)


RULES: dict[str, Callable[..., Array]] = {"log_snr": log_snr, "karras": karras, "uniform": uniform}


def resolve(grid: Grid, schedule: Schedule, steps: Any, default: int = 32) -> ArrayLike:
    """The levels given by `grid`: the name of a rule, a function (schedule, steps) -> levels, or the levels themselves.

    Raises:
        ValueError: an unknown rule, steps that contradict the levels, or levels that are not positive, finite
            and strictly decreasing.
    """
    check = getattr(schedule, "check", None)  # a schedule of a user's own need not have one
    if check is not None and checks.is_concrete(schedule):
        check()
    if isinstance(grid, str):
        grid = RULES[checks.one_of("grid", grid, RULES)]
    if callable(grid):
        return grid(schedule, checks.at_least("steps", default if steps is None else steps, 1))
    if jnp.ndim(grid) != 1 or jnp.size(grid) < 2:
        raise ValueError(
            f"grid must be a rule or a 1-D array of at least 2 levels of sigma / alpha; got shape {jnp.shape(grid)}."
        )
    if steps is not None and steps != jnp.size(grid) - 1:
        raise ValueError(f"steps must be the number of intervals of grid, {jnp.size(grid) - 1}, or None; got {steps}.")
    if checks.is_concrete(grid):
        levels = checks.finite("grid", grid)
        if (levels <= 0).any() or (np.diff(levels) >= 0).any():
            raise ValueError(
                "grid must hold levels of sigma / alpha that decrease strictly and stay above 0; got "
                f"{np.array2string(levels, threshold=6, precision=4)}."
            )
    return grid


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


def _settle(schedule: Schedule, levels: np.ndarray) -> Array:
    """Levels as an array in the default precision; with discrete times, moved to trained levels."""
    if not isinstance(schedule, DiscreteTime):
        return jnp.asarray(levels)
    _concrete(schedule)
    with jax.ensure_compile_time_eval():
        settled = np.exp(-np.asarray(schedule.trained(-jnp.log(jnp.asarray(levels))), float))
    if (np.diff(settled) >= 0).any():
        raise ValueError(
            f"steps must leave every level its own trained time; got {len(levels) - 1} steps where some of the "
            "trained times would repeat."
        )
    return jnp.asarray(settled)


def _concrete(schedule: Schedule) -> None:
    if not checks.is_concrete(schedule):
        raise TypeError("grid must be an array, made outside jit, where the schedule itself is traced.")
