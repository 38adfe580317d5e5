"""Samplers of densities known up to a constant, by Langevin dynamics.

Each is a frozen dataclass of settings, passed to `jaxsamp.sample_density`. They are not exact: steps of size h leave a
bias, of first order in h for the plain methods and of third order with the randomized midpoint.
"""

from jaxsamp.core.types import State
from jaxsamp.mcmc.base import Langevin
from jaxsamp.mcmc.curvature import smoothness
from jaxsamp.mcmc.overdamped import Overdamped
from jaxsamp.mcmc.parallel import ParallelUnderdamped
from jaxsamp.mcmc.underdamped import Underdamped

__all__ = ["Langevin", "Overdamped", "ParallelUnderdamped", "State", "Underdamped", "smoothness"]
