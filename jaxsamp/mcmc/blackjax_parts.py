"""What is taken from blackjax: kernels with an accept step, and what adapts their settings."""

from typing import Any, NamedTuple

from jaxsamp.core import extras


class Parts(NamedTuple):
    """Modules of blackjax."""

    mala: Any
    nuts: Any
    step_size: Any
    mass_matrix: Any


def parts(by: str = "a sampler with an accept step") -> Parts:
    """The modules; ModuleNotFoundError with a sentence that begins with `by` if blackjax is not installed."""
    with extras.needed(by):
        from blackjax.adaptation import mass_matrix, step_size
        from blackjax.mcmc import mala, nuts
    return Parts(mala, nuts, step_size, mass_matrix)
