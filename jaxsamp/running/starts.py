"""What must hold at the level where samples start."""

import warnings
from typing import Any

from jaxsamp import grids
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.datasets.arrays import DataWarning
from jaxsamp.denoisers.corrupted import ReconstructionGuidance
from jaxsamp.denoisers.dps import DPSDenoiser
from jaxsamp.denoisers.posterior import PosteriorDenoiser
from jaxsamp.samplers import Sampler

DIVIDED = PosteriorDenoiser, DPSDenoiser, ReconstructionGuidance
DROWNS = 5.0  # least ratio of the first sigma / alpha to the root mean square of the data: 2 % too narrow samples


def warn_unless_drowned(denoiser: Denoiser, levels: Any) -> None:
    """Say so once where known data are not small beside the noise that the samples start from, N(0, sigma^2)."""
    size = getattr(denoiser, "magnitude", None)
    if size is None or not checks.is_concrete(levels) or (first := float(levels[0])) >= DROWNS * size:
        return
    sentence = (
        f"grid must start where noise drowns the data, because samples start from noise around 0; its first sigma / "
        f"alpha is {first:g}, and the data have a root mean square of {size:g}. Center and scale the data, or start "
        f"at sigma_max = {1.1 * DROWNS * size:.2g}, as in grid=jaxsamp.grids.log_snr(schedule, 32, sigma_max=...)."
    )
    warnings.warn(DataWarning(sentence), stacklevel=3)


def refuses_pure_noise(sampler: Sampler) -> str | None:
    """The sampler's name, for the sentence of `grids.resolve`, if it cannot start at alpha = 0."""
    return None if sampler.takes_pure_noise else type(sampler).__name__


def levels_of(grid: grids.Grid, denoiser: Any, sampler: Sampler, steps: Any, refuses: str | None = "") -> Any:
    """The levels of a run; pure noise is refused for the reason given, or where the sampler cannot start there."""
    why = refuses_pure_noise(sampler) if refuses == "" else refuses
    settings = {"denoiser": denoiser, "sampler": sampler}
    return grids.resolve(grid, denoiser.schedule, steps, sampler.default_steps, why, **settings)


def check_pure(denoiser: Any, steps: int) -> None:
    """Raise unless a step follows the one from pure noise, and the prediction says something about x_0 there."""
    if steps < 2:
        raise ValueError(f"steps must be at least 2 for a grid that starts at pure noise; got {steps}.")
    while denoiser is not None:
        if isinstance(denoiser, DIVIDED):
            raise ValueError(
                f"grid must start at a finite sigma / alpha for a {type(denoiser).__name__}, which divides by alpha; "
                "got infinity, pure noise."
            )
        prediction = getattr(denoiser, "prediction", None)
        if prediction in ("epsilon", "score"):
            raise ValueError(
                "prediction must be 'v', 'x0' or 'velocity' for a grid that starts at pure noise, where the noise says "
                f"nothing about x_0; got {prediction!r}."
            )
        denoiser = getattr(denoiser, "denoiser", None)
