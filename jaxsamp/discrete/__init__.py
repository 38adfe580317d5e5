"""Laws of spins, +1 and -1: of pairs, of more, through hidden spins; exact where sums over all states can be computed.

The samplers of `jaxsamp.sample_spins`, from `jaxsamp.mcmc`, are here too.
"""

from jaxsamp.discrete.base import SpinLaw, states
from jaxsamp.discrete.denoisers import TAPDenoiser, round_spins
from jaxsamp.discrete.formats import from_dwave, from_thrml, to_dwave, to_thrml
from jaxsamp.discrete.instances import curie_weiss, edwards_anderson, hopfield, lattice, p_spin, sk
from jaxsamp.discrete.ising import Ising
from jaxsamp.discrete.mrf import MRF
from jaxsamp.discrete.partition import Bracket, log_partition
from jaxsamp.discrete.rbm import RBM, LabeledRBM
from jaxsamp.discrete.sparse import SparseIsing
from jaxsamp.mcmc import BlockGibbs, Chromatic, Enumerate, HeatBath, SwendsenWang, Tempering

__all__ = [
    "MRF",
    "RBM",
    "BlockGibbs",
    "Bracket",
    "SwendsenWang",
    "Chromatic",
    "Enumerate",
    "HeatBath",
    "Ising",
    "LabeledRBM",
    "SparseIsing",
    "SpinLaw",
    "TAPDenoiser",
    "Tempering",
    "curie_weiss",
    "edwards_anderson",
    "from_dwave",
    "from_thrml",
    "hopfield",
    "lattice",
    "log_partition",
    "p_spin",
    "round_spins",
    "sk",
    "states",
    "to_dwave",
    "to_thrml",
]
