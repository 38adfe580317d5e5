"""Laws with exact denoisers, scores and densities at every noise level."""

from jaxsamp.targets.base import Target, TargetDenoiser
from jaxsamp.targets.bijections import Interval, Positive, Real, Simplex
from jaxsamp.targets.boxes import UniformBoxes
from jaxsamp.targets.empirical import Empirical
from jaxsamp.targets.gaussian_mixture import GaussianMixture
from jaxsamp.targets.log_density import LogDensity, from_log_density
from jaxsamp.targets.observed_plane import ObservedPlane, condition_plane
from jaxsamp.targets.toys import TOYS, checkerboard, circles, grid, moons, pinwheel, ring, spiral
from jaxsamp.targets.transformed import Transformed, transformed

__all__ = [
    "TOYS",
    "Empirical",
    "GaussianMixture",
    "Interval",
    "LogDensity",
    "ObservedPlane",
    "Positive",
    "Real",
    "Simplex",
    "Target",
    "TargetDenoiser",
    "Transformed",
    "UniformBoxes",
    "checkerboard",
    "circles",
    "condition_plane",
    "from_log_density",
    "grid",
    "moons",
    "pinwheel",
    "ring",
    "spiral",
    "transformed",
]
