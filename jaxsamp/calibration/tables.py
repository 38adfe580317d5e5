"""The linear part of a denoiser, D(x, lambda) = a(lambda) x + n(x, lambda): the tables behind the frame "calibrated".

a is the average Jacobian of D, which by Tweedie's formula is the mean posterior variance divided by that of the noise,

    a(lambda) = MMSE(lambda) / s^2,   MMSE = E|x_0 - D(x_0 + s z)|^2 / d,   s = sigma / alpha = e^-lambda,

where MMSE is the denoising loss at each noise level. In the frame that removes a x, the integrand n is small.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicSpline

from jaxsamp.calibration.bases import KNOWN, PLAIN, Basis, Plain
from jaxsamp.calibration.placement import Placement
from jaxsamp.core import checks, disk
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Data
from jaxsamp_kernels.frame import Calibrated, Frame, PerCoordinate

KNOTS = 512
# Jacobians measured on a network may exceed 1 slightly; curves are logistic functions of this height.
MAX_LINEAR = 1.02
PLACED = "placement_"  # before the names of its arrays in a file


@pytree
@dataclass(frozen=True)
class Calibration:
    """The measured linear part of a denoiser, with the mean and the variance of its data.

    Attributes:
        frame: the change of variables that removes the linear part, with one curve or one per coordinate.
        mean: mean of the data in the coordinates of `basis`; broadcasts over a sample.
        variance: variance of the data along these coordinates; broadcasts over a sample.
        basis: the coordinates; see `jaxsamp.calibration.bases`.
        placement: the sizes of the errors of steps, for grid="calibrated", or None where they were not measured.
    """

    frame: Frame
    mean: Array
    variance: Array
    basis: Basis = PLAIN
    placement: Placement | None = None

    @cached_property
    def magnitude(self) -> float | None:
        """Root of the largest squared mean of a number of the data plus their mean variance; None under a trace."""
        if not checks.is_concrete(self):
            return None
        with jax.ensure_compile_time_eval():
            mean = self.basis.out_of(self.mean) if jnp.ndim(self.mean) else self.mean
            return float(jnp.sqrt(jnp.square(mean).max() + jnp.mean(self.variance)))

    def check_event(self, event: tuple[int, ...]) -> None:
        """Raise ValueError unless it is one of samples of this shape; it may be traced, because shapes alone are read.

        Of the user's own bases no more is known.
        """
        if not isinstance(self.basis, Plain | KNOWN):
            return
        event = tuple(event)
        if isinstance(self.basis, KNOWN) and self.basis.event != event:
            raise ValueError(
                f"calibration must be of samples of shape {event}; its basis has shape {self.basis.event}."
            )
        into = event if isinstance(self.basis, Plain) else (math.prod(event),)
        for name, got in self._shapes().items():
            if not _spreads(got, into):
                raise ValueError(f"calibration must be of samples of shape {event}; its {name} has shape {got}.")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Those of whatever broadcasts over a sample in the coordinates of the basis."""
        curve = self.frame.curves.slope.shape[1:] if isinstance(self.frame, PerCoordinate) else ()
        return {"curve": curve, "mean": jnp.shape(self.mean), "variance": jnp.shape(self.variance)}

    def save(self, path: str | Path) -> Path:
        """Write to an .npz file, which `jaxsamp.calibration.load` reads; returns the path."""
        path = disk.with_ending(path, ".npz")
        tables: Any = self.frame.curves if isinstance(self.frame, PerCoordinate) else self.frame
        sizes: Any = {} if self.placement is None else {PLACED + n: a for n, a in vars(self.placement).items()}
        np.savez(path, mean=self.mean, variance=self.variance, **tables._asdict(), **self.basis.arrays(), **sizes)
        return path


def from_curve(
    log_snr: Data, linear: Data, *, mean: Data = 0.0, variance: Data | None = None, basis: Basis = PLAIN
) -> Calibration:
    """The calibration with the curve a(lambda), by a cubic spline of logit(a / 1.02).

    Args:
        log_snr: lambda = log(alpha / sigma), increasing, (levels,).
        linear: a at these levels, in (0, 1.02): (levels,), or (levels, d) for one curve per coordinate of `basis`.
        mean: mean of the data in the coordinates of `basis`.
        variance: their variance; None for s^2 a / (1 - a) at the noisiest level, which is exact for a Gaussian.
        basis: the coordinates of the curves; see `jaxsamp.calibration.bases`.

    Raises:
        ValueError: lengths differ, fewer than 4 levels, lambda not increasing, a outside (0, 1.02), or a mean or
            variance that is not finite, that is negative, or that does not fit the basis.
        TypeError: the mean or the variance is not of real numbers.
    """
    lam, a = checks.finite("log_snr", log_snr).astype(float), checks.finite("linear", linear).astype(float)
    if lam.ndim != 1 or a.ndim not in (1, 2) or len(lam) != len(a) or len(lam) < 4 or (np.diff(lam) <= 0).any():
        raise ValueError(
            "log_snr must be 1-D and increasing, of at least 4 levels, and linear (levels,) or (levels, d); got shapes "
            f"{lam.shape} and {a.shape}."
        )
    if a.min() <= 0 or a.max() >= MAX_LINEAR:
        raise ValueError(f"linear must lie inside (0, {MAX_LINEAR}); got values from {a.min():g} to {a.max():g}.")
    if variance is None:
        first = np.minimum(a[0], 0.999)
        variance = np.exp(-2 * lam[0]) * first / (1 - first)
    knots = np.linspace(lam[0], lam[-1], KNOTS)
    logit = CubicSpline(lam, np.log(a) - np.log(MAX_LINEAR - a))(knots)
    slope = MAX_LINEAR / (1 + np.exp(-logit)) - 1
    tables = _tables(knots, CubicSpline(knots, slope).antiderivative()(knots), slope)
    return fitting(Calibration(frame_of(tables), moment("mean", mean), moment("variance", variance, 0.0), basis))


