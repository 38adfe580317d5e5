"""The times at which windows are looked for, and the levels of them in the variance-preserving scale."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.protocols import Schedule
from jaxsamp.core.types import Data
from jaxsamp.schedules import DiscreteTime

STEPS = 350  # of times, where none are given


def levels_at(tau: np.ndarray) -> np.ndarray:
    """alpha = e^-tau and sigma of the Ornstein-Uhlenbeck process, (times, 2)."""
    return np.stack([np.exp(-tau), np.sqrt(-np.expm1(-2 * tau))], 1)


def times_of(schedule: Schedule, tau: np.ndarray) -> np.ndarray:
    """The schedule's own times, where sigma / alpha is that of the Ornstein-Uhlenbeck process at tau."""
    level = schedule.level(jnp.asarray(-np.log(np.expm1(2 * tau)) / 2))
    return np.asarray(level.t, float)


def time_at(log_ratio: Any) -> Any:
    """The Ornstein-Uhlenbeck time at which log(sigma / alpha) is this."""
    return np.logaddexp(0, 2 * np.asarray(log_ratio)) / 2


def at(schedule: Schedule, times: Data) -> tuple[np.ndarray, Any]:
    """Finite times as floats, and their levels, of arrays; discrete times must be whole numbers."""
    given = checks.finite("times", times)
    own = given if isinstance(schedule, DiscreteTime) else given.astype(float)
    return given.astype(float), jax.vmap(schedule.at)(jnp.asarray(own).reshape(-1))


def checked_times(schedule: Schedule, times: Data) -> tuple[np.ndarray, np.ndarray]:
    """Times of the schedule, and those of the Ornstein-Uhlenbeck process with the same sigma / alpha.

    Raises:
        ValueError: times are not one axis of at least two finite ones along which sigma / alpha grows.
    """
    got, level = at(schedule, times)
    if got.ndim != 1 or got.size < 2:
        raise ValueError(f"times must be at least two, along one axis; got shape {got.shape}.")
    lam = np.asarray(level.log_snr, float)
    if not (np.isfinite(lam).all() and (np.diff(lam) < 0).all()):
        raise ValueError("times must be increasing, with sigma / alpha above 0 that grows along them.")
    return got, time_at(-lam)


def own_grid(ends: tuple[float, float], schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
    """The schedule's own times of `grid`, each trained time once if they are discrete, and those of the process."""
    tau = grid(ends, schedule)
    own = times_of(schedule, tau)
    return checked_times(schedule, np.unique(own).astype(int)) if isinstance(schedule, DiscreteTime) else (own, tau)


def grid(ends: tuple[float, float], schedule: Schedule) -> np.ndarray:
    """Times of the Ornstein-Uhlenbeck process, uniform in log(sigma / alpha), as far as the schedule reaches.

    `ends` are values of log(sigma / alpha).
    """
    with np.errstate(divide="ignore"):
        low, high = np.log([float(ratio) for ratio in schedule.limits()])
    return time_at(np.linspace(max(ends[0], low), min(ends[1], high), STEPS))
