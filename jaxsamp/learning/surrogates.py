"""Whether a cheap denoiser saves rounds of `ParallelMidpoint`."""

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxsamp import grids
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.types import Array, PRNGKey, PyTree
from jaxsamp.running import sample
from jaxsamp.samplers import ParallelMidpoint, UniPC

STARTS, ROUNDS, NODES = 64, 4, 64
REFERENCE_STEPS = 256  # of UniPC3, whose error is then far below what either has after ROUNDS rounds
QUANTILE = 0.95
GAIN = 0.8  # largest ratio of errors at which a surrogate is worth its calls


class Trial(NamedTuple):
    """What a trial of a surrogate found.

    Attributes:
        kept: whether the surrogate makes the errors of late samples smaller by a fifth or more.
        error: with it, the distance to the converged flow that 95 % of the samples are within: root mean square over
            coordinates, in the scale of x_0.
        error_without: the same of the same starts without it.
        median: with it, the median distance.
        median_without: the same without it.
    """

    kept: bool
    error: float
    error_without: float
    median: float
    median_without: float


def try_surrogate(
    key: PRNGKey,
    denoiser: Denoiser,
    surrogate: Denoiser,
    event: tuple[int, ...],
    *,
    cond: PyTree = None,
    rounds: int = ROUNDS,
    midpoints: int = NODES,
    starts: int = STARTS,
    sigma_max: float = grids.SIGMA_MAX,
    sigma_min: float = grids.SIGMA_MIN,
    microbatch: int | None = None,
) -> Trial:
    """Compare `ParallelMidpoint` with and without a surrogate after the same number of rounds.

    How near S is to D on average does not say whether it helps the samples that decide late: a mixture without some of
    the modes has a smaller error than a Gaussian and makes them later. So this draws the same samples with both, and
    by UniPC3 in 256 steps.

    Args:
        key: a typed key, of the starts.
        denoiser: D, with a calibration.
        surrogate: S, for `ParallelMidpoint(surrogate=S)`.
        event: shape of one sample.
        cond: conditions for both, leaves (starts, ...).
        rounds: rounds of D, at least 2.
        midpoints: nodes of the window.
        starts: number of samples.
        sigma_max: noisiest sigma / alpha, where samples start.
        sigma_min: cleanest sigma / alpha, where they end.
        microbatch: the most samples computed at once, to limit memory.

    Returns:
        A `Trial`.

    Raises:
        ValueError: a number or shape is out of range, or the denoiser has no calibration.
        TypeError: a key or denoiser of the wrong type.
    """
    checks.at_least("rounds", rounds, 2)
    checks.at_least("starts", starts, 2)
    grid = partial(grids.log_snr, sigma_max=sigma_max, sigma_min=sigma_min)

    def ends(sampler: ParallelMidpoint | UniPC, steps: int) -> Array:
        shape = (starts, *event)
        options: dict[str, Any] = {"grid": grid, "cond": cond, "microbatch": microbatch, "final_denoise": False}
        return sample(key, denoiser, shape, sampler, steps, **options).x

    found = [ends(ParallelMidpoint(midpoints, rounds - 1, surrogate=s), 1) for s in (surrogate, None)]
    exact = ends(UniPC(order=3, lower_order_final=False), REFERENCE_STEPS)
    scale = denoiser.schedule.level(-jnp.log(grid(denoiser.schedule, 1)[-1])).alpha
    far = [jnp.sqrt(jnp.mean(jnp.square((x - exact) / scale).reshape(starts, -1), 1)) for x in found]
    (error, median), (without, median_without) = (
        tuple(float(v) for v in jnp.quantile(distance, jnp.array([QUANTILE, 0.5]))) for distance in far
    )
    return Trial(error < GAIN * without, error, without, median, median_without)
