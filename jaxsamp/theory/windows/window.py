"""What is known of one critical window."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxsamp.theory.windows.averages import Curve
from jaxsamp.theory.windows.crossings import Crossing


@dataclass(frozen=True)
class Window:
    """When a sampler that goes back from noise decides for `after` among what `before` holds.

    p_t^S is the law of x_t where x_0 is of the components S, and TV total variation. Times are those of the schedule,
    each a `Crossing` (point, low, high).

    Attributes:
        after: numbers of the components that remain.
        before: numbers of those that were possible, more of them.
        eps: the level of all times.
        T_after: the largest time with TV(p_t^after, p_t^rest) >= 1 - eps^2: from here on the choice is made; nan if
            the two are never as far apart.
        T_before: the smallest time with TV(p_t^after, p_t^before) <= eps: until here it is open.
        T_start: the largest time with TV(p_t^before, p_t^rest) >= 1 - eps^2, infinite where `before` is everything.
        T_end: the smallest time to which samples of `after` can be noised and come back as samples of `before`. It is
            T_before.
        valid: whether T_end <= T_start: if it is, TV(law of what comes back, p^before) <= eps (1 + max(1, W) / sqrt(2))
            from all times between them, W being the weight of the rest over that of `before`.
        times: (times,).
        tv_after: TV(p_t^after, p_t^rest) with its band, a `Curve`.
        tv_before: TV(p_t^after, p_t^before).
        tv_start: TV(p_t^before, p_t^rest); None where `before` is everything.
        stay: probability that a sample of `after`, noised to t and brought back by the reverse SDE, is of `after`.
        entropy: of whether a sample of `before` is of `after`, given x_t, in nats.
        certified: (lower bound of T_after, upper bound of T_before) from Bhattacharyya coefficients, in which nothing
            is random; nan where there is none.
        refined_bound: of TV(law of what comes back from t, p^before): TV(p_t^after, p_t^before)
            + max(1, W) sqrt(1 - TV(p_t^before, p_t^rest)^2) / 2, (times,).
    """

    after: tuple[int, ...]
    before: tuple[int, ...]
    eps: float
    T_after: Crossing
    T_before: Crossing
    T_start: Crossing
    T_end: Crossing
    valid: bool
    times: np.ndarray = field(repr=False)
    tv_after: Curve = field(repr=False)
    tv_before: Curve = field(repr=False)
    tv_start: Curve | None = field(repr=False)
    stay: Curve = field(repr=False)
    entropy: Curve = field(repr=False)
    certified: tuple[float, float] = field(repr=False)
    refined_bound: np.ndarray = field(repr=False)

    def plot(self) -> Any:
        """A figure: the curves with their bands, and the window as a bar. See `jaxsamp.plots.window`."""
        from jaxsamp import plots

        return plots.window(self)