def from_sigma_data(
    sigma_data: float, sigma_max: float = 200.0, sigma_min: float = 1e-3, *, mean: Data = 0.0
) -> Calibration:
    """The calibration of data with standard deviation `sigma_data`: a = v / (v + s^2), exact for N(mean, v I).

    Args:
        sigma_data: sqrt v, above 0 and finite.
        sigma_max: noisiest sigma / alpha of the table.
        sigma_min: cleanest sigma / alpha of the table.
        mean: mean of the data, a number or (*event).

    Raises:
        ValueError: a number is not above 0 and finite, sigma_max is not above sigma_min, or the mean is not finite.
        TypeError: one is not a number, or the mean is not of real numbers.

    Source: the preconditioning of Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models",
    arXiv 2206.00364, removes the same linear part.
    """
    sigma_data, sigma_max = _positive("sigma_data", sigma_data), _positive("sigma_max", sigma_max)
    sigma_min = _positive("sigma_min", sigma_min)
    if not sigma_max > sigma_min:
        raise ValueError(f"sigma_max must be above sigma_min = {sigma_min}; got {sigma_max}.")
    knots = np.linspace(-np.log(sigma_max), -np.log(sigma_min), KNOTS)
    noise = np.exp(-2 * knots)
    tables = _tables(knots, 0.5 * np.log(sigma_data**2 + noise), -noise / (sigma_data**2 + noise))
    return Calibration(tables, moment("mean", mean), _array(sigma_data**2))


def moment(argument: str, got: Any, least: float = -np.inf) -> Array:
    """`got` as an array of JAX if its entries are finite and at least `least`, as far as they can be read; else raise.

    A variance may be 0: coordinates of data can be constant, such as the corners of images.
    """
    array = checks.floating(argument, got)
    if checks.is_readable(array) and (low := checks.finite(argument, array).min(initial=np.inf)) < least:
        raise ValueError(f"{argument} must be at least {least:g}; got {low:g}.")
    return _array(array)


def fitting(made: Calibration) -> Calibration:
    """`made` if its parts fit each other, else raise ValueError; a plain one must fit samples of some shape."""
    if isinstance(made.basis, KNOWN):
        made.check_event(made.basis.event)
    elif isinstance(made.basis, Plain):
        shapes = made._shapes()
        try:
            np.broadcast_shapes(*shapes.values())
        except ValueError:
            said = ", ".join(f"{name} {got}" for name, got in shapes.items())
            raise ValueError(f"calibration must have parts that fit samples of one shape; got shapes {said}.") from None
    return made


def _positive(argument: str, got: Any) -> float:
    """`got` as a float if it is a number above 0 that is finite, else raise; tables are made outside of a trace."""
    number = np.ndim(got) == 0 and checks.is_concrete(got) and not isinstance(got, str | bytes)
    try:
        value = float(got) if number else None
    except (TypeError, ValueError):
        value = None
    if value is None:
        raise TypeError(f"{argument} must be a number; got a {type(got).__name__}.")
    if not 0 < value < np.inf:
        raise ValueError(f"{argument} must be above 0 and finite; got {value}.")
    return value


def _spreads(shape: tuple[int, ...], over: tuple[int, ...]) -> bool:
    """Whether an array of this shape broadcasts to the shape `over`."""
    return len(shape) <= len(over) and all(n in (1, m) for n, m in zip(shape[::-1], over[::-1], strict=False))


def _array(values: Any) -> Array:
    return jnp.asarray(values, jnp.result_type(float))


def _tables(knots: np.ndarray, log_scale: np.ndarray, slope: np.ndarray) -> Calibrated:
    return Calibrated(*(_array(v) for v in (knots[0], knots[1] - knots[0], log_scale, slope)))


def frame_of(tables: Calibrated) -> Frame:
    """One curve, or one per coordinate; then nodes are drawn in a common clock, that of the mean curve."""
    if tables.slope.ndim == 1:
        return tables
    mean = tables.slope.mean(1)
    knots = np.asarray(tables.start + tables.spacing * jnp.arange(len(mean)))
    log_scale = CubicSpline(knots, np.asarray(mean)).antiderivative()(knots)
    return PerCoordinate(tables, _tables(knots, log_scale, np.asarray(mean)))
