"""Log densities by a probability flow, for its own samples and for data."""

from jaxsamp.density.flows import SamplesAndLogProb, sample_and_log_prob
from jaxsamp.density.likelihood import LogLikelihood, bits_per_dim, log_likelihood

__all__ = ["LogLikelihood", "SamplesAndLogProb", "bits_per_dim", "log_likelihood", "sample_and_log_prob"]
