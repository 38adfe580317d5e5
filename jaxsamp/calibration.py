"""The measured linear part of a denoiser: the tables behind the frame "calibrated"."""

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline

from jaxsamp import checks
from jaxsamp.types import Data
from jaxsamp_kernels.frame import Calibrated

KNOTS = 512
# Jacobians measured on a network may pass 1 by a little; the curve is a logistic of this height.
_CEILING = 1.02


def from_curve(log_snr: Data, linear: Data) -> Calibrated:
    """Tables from the curve a(lambda): the average Jacobian of the denoiser, MMSE / (sigma / alpha)^2.

    Args:
        log_snr: lambda = log(alpha / sigma), increasing, (levels,).
        linear: a at these levels, in (0, 1.02), (levels,).

    Raises:
        ValueError: lengths differ, fewer than 4 levels, lambda not increasing, or a outside (0, 1.02).
    """
    lam, a = checks.finite("log_snr", log_snr).astype(float), checks.finite("linear", linear).astype(float)
    if lam.shape != a.shape or lam.ndim != 1 or len(lam) < 4 or (np.diff(lam) <= 0).any():
        raise ValueError(
            "log_snr and linear must be 1-D, of one length of at least 4, and log_snr increasing; got shapes "
            f"{lam.shape} and {a.shape}."
        )
    if a.min() <= 0 or a.max() >= _CEILING:
        raise ValueError(f"linear must lie inside (0, {_CEILING}); got values from {a.min():g} to {a.max():g}.")
    knots = np.linspace(lam[0], lam[-1], KNOTS)
    logit = CubicSpline(lam, np.log(a) - np.log(_CEILING - a))(knots)
    slope = _CEILING / (1 + np.exp(-logit)) - 1
    return _tables(knots, CubicSpline(knots, slope).antiderivative()(knots), slope)


def from_sigma_data(sigma_data: float, sigma_max: float = 200.0, sigma_min: float = 1e-3) -> Calibrated:
    """Tables for data of standard deviation `sigma_data`: a = s^2 / (s^2 + (sigma / alpha)^2), exact for a Gaussian.

    This is the linear part that EDM preconditioning takes out (Karras et al., arXiv 2206.00364).

    Raises:
        ValueError: sigma_data is not above 0.
    """
    if not sigma_data > 0:
        raise ValueError(f"sigma_data must be above 0; got {sigma_data}.")
    knots = np.linspace(-np.log(sigma_max), -np.log(sigma_min), KNOTS)
    noise = np.exp(-2 * knots)
    return _tables(knots, 0.5 * np.log(sigma_data**2 + noise), -noise / (sigma_data**2 + noise))


def _tables(knots: np.ndarray, log_scale: np.ndarray, slope: np.ndarray) -> Calibrated:
    return Calibrated(*(jnp.asarray(v) for v in (knots[0], knots[1] - knots[0], log_scale, slope)))
