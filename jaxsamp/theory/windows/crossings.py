"""When a curve that falls with the noise passes a value."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from jaxsamp.theory.windows.averages import Curve


class Crossing(NamedTuple):
    """A time that was estimated: where a curve passes a value, and where the ends of its band do; nan where none."""

    point: float
    low: float
    high: float


ALWAYS = Crossing(np.inf, np.inf, np.inf)


def crossing(times: np.ndarray, curve: Curve, value: float, *, from_start: bool) -> Crossing:
    """The time at which the curve, made non-increasing, falls to `value`, linear between times.

    Total variation falls with the noise by the data-processing inequality, so what rises is noise of the estimate.

    Args:
        times: (times,), increasing.
        curve: the estimate.
        value: to be reached.
        from_start: what a curve means that is below the value from the first time on: it was there before (the first
            time), or it never was above (nan).
    """
    found = [_passed(times, ends, value, from_start) for ends in curve]
    return Crossing(*found)


def _passed(times: np.ndarray, curve: np.ndarray, value: float, from_start: bool) -> float:
    falling = isotonic_regression(curve, increasing=False).x
    below = np.flatnonzero(falling <= value)
    if not below.size:
        return np.nan
    i = int(below[0])
    if i == 0:
        return float(times[0]) if from_start else np.nan
    share = (falling[i - 1] - value) / (falling[i - 1] - falling[i])
    return float(times[i - 1] + share * (times[i] - times[i - 1]))
