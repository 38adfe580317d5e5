"""The engine that carries rows, samples or chains, through steps, over devices and microbatches; its front doors."""

from jaxsamp.running.chains import Chains, sample_density
from jaxsamp.running.rows import rows
from jaxsamp.running.sampling import sample

__all__ = ["Chains", "rows", "sample", "sample_density"]
