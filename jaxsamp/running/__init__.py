"""The engine that carries rows, samples or chains, through steps, over devices and microbatches; its front doors."""

from jaxsamp.running.chains import Chains, sample_density
from jaxsamp.running.rows import rows
from jaxsamp.running.sampling import sample
from jaxsamp.running.spins import SpinChains, sample_spins

__all__ = ["Chains", "SpinChains", "rows", "sample", "sample_density", "sample_spins"]
