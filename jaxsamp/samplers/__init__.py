"""Samplers: how to step. Each is a frozen dataclass of settings given to `jaxsamp.sample`."""

from jaxsamp import checks
from jaxsamp.samplers.base import Problem, Sampler
from jaxsamp.samplers.ddim import DDIM, DDPM
from jaxsamp.samplers.heun import Heun
from jaxsamp.samplers.randomized_midpoint import RandomizedMidpoint
from jaxsamp.samplers.unipc import UniPC

BY_NAME = {
    "unipc": UniPC(),
    "unipc3": UniPC(order=3),
    "ddim": DDIM(),
    "ddpm": DDPM(),
    "heun": Heun(),
    "randomized-midpoint": RandomizedMidpoint(),
    "randomized-midpoint-plain": RandomizedMidpoint(reuse=False, antithetic=False),
    "randomized-midpoint-paper": RandomizedMidpoint.paper(),
}


def by_name(name: str) -> Sampler:
    """A sampler with its default settings, by the name that the command line uses.

    Raises:
        ValueError: unknown name; the sentence names the nearest.
    """
    return BY_NAME[checks.one_of("sampler", name, BY_NAME)]


__all__ = ["BY_NAME", "DDIM", "DDPM", "Heun", "Problem", "RandomizedMidpoint", "Sampler", "UniPC", "by_name"]
