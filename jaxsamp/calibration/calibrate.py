"""`calibrate`: measure the linear part of a denoiser, which the frame "calibrated" removes."""

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import grids
from jaxsamp.calibration.measuring import BASES, LEVELS, MAX_PCA_DIM, SAMPLES, measure
from jaxsamp.calibration.placement import placed
from jaxsamp.calibration.tables import Calibration
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser, Law
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree
from jaxsamp.schedules import DiscreteTime


def calibrate(
    key: PRNGKey,
    denoiser: Denoiser,
    data: Data | Law,
    levels: int = LEVELS,
    samples: int = SAMPLES,
    basis: str | None = "auto",
    *,
    grid: bool = False,
    cond: PyTree = None,
    sigma_max: float = grids.SIGMA_MAX,
    sigma_min: float = grids.SIGMA_MIN,
    microbatch: int | None = None,
) -> Calibration:
    """Measure a(lambda), the average Jacobian of a denoiser D, from its denoising loss: a = E|x_0 - D|^2 / (d s^2).

    The loss per number at s = sigma / alpha equals s^2 times the mean Jacobian of the exact posterior mean (Tweedie).
    Use data that the network was not trained on: on its training data the loss is too small at low noise.

    Args:
        key: a typed key.
        denoiser: D as it will be sampled, with guidance and clipping applied.
        data: samples of the law, (n, *event), or the law itself. Without data, use the denoiser's own samples,
            `jaxsamp.sample(...).x`.
        levels: number of noise levels, evenly spaced in lambda, at least 4.
        samples: number of samples to use, the first ones of the data, or drawn from the law.
        basis: one curve per coordinate of a basis: "pca", principal components; "dct", the cosine transform of images
            (height, width, channels); "coordinates", the entries of a sample; None, one curve for all. "auto" is "pca"
            up to 256 numbers per sample, and beyond that "dct" for images and None for other data.
        grid: also measure the sizes of the errors of steps, for `jaxsamp.sample(..., grid="calibrated")`: first and
            second derivatives of D along its flow, on 256 of the samples. They cost about seven evaluations for each
            state, as much again as 1.75 times the rest of a calibration on 1,024 samples. D must have continuous time.
        cond: a pytree for the denoiser, leaves (n, ...), one entry per sample of the data.
        sigma_max: noisiest sigma / alpha.
        sigma_min: cleanest sigma / alpha; a is constant beyond both ends.
        microbatch: the most samples computed at once, to limit memory.

    Returns:
        A `Calibration`, for `denoiser.with_calibration` and for `Calibration.save`.

    Raises:
        ValueError: a count, level, basis or shape is out of its range, or D is not finite.
        TypeError: a key or denoiser of the wrong type.

    Source: the mean linear part is used by Zheng et al., "DPM-Solver-v3: Improved Diffusion ODE Solver with Empirical
    Model Statistics", arXiv 2310.13268, and for known sigma_data by the preconditioning of Karras et al., "Elucidating
    the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364.
    """
    checks.typed_key(key)
    checks.at_least("levels", levels, 4)
    checks.at_least("samples", samples, 2)
    for_data, for_noise = jax.random.split(key)
    x = _samples(for_data, data, samples)
    cond = jax.tree.map(lambda leaf: leaf[: len(x)] if _has_rows(leaf) else leaf, cond)  # others are refused below
    denoiser = checks.batch(key, denoiser, x.shape, cond, microbatch)
    checks.finite("data", x)
    if grid and isinstance(denoiser.schedule, DiscreteTime):
        raise ValueError("grid must be False for a denoiser of discrete times, which has no derivative in time.")
    at = grids.log_snr(denoiser.schedule, levels - 1, sigma_max=sigma_max, sigma_min=sigma_min)
    found = measure(for_noise, denoiser, x, at, _basis(basis, x.shape[1:]), cond, microbatch)
    return replace(found, placement=placed(for_noise, denoiser, found, x, at, cond, microbatch)) if grid else found


def _has_rows(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray) and leaf.ndim > 0


def _samples(key: Array, data: Data | Law, n: int) -> Array:
    """The first `n` samples of the data (all if there are fewer), or `n` samples of the law."""
    if isinstance(data, Law):
        return data.sample(key, n)
    x = jnp.asarray(checks.floating("data", data), float)
    if x.ndim < 1 or len(x) < 2:
        raise ValueError(f"data must hold at least 2 samples, (n, *event); got shape {x.shape}.")
    return x[:n]


def _basis(name: str | None, event: tuple[int, ...]) -> str | None:
    """The basis that `name` means for this event, after checks."""
    if name == "auto":
        name = "pca" if math.prod(event) <= MAX_PCA_DIM else "dct" if len(event) == 3 else None
    if name not in BASES:
        checks.one_of("basis", name, [b for b in (*BASES, "auto") if b is not None])
    if name == "dct" and len(event) < 2:
        raise ValueError(f'basis="dct" needs images (height, width, channels); got samples of shape {tuple(event)}.')
    return name
