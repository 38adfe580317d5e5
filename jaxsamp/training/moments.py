"""The scale of data: that of networks and noise levels, and that which the first noise must drown."""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """What networks and noise levels are scaled by, and the root of the largest squared mean plus the variance."""

    std: float
    magnitude: float

    @classmethod
    def of(cls, x: np.ndarray) -> "Moments":
        """Those of samples; a constant background does not count for the standard deviation."""
        mean = x.mean(0)
        std = float(np.std(x - mean))
        return cls(std, float(np.hypot(np.abs(mean).max(), std)))
