"""Samplers of diffusion models. Each is a frozen dataclass of settings, passed to `jaxsamp.sample`."""

from jaxsamp.core import checks
from jaxsamp.core.types import State
from jaxsamp.samplers.base import Problem, Sampler
from jaxsamp.samplers.correctors import (
    Corrector,
    OverdampedCorrector,
    ParallelCorrector,
    UnderdampedCorrector,
)
from jaxsamp.samplers.ddim import DDIM, DDPM
from jaxsamp.samplers.dpm_solver import DPMSolverPP
from jaxsamp.samplers.euler import ExponentialEuler
from jaxsamp.samplers.heun import Heun
from jaxsamp.samplers.midpoint import Midpoint
from jaxsamp.samplers.paradigms import ParaDiGMS
from jaxsamp.samplers.parallel_midpoint import ParallelMidpoint
from jaxsamp.samplers.predictor_corrector import PredictorCorrector
from jaxsamp.samplers.randomized_midpoint import RandomizedMidpoint, RandomizedMidpointSDE
from jaxsamp.samplers.sliding_window import SlidingWindow
from jaxsamp.samplers.speculative import SpeculativeDDPM
from jaxsamp.samplers.split_gibbs import SplitGibbs
from jaxsamp.samplers.unipc import UniPC

BY_NAME = {
    "unipc": UniPC(),
    "unipc3": UniPC(order=3),
    "dpmpp-2m": DPMSolverPP(),
    "dpmpp-3m": DPMSolverPP(order=3),
    "dpmpp-2m-sde": DPMSolverPP(stochastic=True),
    "ddim": DDIM(),
    "ddpm": DDPM(),
    "euler-score": ExponentialEuler(),
    "heun": Heun(),
    "heun-churn": Heun(churn=40.0),
    "midpoint": Midpoint(),
    "randomized-midpoint": RandomizedMidpoint(),
    "randomized-midpoint-plain": RandomizedMidpoint(reuse=False, antithetic=False),
    "randomized-midpoint-paper": RandomizedMidpoint.paper(),
    "randomized-midpoint-sde": RandomizedMidpointSDE(),
    "parallel-midpoint": ParallelMidpoint(),
    "parallel-blocked": ParallelMidpoint.blocked(),
    "sliding-window": SlidingWindow(),
    "paradigms": ParaDiGMS(DDIM()),
    "speculative-ddpm": SpeculativeDDPM(),
    "unipc-corrected": PredictorCorrector(UniPC()),
}


def by_name(name: str) -> Sampler:
    """The sampler with this name on the command line, with default settings.

    Raises:
        ValueError: the name is unknown; the error suggests the nearest one.
    """
    return BY_NAME[checks.one_of("sampler", name, BY_NAME)]


__all__ = [
    "BY_NAME",
    "DDIM",
    "DDPM",
    "Corrector",
    "DPMSolverPP",
    "ExponentialEuler",
    "Heun",
    "Midpoint",
    "OverdampedCorrector",
    "ParaDiGMS",
    "ParallelCorrector",
    "ParallelMidpoint",
    "PredictorCorrector",
    "Problem",
    "RandomizedMidpoint",
    "RandomizedMidpointSDE",
    "Sampler",
    "SlidingWindow",
    "SpeculativeDDPM",
    "SplitGibbs",
    "State",
    "UnderdampedCorrector",
    "UniPC",
    "by_name",
]
