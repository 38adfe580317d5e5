"""Between which noise levels the components of a mixture come together, by bounds in which nothing is random."""

from collections.abc import Callable

import numpy as np

from jaxsamp.theory.windows import times as clock
from jaxsamp.theory.windows.bounds import Overlaps

FIRST, LAST = np.log(0.2), 30.0  # of log(sigma / alpha): reached in any case, and in none
MARGIN, WITHIN = 0.05, 0.01


def reach(
    overlaps: Overlaps, apart: Callable[[np.ndarray], bool], together: Callable[[np.ndarray], bool]
) -> tuple[float, float]:
    """Values of log(sigma / alpha): below the first all is `apart`, and above the last all is `together`.

    Both are functions of Bhattacharyya coefficients, which grow with the noise. What is not apart at a hundredth of
    the smallest scale of the mixture never is.
    """
    least = np.log(overlaps.smallest() / 100)

    def first(holds: Callable[[np.ndarray], bool]) -> float:
        low, high = least, LAST
        while high - low > WITHIN:
            middle = (low + high) / 2
            coefficients = overlaps.at(*clock.levels_at(clock.time_at([middle]))[0])
            low, high = (low, middle) if holds(coefficients) else (middle, high)
        return high

    start = min(first(lambda coefficients: not apart(coefficients)) - MARGIN, FIRST)
    return start, max(first(together), FIRST) + MARGIN
