"""`calibrate`: measure the linear part of a denoiser, which the frame "calibrated" takes out."""

import math
from typing import Any

import jax

from jaxsamp import grids
from jaxsamp.calibration.measuring import BASES, LEVELS, SAMPLES, measure
from jaxsamp.calibration.tables import Calibration, from_curve, from_sigma_data, load
from jaxsamp.core import checks
from jaxsamp.core.types import Array, PyTree
from jaxsamp.running.sampling import check_batch, sample
from jaxsamp.targets.base import WIDEST

__all__ = ["Calibration", "calibrate", "from_curve", "from_sigma_data", "load"]


def calibrate(
    key: Array,
    denoiser: Any,
    data: Any = None,
    levels: int = LEVELS,
    samples: int = SAMPLES,
    basis: str | None = "auto",
    *,
    shape: tuple[int, ...] | None = None,
    cond: PyTree = None,
    sigma_max: float = grids.SIGMA_MAX,
    sigma_min: float = grids.SIGMA_MIN,
    microbatch: int | None = None,
) -> Calibration:
    """Measure a(lambda), the average Jacobian of a denoiser D, by its denoising loss: a = E|x_0 - D|^2 / (d s^2).

    The loss at s = sigma / alpha equals s^2 times the mean Jacobian of the exact posterior mean (Tweedie). Give data
    that the network was not trained on: on its training data it looks too good at low noise.

    Args:
        key: a typed key.
        denoiser: D, as it will be sampled: guidance and clipping on the outside.
        data: samples of the law, (n, *event); or a target; or None for the denoiser's own samples, drawn by UniPC.
        levels: noise levels, even in lambda, at least 4.
        samples: how many of the data to use, the first ones; or to draw.
        basis: one curve for each coordinate of a basis: "pca", principal components; "dct", the cosine transform of
            images (height, width, channels); "coordinates", the numbers of a sample themselves; None, one curve for
            all. "auto": "pca" up to 256 numbers a sample, then "dct" for images and None for others.
        shape: of one sample, where neither data nor the denoiser tell it.
        cond: a pytree for the denoiser, leaves (n, ...) along with the data.
        sigma_max: noisiest sigma / alpha.
        sigma_min: cleanest; beyond both ends a stays constant.
        microbatch: at most so many samples at a time, against running out of memory.

    Returns:
        A `Calibration`, for `denoiser.with_calibration` and for `Calibration.save`.

    Raises:
        ValueError: a count, level, basis or shape out of its range; or D was not finite.
        TypeError: a key or denoiser of the wrong type.

    Source: the mean linear part is that of DPM-Solver-v3 (Zheng et al., arXiv 2310.13268) and, for sigma_data known, of
    EDM preconditioning (Karras et al., arXiv 2206.00364).
    """
    checks.typed_key(key)
    checks.denoiser(denoiser)
    checks.at_least("levels", levels, 4)
    checks.at_least("samples", samples, 2)
    for_data, for_noise = jax.random.split(key)
    x = _data(for_data, denoiser, data, samples, shape, cond, microbatch)
    cond = jax.tree.map(lambda leaf: leaf[: len(x)], cond)
    check_batch(key, denoiser, x.shape, cond, microbatch)
    checks.finite("data", x)
    grid = grids.log_snr(denoiser.schedule, levels - 1, sigma_max=sigma_max, sigma_min=sigma_min)
    return measure(for_noise, denoiser, x, grid, _basis(basis, x.shape[1:]), cond, microbatch)


def _data(
    key: Array, denoiser: Any, data: Any, n: int, shape: tuple[int, ...] | None, cond: PyTree, microbatch: int | None
) -> Array:
    """Samples of the law."""
    if hasattr(data, "sample"):
        return data.sample(key, n)
    if data is not None:
        x = jax.numpy.asarray(data, float)
        if x.ndim < 1 or len(x) < 2:
            raise ValueError(f"data must hold at least 2 samples, (n, *event); got shape {x.shape}.")
        return x[:n]
    event = shape if shape is not None else getattr(denoiser, "event_shape", None)
    if event is None:
        raise ValueError("shape must be that of one sample where no data are given; got None.")
    n = n if cond is None else min(n, len(jax.tree.leaves(cond)[0]))
    cond = jax.tree.map(lambda leaf: leaf[:n], cond)
    return sample(key, denoiser, (n, *event), cond=cond, microbatch=microbatch).x


def _basis(name: str | None, event: tuple[int, ...]) -> str | None:
    """What "auto" stands for."""
    if name == "auto":
        name = "pca" if math.prod(event) <= WIDEST else "dct" if len(event) == 3 else None
    if name not in BASES:
        checks.one_of("basis", name, [b for b in (*BASES, "auto") if b is not None])
    if name == "dct" and len(event) < 2:
        raise ValueError(f'basis="dct" needs images (height, width, channels); got samples of shape {tuple(event)}.')
    return name
