"""Kernels of chains: Langevin and Hamiltonian dynamics for densities known up to a constant, and samplers of spins.

Each is a frozen dataclass of settings. The Langevin samplers, for `jaxsamp.sample_density`, are not exact: steps of
size h leave a bias, of first order in h for the plain methods and of third order with the randomized midpoint. `NUTS`
and `MALA`, for the same door, have an accept step and leave the law as it is, and so do those of spins, for
`jaxsamp.sample_spins`.
"""

from jaxsamp.core.types import State
from jaxsamp.mcmc.base import DensitySampler, Langevin
from jaxsamp.mcmc.block_gibbs import BlockGibbs
from jaxsamp.mcmc.chromatic import Chromatic
from jaxsamp.mcmc.curvature import smoothness
from jaxsamp.mcmc.enumerate import Enumerate
from jaxsamp.mcmc.heat_bath import HeatBath
from jaxsamp.mcmc.mala import MALA
from jaxsamp.mcmc.nuts import NUTS
from jaxsamp.mcmc.overdamped import Overdamped
from jaxsamp.mcmc.parallel import ParallelUnderdamped
from jaxsamp.mcmc.spins import SpinSampler
from jaxsamp.mcmc.swendsen_wang import SwendsenWang
from jaxsamp.mcmc.tempering import Tempering
from jaxsamp.mcmc.underdamped import Underdamped

# Samplers of spins by name.
SPIN_SAMPLERS = {
    "heat-bath": HeatBath(),
    "chromatic": Chromatic(),
    "swendsen-wang": SwendsenWang(),
    "tempering": Tempering(),
    "block-gibbs": BlockGibbs(),
    "enumerate": Enumerate(),
}

__all__ = [
    "MALA",
    "NUTS",
    "SPIN_SAMPLERS",
    "BlockGibbs",
    "Chromatic",
    "DensitySampler",
    "Enumerate",
    "HeatBath",
    "Langevin",
    "Overdamped",
    "ParallelUnderdamped",
    "SpinSampler",
    "State",
    "SwendsenWang",
    "Tempering",
    "Underdamped",
    "smoothness",
]
