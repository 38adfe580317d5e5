"""Laws of spins, +1 and -1: pairwise, sparse, of higher order; exact where sums over all states can be computed.

The samplers of `jaxsamp.sample_spins`, from `jaxsamp.mcmc`, are here too.
"""

from jaxsamp.discrete.base import SpinLaw, states
from jaxsamp.discrete.instances import curie_weiss, edwards_anderson, hopfield, lattice, p_spin, sk
from jaxsamp.discrete.ising import Ising
from jaxsamp.discrete.mrf import MRF
from jaxsamp.discrete.sparse import SparseIsing
from jaxsamp.mcmc import Enumerate, HeatBath

__all__ = [
    "MRF",
    "Enumerate",
    "HeatBath",
    "Ising",
    "SparseIsing",
    "SpinLaw",
    "curie_weiss",
    "edwards_anderson",
    "hopfield",
    "lattice",
    "p_spin",
    "sk",
    "states",
]
